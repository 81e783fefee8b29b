"""Whole trajectories, each in one split only, equally many of each viscosity, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw_files import BURGERS, two_channels, write_groups
from universal_simulator.acquisition.card import _splits
from universal_simulator.acquisition.splits import _needed_each, _order, _rows, alike, crossing, published_test, split
from universal_simulator.acquisition.store import RawFile, RawStore
from universal_simulator.configuration import Data
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Trajectories, joined
from universal_simulator.support.errors import InputError


@given(
    st.integers(2, 40), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 30), st.integers(0, 5)
)
@settings(max_examples=50, deadline=None)
def test_no_two_splits_share_a_trajectory(train, validation, test, viscosities, surplus, seed):
    data = Data(
        parameters={"nu": tuple(0.1 * (i + 1) for i in range(viscosities))},
        source={"kind": "local"},
        time_stride=2,
        train=train * viscosities,
        validation=validation * viscosities,
        test=test * viscosities,
        split_seed=seed,
    )
    order = _order(train + validation + test + surplus, data)
    rows = _rows(order, _needed_each(data, viscosities))
    assert [len(rows[name]) for name in ("train", "validation", "test")] == [train, validation, test]
    together = np.concatenate(list(rows.values()))
    assert len(set(together.tolist())) == len(together)
    assert together.max() < train + validation + test + surplus


def two_files(raw_file, **data) -> tuple[RawStore, Data]:
    *_, path = (raw_file(f"1D_Burgers_Sols_Nu{nu}.hdf5", samples=20, Nu=nu) for nu in (0.01, 0.1))
    sizes = {"train": 20, "validation": 6, "test": 4, "time_stride": 2}
    given = {"parameters": {"nu": (0.01, 0.1)}, "source": {"kind": "local"}} | sizes | data
    return RawStore(path.parent, "burgers"), Data(**given)


def test_every_split_has_equally_many_of_each_viscosity(raw_file):
    chosen = split(*two_files(raw_file))
    for name, size in (("train", 20), ("validation", 6), ("test", 4)):
        viscosity = chosen[name].open().parameters[:, 0]
        assert (viscosity == 0.01).sum() == (viscosity == 0.1).sum() == size / 2
    assert chosen["train"].parts[0].rows == chosen["train"].parts[1].rows, "an initial condition is in one split only"


def test_the_seed_decides(raw_file):
    assert split(*two_files(raw_file)) == split(*two_files(raw_file))
    assert split(*two_files(raw_file)) != split(*two_files(raw_file, split_seed=1))


def test_too_few_samples_are_refused(raw_file):
    with pytest.raises(InputError, match=r"samples = 20 in each file must be at least the 25 .* lower data.train"):
        split(*two_files(raw_file, train=40))


def test_a_file_that_others_have_extended_is_split_as_before(raw_file):
    """Our own files grow when an experiment asks for more; the splits of those that asked for less must stay."""
    store, data = two_files(raw_file, source={"kind": "solve"}, train=10, validation=2, test=2)
    before = split(store, data)
    for nu in (0.01, 0.1):
        raw_file(f"1D_Burgers_Sols_Nu{nu}.hdf5", samples=33, Nu=nu)
    assert split(store, data) == before


def begun_alike(raw_file, starts, move=0, samples=30, **data) -> tuple[RawStore, Data]:
    """A file in which sample i begins as number ``starts[i]``, moved by i·move cells, and goes on by itself."""
    random = np.random.default_rng(1)
    u = random.normal(size=(samples, 5, 32)).astype(np.float32)
    first = random.normal(size=(samples, 32)).astype(np.float32)
    u[:, 0] = [np.roll(first[start], i * move) for i, start in enumerate(starts)]
    path = raw_file(samples=samples, tensor=u)
    sizes = {"train": 12, "validation": 4, "test": 4, "time_stride": 2}
    return RawStore(path.parent, "burgers"), Data(source={"kind": "local"}, **(sizes | data))


def rows_by_split(chosen) -> dict[str, list[int]]:
    return {name: list(one.parts[0].rows) for name, one in chosen.items()}


@given(st.lists(st.integers(0, 11), min_size=30, max_size=30), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_samples_that_begin_alike_never_fall_into_two_splits(starts, seed):
    order = _order(30, Data(source={"kind": "local"}, train=2, validation=1, test=1, time_stride=1, split_seed=seed))
    group = joined([starts])
    try:
        rows = _rows(order, [9, 3, 3], group)
    except InputError:
        assert len(set(starts)) < 12, "no need to refuse"
        return
    assert [len(rows[name]) for name in ("train", "validation", "test")] == [9, 3, 3]
    of = [{starts[row] for row in rows[name]} for name in ("train", "validation", "test")]
    assert not of[0] & (of[1] | of[2])
    assert not of[1] & of[2]


def shared(rows) -> set[int]:
    """Starts of training, two samples each, that are tested or chosen by."""
    return {row // 2 for row in rows["train"]} & {row // 2 for row in [*rows["validation"], *rows["test"]]}


def test_where_no_two_begin_alike_the_splits_are_those_of_the_row_numbers(raw_file):
    store, data = begun_alike(raw_file, range(30))
    order = np.random.default_rng([0, 30]).permutation(30)
    expected = {"train": order[:12].tolist(), "validation": order[12:16].tolist(), "test": order[16:20].tolist()}
    for kind in ("content", "content_translated", "rows"):
        assert rows_by_split(split(store, data.model_copy(update={"split": kind}))) == expected


def test_twins_leak_by_row_numbers_and_not_by_content(raw_file, caplog):
    starts = [i // 2 for i in range(30)]
    by_rows = rows_by_split(split(*begun_alike(raw_file, starts, split="rows")))
    assert shared(by_rows)
    assert "data.split = rows: " in caplog.text
    assert "begin as one that is trained on" in caplog.text
    rows = rows_by_split(split(*begun_alike(raw_file, starts)))
    assert not shared(rows)


def test_moved_twins_are_kept_together_where_that_is_asked(raw_file):
    starts = [i // 2 for i in range(30)]
    halves = {}
    for kind in ("content", "content_translated"):
        rows = rows_by_split(split(*begun_alike(raw_file, starts, move=3, split=kind)))
        halves[kind] = shared(rows)
    assert halves["content"]
    assert not halves["content_translated"]


def test_a_start_that_another_file_has_under_another_number_binds_the_two_rows(raw_file):
    random = np.random.default_rng(2)
    u = random.normal(size=(20, 5, 32)).astype(np.float32)
    paths = [raw_file(f"1D_Burgers_Sols_Nu{nu}.hdf5", samples=20, Nu=nu, tensor=v)
             for nu, v in ((0.01, u), (0.1, np.roll(u, 1, 0) * [[[1]], *[[[2]]] * 19]))]  # fmt: skip
    layouts = [RawStore(path.parent, "burgers").layout(RawFile(path, None)) for path in paths]
    assert alike(layouts, 20, "content").tolist() == [0, *range(1, 19), 0], "row 0 there begins as row 19 here"


def test_too_few_different_trajectories_are_refused(raw_file):
    told = r"different trajectories = 2 among 30 samples must be enough .* and test gets 0; lower data.test, or set data.split=rows"
    with pytest.raises(InputError, match=told):
        split(*begun_alike(raw_file, [i % 2 for i in range(30)]))


def test_a_problem_without_moved_solutions_has_no_split_by_them(raw_file, tmp_path):
    path = raw_file()
    data = Data(source={"kind": "local"}, train=4, validation=1, test=1, time_stride=1, split="content_translated")
    (tmp_path / "own").mkdir()
    path.rename(tmp_path / "own" / "u.hdf5")
    with pytest.raises(InputError, match="content_translated: data_only must have solutions that may be moved"):
        split(RawStore(tmp_path / "own", "data_only"), data)


def test_the_published_split_is_the_first_tenth_and_says_what_it_leaks(raw_file, caplog):
    starts = [0, 1, 2, *range(3, 27), 0, 1, 2]
    store, data = begun_alike(raw_file, starts, split="published", test=3, train=27 - 4)
    rows = rows_by_split(split(store, data))
    assert rows["test"] == [0, 1, 2]
    assert not {0, 1, 2} & {*rows["train"], *rows["validation"]}
    twins = sum(row in (27, 28, 29) for row in rows["train"])
    assert f"data.split = published: {twins} of the 3 test trajectories of a file begin as one" in caplog.text


def test_a_published_split_that_asks_for_more_than_its_tenth_is_refused(raw_file):
    with pytest.raises(InputError, match=r"must not exceed the 27 and 3 usable samples of its two parts; lower them"):
        split(*begun_alike(raw_file, range(30), split="published"))


def test_of_files_of_groups_the_published_test_is_the_last_tenth(tmp_path):
    write_groups(tmp_path / "a.h5", two_channels(samples=20))
    layout = RawStore(tmp_path, "data_only").layout(RawFile(tmp_path / "a.h5", None))
    assert published_test(layout, 20).tolist() == [18, 19]


def test_the_card_says_what_the_published_split_leaks():
    data = Data(source={"kind": "local"}, train=4, validation=1, test=2, time_stride=1, split="published")
    assert "2 of the 2 test trajectories begin exactly as one that is trained on" in _splits(data, 2)
    assert "begin exactly" not in _splits(data.model_copy(update={"split": "content"}))


def test_crossing_counts_starts_that_are_the_same_to_the_last_bit():
    u = np.random.default_rng(0).normal(size=(6, 3, 1, 16)).astype(np.float32)
    u[5, 0] = u[0, 0]
    whole = Trajectories.of(u, (0.01,), np.arange(3) * 0.1, BURGERS, Grid.interval(16))
    assert crossing(whole.subset([4, 5]), whole.subset([0, 1])) == 1
    u[5, 0, 0, 0] += 1e-6
    assert crossing(whole.subset([4, 5]), whole.subset([0, 1])) == 0
