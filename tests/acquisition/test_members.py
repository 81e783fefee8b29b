"""Several equations of one problem in one data set: each with its own ranges, initial fields, name and scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from universal_simulator.acquisition import sources
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data
from universal_simulator.emulation.protocols import Sample, make_task
from universal_simulator.evaluation.metrics import Truth
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.evaluation.scores import score_intervals
from universal_simulator.fields.facts import belongs
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.support.errors import InputError

BURGERS = {
    "name": "burgers", "family": "sines", "parameters": {"convection": [1.0], "diffusion": {"low": 0.05, "high": 0.1}}
}  # fmt: skip
SOLITONS = {"name": "solitons", "family": "waves", "parameters": {"convection": [1.0], "dispersion": [1e-3]}}
SIZES = {"train": 12, "validation": 4, "test": 8, "time_stride": 1}
FEW = np.arange(4) * 0.01


def data(*members: dict, **other: object) -> Data:
    return Data.model_validate({"members": members, "source": {"kind": "solve", "points": 32}, **SIZES, **other})


@pytest.fixture(scope="module")
def test_split(tmp_path_factory) -> Trajectories:
    """The test trajectories of two equations, of four snapshots each."""
    store, asked = RawStore(tmp_path_factory.mktemp("members"), "semilinear"), data(BURGERS, SOLITONS)
    for one in store.files(asked):
        order = sources.order(store, one, asked.source)
        short = type(order)(order.problem, order.parameters, order.source, order.grid, FEW)
        sources.solve.provide(one.path, short, asked.needed)
    return split(store, asked)["test"].open()


def test_each_member_is_a_file_of_its_own_ranges_and_initial_fields(test_split):
    assert test_split.names == ["burgers"] * 4 + ["solitons"] * 4
    names = [one.name for one in test_split.facts.parameters]
    told = dict(zip(names, test_split.parameters.T, strict=True))
    assert told["dispersion"].tolist() == [0.0] * 4 + [1e-3] * 4
    assert ((told["diffusion"][:4] > 0.05) & (told["diffusion"][:4] < 0.1)).all()
    sets = test_split.facts.sets(*data(BURGERS, SOLITONS).given)
    for name, row in zip(test_split.names, test_split.parameters, strict=True):
        assert [belongs(row.tolist(), one) for one in sets] == [name == "burgers", name == "solitons"]
    mean = test_split.read(slice(None), [0]).mean((1, 2, 3))
    assert mean[4:].abs().max() < 1e-6 < mean[:4].abs().min()  # sines have one, waves none


def test_any_share_of_what_is_trained_on_holds_each_equation_alike(test_split):
    assert test_split.interleave_by_parameter(4).names == ["burgers", "solitons"] * 2


def test_each_equation_has_scores_and_intervals_by_its_name(test_split):
    board, grid = Scoreboard(), test_split.grid
    sample = Sample(test_split.read(slice(None)), torch.tensor(test_split.parameters), test_split.times, grid)
    task = make_task("rollout", sample, 1, 1)
    truth = Truth(task.truth, task.initial, task.times, task.parameters, test_split.facts, grid)
    wrong = torch.tensor([1.1] * 4 + [1.3] * 4).view(-1, 1, 1, 1)
    board.add("rollout", "deterministic", truth, (wrong * task.truth)[:, None])
    plain = {name: value for name, value in board.scores().items() if "_at_" not in name}
    board.name_sets(test_split.names)
    scores, intervals = board.scores(), score_intervals(board.trajectory_scores())
    for name, expected in (("nrmse", 0.2), ("nrmse_at_burgers", 0.1), ("nrmse_at_solitons", 0.3)):
        assert scores[f"rollout/deterministic/{name}"] == pytest.approx(expected, rel=1e-4)
        assert intervals[f"rollout/deterministic/{name}"].value == pytest.approx(expected, rel=1e-4)
    assert {name: scores[name] for name in plain} == plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": [BURGERS, BURGERS]}, "members = burgers, burgers must have different names; rename one"),
        ({"parameters": {"speed": [1.0]}}, "members = 2 must stand without parameters; drop either"),
        ({"source": {"kind": "local"}}, "members = 2 must have source.kind = solve; name files or parameters"),
        ({"test": 9}, "test = 9 must be a multiple of the 2 sets of parameters; take 10"),
        (
            {"members": [{"name": "b", "parameters": {"speed": [1.0, 2.0]}}]},
            r"parameters.speed = \[1.0, 2.0\] must be one value or a range; make a member of each value",
        ),
    ],
)
def test_members_that_make_no_data_set_are_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        Data.model_validate(data(BURGERS, SOLITONS).model_dump() | change)


def test_two_members_of_the_same_equation_are_refused_however_it_is_written():
    same = {"name": "again", "parameters": SOLITONS["parameters"] | {"reaction": [0.0]}}
    with pytest.raises(
        InputError, match=r"data.members = growth 0, .*convection 1, reaction 0 twice: must have differ"
    ):
        RawStore(Path("x"), "semilinear").files(data(SOLITONS, same))


def test_a_parameter_that_no_member_names_has_the_problem_s_own_value():
    facts = RawStore(Path("x"), "burgers").problem.facts
    (plain,) = facts.sets(*data({"name": "plain", "parameters": {}}).given)
    assert belongs([0.01], plain)
    assert not belongs([0.0], plain)


def test_the_files_are_named_by_all_coefficients():
    assert Path(RawStore(Path("x"), "semilinear").files(data(BURGERS, SOLITONS))[1].path).name == (
        "1D_Semilinear_Sols_g0.0_c0.0_d0.0_e0.001_h0.0_b1.0_r0.0.hdf5"
    )
