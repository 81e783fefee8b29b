"""Trajectories are read lazily, in the order asked, from as many arrays as there are."""

import numpy as np
import pytest

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

TIMES, LINE = np.linspace(0, 1, 6), Grid.interval(4)
BURGERS, REACTION = find("burgers").facts, find("diffusion_reaction")


def numbered(samples: int, first: int = 0, points: int = 4) -> np.ndarray:
    """Make an array in which every snapshot holds ``100 · sample + time``."""
    label = 100 * (first + np.arange(samples))[:, None] + np.arange(len(TIMES))
    return np.repeat(label[..., None, None], points, -1).astype(np.float32)


def two_sources() -> Trajectories:
    """Return rows 4, 1 of one array and rows 0, 2 of another one."""
    return Trajectories(
        [Source(numbered(5), np.array([4, 1]), (0.01,)), Source(numbered(3, first=50), np.array([0, 2]), (0.1,))],
        TIMES,
        BURGERS,
        LINE,
    )


def of(values: np.ndarray, nu: float | np.ndarray = 0.01, times: np.ndarray = TIMES) -> Trajectories:
    """Wrap one array of Burgers' trajectories; one ν for all, or one for each."""
    return Trajectories.of(values, np.broadcast_to(np.asarray(nu), len(values))[:, None], times, BURGERS, LINE)


def test_samples_and_times_come_in_the_order_asked() -> None:
    """Sources follow each other; rows and snapshots may be asked for in any order."""
    trajectories = two_sources()
    assert trajectories.parameters[:, 0].tolist() == [0.01, 0.01, 0.1, 0.1]
    assert trajectories.read([3, 0, 2], [5, 0])[..., 0, 0].tolist() == [[5205, 5200], [405, 400], [5005, 5000]]
    assert trajectories.read(slice(1, 3), slice(0, None, 2))[..., 0, 0].tolist() == [
        [100, 102, 104],
        [5000, 5002, 5004],
    ]
    assert trajectories.windows([3, 0], np.array([[1, 2], [0, 5]]))[..., 0, 0].tolist() == [[5201, 5202], [400, 405]]


def test_a_subset_is_what_it_says() -> None:
    """Samples of a subset are those of the whole at its indices; so is a subset of a subset."""
    whole = two_sources()
    part = whole.subset([3, 1]).subset(slice(0, 1))
    assert len(part) == 1
    assert part.parameters[:, 0].tolist() == [0.1]
    assert (part.read([0]) == whole.read([3])).all()


def test_the_fingerprint_follows_the_content_and_not_the_place() -> None:
    """Order, parameter and values count; in which array a trajectory lies does not."""
    array = numbered(5)
    mark = of(array).fingerprint
    assert (
        Trajectories([Source(array[::-1].copy(), np.arange(5)[::-1], (0.01,))], TIMES, BURGERS, LINE).fingerprint
        == mark
    )
    assert of(array[::-1].copy()).fingerprint != mark
    assert of(array, 0.02).fingerprint != mark
    array[3, -1, 0, 2] += 1
    assert of(array).fingerprint != mark


def test_a_sample_that_is_not_there_is_an_index_error() -> None:
    """Numpy would wrap a negative index silently only where it means the end."""
    with pytest.raises(IndexError):
        two_sources().read([4])


def test_grids_are_not_mixed() -> None:
    """Two arrays on different grids are no data set."""

    def made(*points: int, times: np.ndarray = TIMES) -> Trajectories:
        sources = [Source(numbered(2, points=n), np.arange(2), (0.01,)) for n in points]
        return Trajectories(sources, times, BURGERS, LINE)

    with pytest.raises(InputError, match="one time axis and one grid"):
        made(4, 8)
    with pytest.raises(InputError, match="times = 7"):
        made(4, times=np.arange(7.0))
    with pytest.raises(InputError, match=r"of \(1, 8\) must be \(1, 4\), as burgers and its grid have it"):
        made(8)


def test_parameters_take_turns_so_that_any_share_holds_each_of_them() -> None:
    nu = np.repeat([0.1, 0.001, 0.01], 20)
    values = np.broadcast_to(np.arange(60.0)[:, None, None, None], (60, 1, 1, 4))
    whole = of(values, nu, np.zeros(1))
    assert whole.sets.tolist() == [[0.001], [0.01], [0.1]]
    ordered = whole.interleave_by_parameter()
    order, mixed = ordered.read(slice(None))[:, 0, 0, 0].numpy(), ordered.parameters[:, 0]
    assert sorted(order) == list(range(60))
    assert sorted(mixed[-6:]) == [0.001, 0.001, 0.01, 0.01, 0.1, 0.1]
    assert list(order[mixed == 0.001]) == list(range(20, 40))
    assert sorted(whole.interleave_by_parameter(3).parameters[:, 0]) == [0.001, 0.01, 0.1]
    alike = of(values, 0.01, np.zeros(1)).interleave_by_parameter(5)
    assert list(alike.read(slice(None))[:, 0, 0, 0]) == [0, 1, 2, 3, 4]


def test_two_channels_in_two_dimensions_without_parameters_are_read_as_they_are() -> None:
    grid = REACTION.grid.resized((3, 5))
    values = np.random.default_rng(0).standard_normal((4, 6, 2, 3, 5)).astype(np.float32)
    whole = Trajectories.of(values, (), TIMES, REACTION.facts, grid)
    assert whole.parameters.shape == (4, 0)
    assert (whole.read([2, 0], [5, 1]).numpy() == values[[2, 0]][:, [5, 1]]).all()
    assert (whole.windows([3], np.array([[0, 4]])).numpy() == values[[3]][:, [0, 4]]).all()
    assert (whole.interleave_by_parameter().read(slice(None)).numpy() == values).all()
    assert len(whole.sets) == 1


@pytest.mark.parametrize("at_once", [1, 8])
def test_the_fingerprint_does_not_depend_on_how_much_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    mark = of(numbered(5)).fingerprint
    monkeypatch.setattr("universal_simulator.fields.trajectories.ENDS_AT_ONCE", at_once)
    assert of(numbered(5)).fingerprint == mark
