"""Each finding by a small case whose answer is known, and none where nothing is wrong."""

from pathlib import Path

import numpy as np
import pytest

from raw_files import PLANE, TIMES, two_channels, write_burgers, write_groups, write_well
from solved import burgers, solved
from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.audit import equation, motion, numbers, trivial
from universal_simulator.audit import motion as solving
from universal_simulator.audit import numbers as starts
from universal_simulator.audit.findings import graded
from universal_simulator.audit.judging import audit_file, audit_splits, audit_together
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

DATA_ONLY = find("data_only")
OPEN = Asked(DATA_ONLY.facts, None, None, True)


def wave(samples: int = 12, frames: int = 9, points: int = 32, seed: int = 0) -> np.ndarray:
    """Return (sample, time, channel, space): two waves of random phases that turn."""
    random = np.random.default_rng(seed)
    x, t = np.arange(points) / points, np.arange(frames)[:, None] * 0.1
    phase, size = random.uniform(0, 6.28, (2, samples, 1, 1)), random.uniform(0.5, 1, (2, samples, 1, 1))
    waves = size[0] * np.sin(6.28 * x + phase[0] - t) + size[1] * np.sin(12.57 * x + phase[1] + 2 * t)
    return waves[:, :, None].astype(np.float32)


def field(u: np.ndarray, facts: Facts | None = None) -> Trajectories:
    facts = facts or Facts(name="data_only", channels=tuple(Channel(name=f"c{i}") for i in range(u.shape[2])))
    return Trajectories.of(u, (), np.arange(u.shape[1]) * 0.1, facts, Grid.interval(u.shape[-1]))


def names(findings) -> dict[str, float]:
    return {one.name: one.value for one in findings}


def of_file(path: Path, asked: Asked = OPEN, problem: Problem = DATA_ONLY):
    return audit_file(read_layout(path, asked), problem, 100)


def test_numbers_that_are_none_are_counted_and_placed_and_the_rest_is_audited(tmp_path):
    u = two_channels(samples=12)
    u[3, 1, 0, 2, 4], u[5, 0, 1] = np.nan, np.inf
    write_groups(tmp_path / "a.h5", u)
    found = of_file(tmp_path / "a.h5").audit
    bad = next(one for one in found.findings if one.name == "not_finite")
    assert (bad.severity, bad.value) == ("error", 1 + u[5, 0, 1].size)
    assert "in 2 of 12 samples; the first at sample 3, snapshot 1, channel 0, point [2, 4]" in bad.message
    values = [one for one in found.findings if one.name == "values"]
    good = np.isfinite(u[:, :, 0])
    assert values[0].value == pytest.approx(np.sqrt(np.square(u[:, :, 0][good], dtype=np.float64).mean()))
    assert all(np.isfinite(score) for one in found.baselines.values() for score in one.values())


def test_what_a_file_calls_missing_is_told(tmp_path):
    import h5py

    write_burgers(tmp_path / "a.hdf5", wave()[:, :, 0], np.arange(9) * 0.1)
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        file["tensor"].attrs["valid_max"] = 1.0
        above = int((file["tensor"][()] > 1).sum())
    assert names(of_file(tmp_path / "a.hdf5").audit.findings)["not_valid"] == above > 0


def test_a_changed_number_is_told_by_its_checksum(tmp_path):
    write_well(tmp_path / "a.h5", two_channels(samples=12))
    assert "altered" not in names(of_file(tmp_path / "a.h5").audit.findings)
    import h5py

    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["t0_fields/u"][2, 0, 0, 0] += 1
    found = {one.name: one for one in of_file(tmp_path / "a.h5").audit.findings}
    assert found["altered"].severity == "error"
    assert "the first is 2" in found["altered"].message


@pytest.mark.parametrize("write", [write_groups, write_well])
def test_every_layout_is_audited_as_it_is_read(tmp_path, write):
    write(tmp_path / "a.h5", two_channels(samples=12))
    found = names(of_file(tmp_path / "a.h5").audit.findings)
    assert {"values", "distinct_trajectories", "no_equation"} <= found.keys()
    assert found["distinct_trajectories"] == 12


def test_tiles_of_one_trajectory_tell_the_same_as_whole_ones(tmp_path, monkeypatch):
    write_groups(tmp_path / "a.h5", two_channels(samples=5))
    layout = read_layout(tmp_path / "a.h5", OPEN)
    u = Trajectories.of(two_channels(samples=5), (), TIMES, layout.facts, PLANE)
    whole = numbers.scan(layout, u)
    monkeypatch.setattr(numbers, "AT_ONCE", 2 * PLANE.size * 2)
    parts = numbers.scan(layout, u)
    assert np.allclose(whole.square, parts.square)
    assert (whole.digest, whole.least.tolist()) == (parts.digest, parts.least.tolist())
    assert whole.search is not None
    assert parts.search is None


