"""Distributions in, distributions out: against closed forms of heat, of linear functions and of a known model error."""

import json
import math
import os

import numpy as np
import pytest
import torch

from commands import run_command
from universal_simulator.configuration import Propagate, Uncertain
from universal_simulator.evaluation.uncertainty import Plan, described
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.serving import OutsideTrainingWarning
from universal_simulator.serving.propagation import Inputs, longest_waves, propagate, quantity
from universal_simulator.support.errors import InputError

POINTS, MODES, SPREAD, TIME = 32, 2, 0.5, 0.1
GRID = Grid.interval(POINTS)
X = GRID.axes[0].centres().float()
MEAN = torch.sin(2 * torch.pi * X)[None, None]


def heat(u, parameters):
    """The exact solution at TIME, of one member."""
    k = 2 * torch.pi * torch.arange(POINTS // 2 + 1)
    decay = torch.exp(-parameters[:, :1] * k.square() * TIME)
    return torch.fft.irfft(torch.fft.rfft(u[:, 0]) * decay, n=POINTS)[:, None, None, None]


def uncertain(spread=SPREAD, samples=256, **parameters):
    modes = [(f"u, mode {i}", "initial field", "norm", (0.0, 1.0)) for i in range(2 * MODES if spread else 0)]
    drawn = [(name, name, *one) for name, one in parameters.items() if isinstance(one, tuple)]
    plan = Plan(*zip(*modes, *drawn, strict=True), samples)
    waves = spread * longest_waves(GRID, MODES) if spread else torch.zeros(0, POINTS)
    return Inputs(MEAN, waves, plan, ("nu",), {name: v for name, v in parameters.items() if not isinstance(v, tuple)})


def test_indices_of_a_linear_function_are_the_shares_of_its_squared_coefficients():
    plan = Plan(("a", "b", "c"), ("a", "b", "b"), ("norm", "norm", "unif"), ((0, 1), (1, 2), (0, math.sqrt(12))), 512)
    a, b, c = plan.rows().T
    found = plan.indices(3 * a + b + c)  # variances 9, 4 and 1
    for kind in ("first", "total"):
        assert found["a"][kind] == pytest.approx(9 / 14, abs=0.03)
        assert found["b"][kind] == pytest.approx(5 / 14, abs=0.03)


def test_mean_and_variance_of_diffusing_gaussian_fields_are_those_of_the_closed_form():
    nu, where = 0.02, 5
    fields, numbers = propagate(uncertain(nu=nu), heat, Propagate(exceeds=(0.4,)), where)
    k = 2 * np.pi * np.arange(1, MODES + 1)
    sd = SPREAD * math.sqrt(np.exp(-2 * nu * k**2 * TIME).mean())
    mean = MEAN[0, 0, where].item() * math.exp(-nu * k[0] ** 2 * TIME)
    assert numbers["0/0/mean"] == pytest.approx(mean, abs=0.02)
    assert numbers["0/0/sd"] == pytest.approx(sd, rel=0.03)
    gaussian = torch.distributions.Normal(mean, sd)
    assert numbers["0/0/quantile_0.95"] == pytest.approx(gaussian.icdf(torch.tensor(0.95)).item(), abs=0.06)
    assert numbers["0/0/exceeds_0.4"] == pytest.approx(1 - gaussian.cdf(torch.tensor(0.4)).item(), abs=0.03)
    assert numbers["0/0/share_of_model_error"] == 0
    assert fields.std((0, 1))[0, 0] == pytest.approx(np.full(POINTS, sd), rel=0.05)  # the same at every point


def test_indices_of_a_product_are_those_of_its_moments():
    """A wave of random height that decays at a random rate: alone, the rate changes no mean of waves around zero."""
    low, high = 0.01, 0.3
    known = uncertain(samples=1024, nu=("unif", (low, high)))
    known = Inputs(0 * MEAN, SPREAD * longest_waves(GRID, 1), Plan(*zip(
        *[(f"mode {i}", "initial field", "norm", (0.0, 1.0)) for i in range(2)], ("nu", "nu", "unif", (low, high)),
        strict=True), 1024), ("nu",), {})  # fmt: skip
    numbers = propagate(known, heat, Propagate(), 5)[1]
    decay = np.exp(-np.linspace(low, high, 10_001) * (2 * np.pi) ** 2 * TIME)
    share = decay.mean() ** 2 / np.square(decay).mean()
    assert numbers["0/0/first/initial_field"] == pytest.approx(share, abs=0.04)
    assert numbers["0/0/total/initial_field"] == pytest.approx(1, abs=0.06)
    assert numbers["0/0/first/nu"] == pytest.approx(0, abs=0.04)
    assert numbers["0/0/total/nu"] == pytest.approx(1 - share, abs=0.04)


def test_the_model_s_own_error_has_its_share_of_the_variance():
    noise = np.random.default_rng(0).normal(0, 0.5, (20_000, 8))
    inputs = np.random.default_rng(1).normal(2, 1.0, (20_000, 1))
    told = described(inputs + noise, (0.5,), (2.0,))
    assert told["share_of_model_error"] == pytest.approx(0.25 / 1.25, abs=0.01)
    assert told["sd"] == pytest.approx(math.sqrt(1.25), rel=0.01)
    assert told["exceeds_2"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("sides", [("periodic", "periodic"), ("wall", "wall")])
def test_initial_fields_have_the_asked_spread_in_any_dimension(sides):
    axes = tuple(Axis(name=name, points=16, lower=-1.0, sides=sides) for name in "yx")
    variance = longest_waves(Grid(axes=axes), 2).square().sum(0)
    assert variance.mean() == pytest.approx(1, rel=1e-5)
    if sides[0] == "periodic":
        torch.testing.assert_close(variance, torch.ones(16, 16))


def test_the_quantity_is_the_value_at_a_place_or_the_maximum():
    fields = np.arange(24.0).reshape(2, 2, 2, 3)
    assert quantity(fields, 4).tolist() == [[4, 10], [16, 22]]
    assert quantity(fields, None).tolist() == [[5, 11], [17, 23]]


ASKED = Propagate(spread=0.1, modes=1, parameters={"nu": Uncertain(first=0.04, second=0.06)}, times=(0.02, 0.1),
                  members=2, samples=4, solver_samples=2, at=(0.3,))  # fmt: skip
WAVE = np.sin(2 * np.pi * X.numpy())


def test_a_model_is_told_the_inputs_and_the_solver_the_same_ones(emulator):
    with pytest.warns(OutsideTrainingWarning, match="nu = 0.0.* is outside the training data's 0.05"):
        made = emulator.propagate(WAVE, ASKED)
    assert made.fields.shape == (8, 2, 2, 1, POINTS)
    assert made.solved.shape == (2, 1, 2, 1, POINTS)
    names = {name.partition("/")[0] for name in made.numbers}
    assert names == {"u", "solver", "model_of_the_same"}
    assert {"u/0.1/mean", "u/0.1/first/nu", "u/0.1/total/initial_field", "solver/u/0.1/sd"} <= {*made.numbers}
    # after one short step no field is far from where it began
    began = made.solved[:, 0, 0, 0]
    assert np.abs(began - WAVE).max() < 0.6
    assert made.cost.training_seconds == 60
    with pytest.warns(OutsideTrainingWarning):
        repeated = emulator.propagate(WAVE, ASKED)
    np.testing.assert_array_equal(repeated.fields, made.fields)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"spread": 0.0, "parameters": {"nu": 0.05}},
            r"propagate\.spread = 0 and no distribution: must be one uncertain",
        ),
        ({"parameters": {}}, r"propagate\.parameters\.nu = missing: must be a number or a distribution"),
        ({"parameters": {"nu": 0.05, "mu": 1.0}}, r"propagate\.parameters\.mu = unknown: must be nu; drop it"),
        ({"at": (1.5,)}, r"propagate\.at = 1\.5: must be in the domain, x in \(0, 1\)"),
        ({"samples": 2**22}, r"must cost at most 1e\+09"),
    ],
)
def test_what_cannot_be_propagated_is_refused_in_one_line(emulator, monkeypatch, change, line):
    if "samples" in change:
        monkeypatch.setenv("UNIVERSAL_SIMULATOR_LARGEST_FORECAST", "1e9")
        monkeypatch.setattr(Plan, "rows", lambda self: np.full((10**5, 3), 0.05))
    with pytest.raises(InputError, match=line) as refused:
        emulator.propagate(WAVE, ASKED.model_copy(update=change))
    assert "\n" not in str(refused.value)


