"""Whole trajectories, each in one split only, equally many of each viscosity, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from universal_simulator.acquisition.splits import _rows, split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import Data
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
    rows = _rows(train + validation + test + surplus, data, viscosities)
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
