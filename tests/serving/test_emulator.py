"""An emulator for those who have a field: any kind of array, any resolution, and a word where nothing is known."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from universal_simulator.emulation.emulator import decoded, deterministic
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.serving import DivergedWarning, Emulator, GuidanceWarning, OutsideTrainingWarning, request
from universal_simulator.serving import emulator as module
from universal_simulator.support.errors import InputError


def test_a_rollout_is_what_the_evaluation_would_forecast(emulator, u0):
    start = emulator.parts.start(u0[:, None], torch.full((3, 1), 0.05), 0.02)
    expected = decoded(emulator.parts, deterministic(emulator.parts, start, 5), start, (128,))[:, 0, [0, 2, 4], 0]
    torch.testing.assert_close(emulator.rollout(u0, 0.05, [0.02, 0.06, 0.1]), expected, rtol=0, atol=1e-6)


def test_times_may_come_in_any_order_and_a_single_one_alone(emulator, u0):
    forward, backward = (emulator.rollout(u0, 0.05, times) for times in ([0.02, 0.06], [0.06, 0.02]))
    assert torch.equal(forward, backward.flip(1))
    assert torch.equal(emulator.rollout(u0, 0.05, 0.06), backward[:, :1])


def test_the_answer_is_of_the_kind_that_was_given(emulator, u0):
    torch_answer = emulator.rollout(u0.double(), 0.05, [0.02])
    numpy_answer = emulator.rollout(u0.numpy(), 0.05, [0.02])
    alone = emulator.rollout(u0[0].tolist(), 0.05, [0.02])
    assert (torch_answer.dtype, torch_answer.shape) == (torch.float64, (3, 1, 128))
    np.testing.assert_array_equal(numpy_answer, torch_answer.float().numpy())
    np.testing.assert_allclose(alone, numpy_answer[0], atol=1e-6)


def test_a_finer_grid_gives_the_same_field_on_more_points(emulator):
    def field(points):
        x = (torch.arange(points) + 0.5) / points
        return 0.3 + torch.sin(2 * torch.pi * x) + 0.3 * torch.cos(4 * torch.pi * x)

    coarse, fine = (emulator.rollout(field(points), 0.05, [0.1]) for points in (96, 288))
    torch.testing.assert_close(fine[:, 1::3], coarse, rtol=0, atol=1e-4)


def test_members_differ_the_seed_decides_and_mass_is_kept(emulator, u0):
    one, same, other = (emulator.rollout(u0, 0.05, [0.1], members=3, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (3, 3, 1, 128)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[:, 0], one[:, 1])
    mass = u0.mean(-1)[:, None, None].expand(3, 3, 1)
    torch.testing.assert_close(one.mean(-1), mass, rtol=0, atol=1e-6)


def test_guidance_brings_a_poor_operator_nearer_to_the_solution(emulator):
    def wave(grid):
        return torch.sin(2 * torch.pi * grid.centres()[0])[None, None]

    grid = Grid.interval(128)
    truth = find("burgers").solver.solve((0.05,), wave, np.array([0.0, 0.1]), grid).values[0, -1, 0].float()
    u0 = wave(grid)[0, 0].float()
    plain, guided = (emulator.rollout(u0, 0.05, [0.1], guided=guided)[0] for guided in (False, True))
    assert (guided - truth).square().mean() < (plain - truth).square().mean() / 4


def test_members_may_be_guided_too(emulator, u0):
    free, guided = (emulator.rollout(u0, 0.05, [0.02, 0.04], members=3, guided=guided) for guided in (False, True))
    assert guided.shape == free.shape == (3, 3, 2, 128)
    assert not torch.allclose(guided, free)
    assert not torch.allclose(guided[:, 0], guided[:, 1])


def test_members_are_drawn_as_the_model_s_calibration_says(bundle, u0):
    card = bundle.card.model_copy(update={"calibration": {"ensemble": {"inflation": 0.0}}})
    silent = Emulator.of(replace(bundle, card=card), "cpu")
    members = silent.rollout(u0, 0.05, [0.04], members=2)
    torch.testing.assert_close(members[:, 1], members[:, 0])


def test_more_fields_than_fit_at_once_are_forecast_as_if_alone(emulator, u0):
    many = emulator.rollout(u0.repeat(20, 1), 0.05, [0.02])
    torch.testing.assert_close(many[57:], emulator.rollout(u0, 0.05, [0.02]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"u0": np.zeros((2, 3, 64))},
            r"u0 = an array of shape \(2, 3, 64\): must have 1 channel, u; the axes are \(sample",
        ),
        ({"u0": np.zeros((2, 1, 3, 64))}, r"u0 = an array of shape .*: must be \(space\) or \(sample, space\) or"),
        ({"u0": np.zeros(5)}, r"u0 = an array of shape \(5,\): must be .* at least 8 points"),
        ({"u0": np.full(64, np.nan)}, r"u0 = nan at \[0\], 64 such in all: must be finite; remove what is missing"),
        ({"u0": ["a"] * 64}, "u0 = list: must hold real numbers"),
        ({"u0": np.zeros(64, complex)}, "u0 = ndarray: must hold real numbers"),
        ({"viscosity": [0.05, 0.05]}, r"nu = \(2,\) numbers: must be one, or one for each of the 1 fields"),
        ({"viscosity": -1.0}, "nu = -1: must be positive"),
        ({"times": [0.013]}, "times = 0.013: must be a positive multiple of the model's step 0.02; take 0.02"),
        ({"times": [0.0]}, "times = 0: must be a positive multiple of the model's step 0.02; take 0.02"),
        ({"times": []}, "must be one number or a list of numbers"),
        ({"times": [1e300]}, r"times = 1e\+300 in it: must be at most 3.4e\+38"),
        ({"times": [1e30]}, r"times = 1e\+30: must be a positive multiple of the model's step 0.02; take 1.80144e\+14"),
        ({"times": [[0.02]]}, r"times = an array of shape \(1, 1\): must be one number or a list of numbers"),
        ({"members": 1}, "members = 1: must be at least 2 and at most 10000; leave it out for one forecast"),
        ({"members": 20_000}, "members = 20000: must be at least 2 and at most 10000"),
        ({"viscosity": 1e-50}, "nu = 0: must be positive; the model takes its logarithm"),
        ({"seed": -1}, "seed = -1: must be at least 0"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_one_line(emulator, change, line):
    given = {"u0": np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64), "viscosity": 0.05, "times": [0.02]} | change
    with pytest.raises(InputError, match=line):
        emulator.rollout(**given)


def test_many_warnings_are_told_as_a_number(emulator, u0):
    many = [0.1 + 0.01 * i for i in range(30)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        emulator.rollout(u0.repeat(10, 1), many, [0.02])
    assert len(told) == 5
    assert str(told[-1].message) == "26 more like these: the error there is unknown"


def test_members_of_many_fields_are_forecast_a_few_fields_at_a_time(emulator, u0, monkeypatch):
    monkeypatch.setattr(request, "STATES_AT_ONCE", 6)
    seen, one = [], Emulator._forecast
    monkeypatch.setattr(
        Emulator, "_forecast", lambda self, piece, asked: seen.append(len(piece[0])) or one(self, piece, asked)
    )
    assert emulator.rollout(u0, 0.05, [0.02], members=3).shape == (3, 3, 1, 128)
    assert seen == [2, 1]


@pytest.mark.parametrize(
    ("factor", "viscosity", "time", "line"),
    [
        (100.0, 0.05, 0.02, r"amplitude .* is outside the training data's .* are these the equation's units\?"),
        (1.0, 0.1, 0.02, "nu = 0.1 is outside the training data's 0.05 … 0.05: the error there is unknown"),
        (1.0, 0.05, 2.02, "time 2.02 is beyond 2, the longest forecast that was scored"),
    ],
)
def test_outside_of_the_training_it_says_what_is_unknown(emulator, u0, factor, viscosity, time, line):
    with pytest.warns(OutsideTrainingWarning, match=line):
        emulator.rollout(factor * u0, viscosity, [time])


def test_inside_of_the_training_it_is_silent(emulator, u0):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        emulator.rollout(u0, 0.05, [0.02])


@pytest.mark.parametrize(("guided_error", "warned"), [(0.06, 1), (0.04, 0)])
def test_guidance_that_made_scored_forecasts_worse_is_told(emulator, u0, guided_error, warned):
    scores = emulator.card.scores | {"rollout/ttc/nrmse": guided_error}
    scored = replace(emulator, card=emulator.card.model_copy(update={"scores": scores}))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, at the first derivative of a process
        scored.rollout(u0, 0.05, [0.02])
        scored.rollout(u0, 0.05, [0.02], guided=True)
    assert [one.category for one in told] == [GuidanceWarning] * warned
    assert all("erred by 0.06 over its scored rollouts, and by 0.05 without" in str(one.message) for one in told)


def test_a_forecast_that_leaves_all_bounds_is_counted_aloud(emulator, u0, monkeypatch):
    forecast = Emulator._forecast

    def lost(self, *arguments):
        answer = forecast(self, *arguments).clone()
        answer[1, ..., 7] = float("inf")
        return answer

    monkeypatch.setattr(Emulator, "_forecast", lost)
    with pytest.warns(DivergedWarning, match="1 of 3 forecasts left all bounds"):
        emulator.rollout(u0, 0.05, [0.02])


@pytest.mark.parametrize(("small", "threads"), [(3, {1}), (2, {None})])
def test_only_small_pieces_are_each_left_to_one_core(emulator, u0, monkeypatch, small, threads):
    """Three fields, where so many states count as small."""
    seen = set()

    def noted(work, threads=None):
        seen.add(threads)
        return work()

    monkeypatch.setattr(module, "SMALL", small * emulator.parts.codec.grid.size)
    plain = emulator.rollout(u0, 0.05, [0.02])
    monkeypatch.setattr(module, "apart", noted)
    assert np.allclose(emulator.rollout(u0, 0.05, [0.02]), plain, atol=1e-6)
    assert seen == threads
