"""Trajectories are read lazily, in the order asked, from as many arrays as there are."""

import numpy as np
import pytest

from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.support.errors import InputError

TIMES = np.linspace(0, 1, 6)


def numbered(samples: int, first: int = 0, points: int = 4) -> np.ndarray:
    """Make an array in which every snapshot holds ``100 · sample + time``."""
    label = 100 * (first + np.arange(samples))[:, None] + np.arange(len(TIMES))
    return np.repeat(label[..., None], points, -1).astype(np.float32)


def two_sources() -> Trajectories:
    """Return rows 4, 1 of one array and rows 0, 2 of another one."""
    return Trajectories(
        [Source(numbered(5), np.array([4, 1]), 0.01), Source(numbered(3, first=50), np.array([0, 2]), 0.1)], TIMES
    )


def test_samples_and_times_come_in_the_order_asked() -> None:
    """Sources follow each other; rows and snapshots may be asked for in any order."""
    trajectories = two_sources()
    assert trajectories.viscosity.tolist() == [0.01, 0.01, 0.1, 0.1]
    assert trajectories.read([3, 0, 2], [5, 0])[..., 0].tolist() == [[5205, 5200], [405, 400], [5005, 5000]]
    assert trajectories.read(slice(1, 3), slice(0, None, 2))[..., 0].tolist() == [[100, 102, 104], [5000, 5002, 5004]]
    assert trajectories.windows([3, 0], np.array([[1, 2], [0, 5]]))[..., 0].tolist() == [[5201, 5202], [400, 405]]


def test_a_subset_is_what_it_says() -> None:
    """Samples of a subset are those of the whole at its indices; so is a subset of a subset."""
    whole = two_sources()
    part = whole.subset([3, 1]).subset(slice(0, 1))
    assert len(part) == 1
    assert part.viscosity.tolist() == [0.1]
    assert (part.read([0]) == whole.read([3])).all()


def test_the_fingerprint_follows_the_content_and_not_the_place() -> None:
    """Order, parameter and values count; in which array a trajectory lies does not."""
    array = numbered(5)
    mark = Trajectories.of(array, 0.01, TIMES).fingerprint
    assert Trajectories([Source(array[::-1].copy(), np.arange(5)[::-1], 0.01)], TIMES).fingerprint == mark
    assert Trajectories.of(array[::-1].copy(), 0.01, TIMES).fingerprint != mark
    assert Trajectories.of(array, 0.02, TIMES).fingerprint != mark
    array[3, -1, 2] += 1
    assert Trajectories.of(array, 0.01, TIMES).fingerprint != mark


def test_a_sample_that_is_not_there_is_an_index_error() -> None:
    """Numpy would wrap a negative index silently only where it means the end."""
    with pytest.raises(IndexError):
        two_sources().read([4])


def test_grids_are_not_mixed() -> None:
    """Two arrays on different grids are no data set."""
    with pytest.raises(InputError, match="one time axis and one grid"):
        Trajectories([Source(numbered(2), np.arange(2), 0.01), Source(numbered(2, points=8), np.arange(2), 0.1)], TIMES)
    with pytest.raises(InputError, match="times = 7"):
        Trajectories([Source(numbered(2), np.arange(2), 0.01)], np.arange(7.0))


def test_viscosities_take_turns_so_that_any_share_holds_each_of_them():
    viscosity = np.repeat([0.1, 0.001, 0.01], 20)
    numbered = np.broadcast_to(np.arange(60.0)[:, None, None], (60, 1, 4))
    ordered = Trajectories.of(numbered, viscosity, np.zeros(1)).interleave_by_parameter()
    order = ordered.read(slice(None))[:, 0, 0].numpy()
    assert sorted(order) == list(range(60))
    assert sorted(ordered.viscosity[-6:]) == [0.001, 0.001, 0.01, 0.01, 0.1, 0.1]
    assert list(order[ordered.viscosity == 0.001]) == list(range(20, 40))
    assert sorted(Trajectories.of(numbered, viscosity, np.zeros(1)).interleave_by_parameter(3).viscosity) == [
        0.001,
        0.01,
        0.1,
    ]
    alike = Trajectories.of(numbered, 0.01, np.zeros(1)).interleave_by_parameter(5)
    assert list(alike.read(slice(None))[:, 0, 0]) == [0, 1, 2, 3, 4]