def test_predictors_that_learn_nothing_score_what_their_formulas_say():
    u = wave(samples=10)
    trial = trivial.Trial(field(u[:8]), field(u[8:]))
    scores, _ = trivial.score(trial)
    truth, start = u[8:, 1:].astype(np.float64), u[8:, :1]

    def nrmse(forecast):
        return (np.sqrt(((forecast - truth) ** 2).sum((1, 2, 3)) / (truth**2).sum((1, 2, 3)))).mean()

    assert scores["persistence"]["nrmse"] == pytest.approx(nrmse(start), rel=1e-6)
    assert scores["persistence"]["of_change"] == pytest.approx(1)
    assert scores["one_step"]["nrmse"] == pytest.approx(nrmse(u[8:, :-1]), rel=1e-6)
    assert scores["mean"]["nrmse"] == pytest.approx(nrmse(u[:8, 1:].astype(np.float64).mean(0)), rel=1e-6)
    nearest = [np.argmin(((u[:8, 0] - one[0]) ** 2).sum((1, 2))) for one in u[8:]]
    assert scores["nearest"]["nrmse"] == pytest.approx(nrmse(u[nearest, 1:]), rel=1e-6)


def test_what_is_linear_in_one_number_is_solved_by_a_straight_line_and_what_is_not_is_not():
    random = np.random.default_rng(1)
    size = random.uniform(1, 2, (20, 1, 1, 1))
    u = (size * wave(samples=1)).astype(np.float32)
    scores, number = trivial.score(trivial.Trial(field(u[:16]), field(u[16:])))
    assert scores["interpolation"]["of_change"] < 1e-5
    assert "interpolation_solves" in names(trivial.judge(scores, number))
    scores, number = trivial.score(trivial.Trial(field(wave()[:9]), field(wave()[9:])))
    assert scores["interpolation"]["of_change"] > 0.3
    assert not list(trivial.judge(scores, number))


def test_frames_that_hardly_differ_make_scores_of_one_step_worthless():
    u = wave()[:, :1] * (1 + 1e-5 * np.arange(9)[:, None, None])
    scores, number = trivial.score(trivial.Trial(field(u[:9]), field(u[9:])))
    assert "step_is_a_copy" in names(trivial.judge(scores, number))


def test_channels_that_stand_still_die_or_level_are_told_apart():
    u, x = wave(frames=41), np.arange(32) / 32
    decay = np.exp(-0.5 * np.arange(41))[:, None, None]
    still = np.broadcast_to(u[:, :1], u.shape)
    levelled = 1 + decay * np.sin(6.28 * x)
    four = np.concatenate([u, still, u * decay, np.broadcast_to(levelled, u.shape)], 2).astype(np.float32)
    told = [(one.name, one.message.split()[0]) for one in motion.judge_motion(motion.measure(field(four)))]
    assert ("still_channel", "c1") in told
    assert ("vanishing_channel", "c2") in told
    assert ("norm_is_rounding", "from") in told
    assert ("flat_tail", "c3") in told
    assert not [name for name, channel in told if channel == "c0"]


def test_growth_from_nothing_is_no_decay():
    u = wave(frames=41) * np.exp(0.5 * (np.arange(41) - 40))[:, None, None]
    assert not list(motion.judge_motion(motion.measure(field(u.astype(np.float32)))))


@pytest.mark.parametrize(("step", "apart"), [(0.3, False), (1.5, True)])
def test_snapshots_are_too_far_apart_where_waves_turn_by_a_radian_between_them(step, apart):
    t, x = np.arange(21)[:, None] * step, np.arange(32) / 32
    u = np.sin(6.2832 * x - t)[None, :, None].astype(np.float32)
    found = names(motion.judge_motion(motion.measure(field(u))))
    assert ("frames_apart" in found) == apart
    if apart:
        assert found["frames_apart"] == pytest.approx(np.tan(step / 2), rel=0.01)


def test_the_equation_holds_for_what_its_solver_made_and_gives_the_parameter_back():
    u = burgers(4, 21, 128, nu=0.05)
    found = list(equation.judge(u, find("burgers")))
    assert {one.severity for one in found} == {"note"}
    assert names(found)["equation_residual"] < 1e-3
    assert names(found)["parameter"] == pytest.approx(0.05, rel=0.01)


def test_a_parameter_that_was_not_the_declared_one_is_told_with_its_value():
    u = burgers(4, 21, 128, nu=0.2)
    u.parameters[:] = 0.05
    found = {one.name: one for one in equation.judge(u, find("burgers"))}
    assert found["parameter"].severity == "error"
    assert found["parameter"].value == pytest.approx(0.2, rel=0.02)


