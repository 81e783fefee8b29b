"""Parameters that every trajectory draws for itself: from a range, the same ones however many there are."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from together import BURGERS, LINE
from universal_simulator.acquisition import solve
from universal_simulator.acquisition.layout import read_layout
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data, SolveSource, Span
from universal_simulator.fields.facts import drawn
from universal_simulator.fields.statistics import measure
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

RANGE = Span(low=0.05, high=2.0)
TIMES = np.arange(4) * 0.01


def order(values: Span = RANGE) -> solve.Order:
    (one,) = BURGERS.facts.sets({"nu": values})
    return solve.Order(BURGERS, one, SolveSource(chunk=16), LINE, TIMES)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Return a file of 20 trajectories, made of one of 10."""
    path = tmp_path_factory.mktemp("drawn") / BURGERS.file_name(order().parameters)
    solve.provide(path, order(), 10)
    solve.provide(path, order(), 20)
    return path


def test_a_logarithm_is_uniform_in_its_range_and_a_plain_number_is_too():
    logs = np.log(drawn((RANGE,), 0, range(4000))[:, 0] / RANGE.low) / np.log(RANGE.high / RANGE.low)
    plain = drawn((Span(low=-1.0, high=3.0, scale="linear"),), 0, range(4000))[:, 0]
    for share in (logs, (plain + 1) / 4):
        assert 0 <= share.min() < 0.01 < 0.99 < share.max() <= 1
        tenths = np.histogram(share, 10, (0, 1))[0]
        assert ((tenths - 400) ** 2 / 400).sum() < 27.9  # chi-squared of 9 degrees, one in a thousand


def test_a_sample_depends_on_seed_and_number_alone_and_each_parameter_draws_for_itself():
    both = (RANGE, Span(low=0.05, high=2.0))
    few, many = drawn(both, 3, [7]), drawn(both, 3, range(10))
    assert np.array_equal(few[0], many[7])
    assert not np.allclose(many[:, 0], many[:, 1])
    assert not np.array_equal(drawn(both, 4, [7]), few)


def test_each_trajectory_is_the_solution_of_its_own_equation(path):
    layout = read_layout(path, order().asked)
    values = layout.values[np.arange(20)[:, None], np.arange(4)]
    told = layout.rows(range(20))[:, 0]
    assert len(np.unique(told)) == 20
    for i in (0, 13):
        alone = BURGERS.solver.solve((told[i],), lambda g, i=i: BURGERS.family().batch(g, 0, [i]), TIMES, LINE)
        assert np.array_equal(values[i], alone.values[0].numpy())


def test_the_file_says_each_ones_parameter_and_how_all_were_drawn(path):
    assert path.name == "1D_Burgers_Sols_Nu0.05-2.0.hdf5"
    with h5py.File(path) as file:
        assert np.array_equal(file["scalars/nu"][()], drawn((RANGE,), 0, range(20))[:, 0])
        assert list(file["scalars"].attrs["field_names"]) == ["nu"]
        equation = json.loads(file.attrs["settings"])["equation"]
    assert equation == "u_t + (u²/2)_x = (0.05/π) u_xx to u_t + (u²/2)_x = (2.0/π) u_xx; nu log-uniform"


def test_a_split_and_its_statistics_know_them(path):
    sizes = {"train": 12, "validation": 4, "test": 4, "time_stride": 1}
    data = Data(parameters={"nu": {"low": 0.05, "high": 2.0}}, source={"kind": "solve"}, **sizes)
    chosen = split(RawStore(path.parent, "burgers"), data)
    parts = [chosen[name].open() for name in ("train", "validation", "test")]
    assert sorted(np.concatenate([part.parameters[:, 0] for part in parts])) == sorted(
        drawn((RANGE,), 0, range(20))[:, 0]
    )
    (known,) = measure(parts[0], 1).parameters
    assert (known.minimum, known.maximum) == (parts[0].parameters.min(), parts[0].parameters.max())
    again = type(chosen["train"]).model_validate_json(chosen["train"].model_dump_json()).open()
    assert torch.equal(again.read(slice(None)), parts[0].read(slice(None)))


def test_a_file_of_another_range_is_refused(path):
    with pytest.raises(InputError, match=r"parameters = .* must lie in 0.5 … 2, as asked for"):
        read_layout(path, order(Span(low=0.5, high=2.0)).asked)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"low": 2.0, "high": 1.0}, "low = 2 must be below high = 1; swap or change them"),
        ({"low": 0.0, "high": 1.0}, "low = 0 must be positive for scale = log; raise it, or set scale = linear"),
    ],
)
def test_a_range_that_is_none_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        Span.model_validate(given)


def test_a_range_of_published_files_is_refused_which_have_one_value_each():
    sizes = {"train": 12, "validation": 4, "test": 4, "time_stride": 1}
    with pytest.raises(ValidationError, match=r"parameters.nu = a range must be values for source.kind = published"):
        Data(parameters={"nu": {"low": 0.05, "high": 2.0}}, source={"kind": "published"}, **sizes)


def test_a_range_beyond_what_the_problem_allows_is_refused():
    with pytest.raises(InputError, match=r"parameters.nu = -1: must be positive and finite; correct it"):
        BURGERS.facts.sets({"nu": Span(low=-1.0, high=1.0, scale="linear")})


def test_a_problem_without_parameters_is_solved_into_a_file_and_gone_on_with(tmp_path):
    problem = find("diffusion_reaction")
    plane = problem.grid.resized((16, 16))
    mine = solve.Order(problem, (), SolveSource(chunk=16), plane, np.arange(3) * 0.05)
    path = tmp_path / problem.file_name(())
    for samples in (2, 17):
        solve.provide(path, mine, samples)
        assert read_layout(path, mine.asked).samples >= samples
    assert [drawn((), 0, range(n)).shape for n in (0, 3)] == [(0, 0), (3, 0)]