def test_several_initial_fields_are_no_mean(emulator):
    with pytest.raises(InputError, match=r"propagate\.initial = 2 fields: must be one, the mean; give one"):
        emulator.propagate(np.stack([WAVE, WAVE]), ASKED)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"samples": 100}, "samples = 100 must be a power of two; take 128"),
        ({"parameters": {"nu": {"first": 2.0, "second": 1.0}}}, "first = 2 must be below second = 1; swap them"),
        (
            {"parameters": {"nu": {"kind": "lognormal", "first": -1.0, "second": 1.0}}},
            "must be positive, as the median",
        ),
    ],
)
def test_distributions_and_samples_have_their_rules(values, line):
    with pytest.raises(ValueError, match=line):
        Propagate.model_validate(values)


@pytest.mark.slow
def test_the_pipeline_leaves_numbers_and_a_page(tmp_path):
    np.save(tmp_path / "u0.npy", WAVE)
    asked = "{nu: {kind: lognormal, first: 0.01, second: 0.1}}"
    params = f"propagate.model=shipped:golden,propagate.initial={tmp_path}/u0.npy,propagate.spread=0.1"
    params += f",propagate.parameters={asked},propagate.times=[0.1],propagate.samples=16,propagate.exceeds=[1.0]"
    environment = {**os.environ, "UNIVERSAL_SIMULATOR_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = ["-m", "kedro", "run", "--pipeline=propagate", f"--params={params}"]
    done = run_command(words, environment, tmp_path / "said")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    result = json.loads((tmp_path / "08_reporting/propagate/result/result.json").read_text())
    assert result["u/0.1/mean"] == pytest.approx(result["solver/u/0.1/mean"], rel=0.05)
    assert "cost/break_even_queries" in result
    page = (tmp_path / "08_reporting/propagate/result/report.html").read_text()
    assert "of that variance is the model" in page