def test_what_the_rate_is_not_linear_in_is_searched_for_with_the_solver():
    problem = find("kuramoto_sivashinsky")
    u = solved("kuramoto_sivashinsky", 2, problem.times[:9], (64,), (22.0,))
    assert "parameter" not in names(equation.judge(u, problem)), "the length stands in a denominator"
    found = names(solving.judge_solver(u, problem, estimate=True))
    assert found["solver_disagrees"] < 0.01
    assert found["parameter"] == pytest.approx(22, rel=0.01)
    u.parameters[:] = 33.0
    wrong = {one.name: one for one in solving.judge_solver(u, problem, estimate=True)}
    assert wrong["parameter"].severity == "error"
    assert wrong["parameter"].value == pytest.approx(22, rel=0.05)


def test_what_should_be_kept_and_is_not_is_told_by_how_much():
    facts = find("burgers").facts
    u = burgers(3, 11, 64)
    grown = u.read(slice(None)).numpy() * (1 + 0.1 * np.arange(11))[:, None, None]
    moved = u.read(slice(None)).numpy() + 0.3 * np.arange(11)[:, None, None].astype(np.float32)
    kept = {one.name: one.severity for one in equation.judge_kept(u)}
    assert kept == {"conservation": "note", "energy_grows": "note"}
    for values, name in ((grown, "energy_grows"), (moved, "conservation")):
        some = Trajectories.of(values.astype(np.float32), (0.05,), u.times, facts, u.grid)
        assert {one.name: one.severity for one in equation.judge_kept(some)}[name] == "error"


def test_moved_copies_are_told_where_solutions_may_be_moved():
    u = burgers(6, 3, 64).read(slice(None)).numpy()
    facts, times, grid = find("burgers").facts, np.arange(3) * 0.01, Grid.interval(64)
    train = Trajectories.of(u, (0.05,), times, facts, grid)
    test = Trajectories.of(np.roll(u[:2], 9, -1), (0.05,), times, facts, grid)
    assert names(starts.judge_moved(train, test)) == {"moved_copies": 2}
    assert not list(starts.judge_moved(train.subset([0, 1, 2]), train.subset([3, 4, 5])))


def test_files_of_the_same_numbers_under_two_parameters_are_one(tmp_path):
    u = wave()[:, :, 0]
    for nu in (0.01, 0.1):
        write_burgers(tmp_path / f"{nu}.hdf5", u, np.arange(9) * 0.1, nu)
    told = {one.name: one for one in audit_together([of_file(path) for path in sorted(tmp_path.iterdir())])}
    assert told["same_file"].severity == "error"
    assert "the same numbers as another file has: 0.1.hdf5 = 0.01.hdf5" in told["same_file"].message


def test_the_folders_of_the_well_are_a_published_split(tmp_path):
    for name, values in (("train", two_channels(8)), ("test", two_channels(8)[:3])):
        (tmp_path / name).mkdir()
        write_well(tmp_path / name / "a.h5", values)
    told = names(audit_together([of_file(path) for path in sorted(tmp_path.rglob("*.h5"))]))
    assert told["published_split_leaks"] == 3


def test_an_experiments_splits_are_held_against_each_other():
    u = burgers(12, 11, 64)
    parts = {"train": u.subset(range(8)), "validation": u.subset([8, 9]), "test": u.subset([10, 11])}
    audit = audit_splits(parts, find("burgers"), 100)
    assert not audit.of("error")
    assert set(audit.baselines) == {"persistence", "one_step", "mean", "nearest", "interpolation"}
    leaking = audit_splits({**parts, "test": u.subset([0, 11])}, find("burgers"), 100)
    assert names(leaking.of("error"))["split_leaks"] == 1


def test_one_sample_or_two_frames_are_audited_as_far_as_they_go(tmp_path):
    write_groups(tmp_path / "a.h5", two_channels(samples=1))
    assert not of_file(tmp_path / "a.h5").audit.baselines
    write_burgers(tmp_path / "b.hdf5", wave(samples=4, frames=2)[:, :, 0], np.arange(2) * 0.1)
    problem = find("burgers")
    assert of_file(tmp_path / "b.hdf5", Asked(problem.facts, problem.grid), problem).audit.baselines


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        of_file(tmp_path / "a.h5")


def test_the_page_lists_every_finding_there_is():
    import re

    root = Path(__file__).parents[2]
    code = "".join(path.read_text() for path in (root / "src" / "universal_simulator" / "audit").glob("*.py"))
    made = {*re.findall(r'name="(\w+)"', code), *(f"{one}_solves" for one in ("interpolation", "nearest", "mean"))}
    made |= {"published_split_leaks", "split_leaks"}
    listed = re.findall(
        r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", (root / "docs" / "audit.md").read_text(), re.M))
    )
    assert made <= set(listed)


@pytest.mark.parametrize(("value", "above", "severity"), [
    (0.3, True, "error"), (0.1, True, "warning"), (0.01, True, "note"), (float("nan"), True, "error"),
    (0.01, False, "error"), (0.1, False, "warning"), (0.3, False, "note"),
])  # fmt: skip
def test_numbers_are_graded_from_both_sides(value, above, severity):
    bounds = (0.2, 0.05) if above else (0.05, 0.2)
    assert graded(value, *bounds, above=above) == severity
