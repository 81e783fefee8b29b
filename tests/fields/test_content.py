"""Trajectories that begin alike are found by content, also where they were moved, and none is taken for another."""

import numpy as np
import pytest

from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.trajectories import Trajectories, by_bytes, by_shape, joined, movable, starts_of
from universal_simulator.problems import find

PLANE = Grid(axes=(Axis(name="x", points=12), Axis(name="y", points=10)))
ROWS = np.arange(6)


def fields(grid: Grid, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(3).normal(1, 1, (6, channels, *grid.shape)).astype(np.float32)


def test_equal_bytes_are_equal_starts_and_a_negative_zero_is_zero():
    u = fields(Grid.interval(16))
    u[0, 0, 0], u[4] = 0.0, u[1]
    u[3] = u[0]
    u[3, 0, 0] = -0.0
    labels = by_bytes(lambda rows: u[rows], ROWS, 16)
    assert [labels.index(one) for one in labels] == [0, 1, 2, 0, 1, 5]


@pytest.mark.parametrize("grid", [Grid.interval(16), PLANE], ids=["line", "plane"])
def test_moved_starts_are_one_where_they_may_be_moved(grid):
    u, axes = fields(grid, 2), tuple(range(grid.dimensions))
    u[2] = np.roll(u[0], [5, 3][: grid.dimensions], [d + 1 for d in axes])
    u[5] = u[2] * (1 + 1e-7)
    u[4] = u[1][:, ::-1]  # mirrored, not moved
    assert by_shape(lambda rows: u[rows], ROWS, grid, axes).tolist() == [0, 1, 0, 3, 4, 0]


def test_along_other_axes_a_moved_start_is_another():
    u = fields(PLANE)
    u[2] = np.roll(u[0], 3, 2)
    assert by_shape(lambda rows: u[rows], ROWS, PLANE, (0,)).tolist() == [0, 1, 2, 3, 4, 5]
    assert by_shape(lambda rows: u[rows], ROWS, PLANE, (1,)).tolist()[2] == 0


def test_a_mirrored_start_has_the_same_strengths_and_is_told_apart():
    u = fields(Grid.interval(16))
    u[2] = u[0][:, ::-1]
    assert by_shape(lambda rows: u[rows], ROWS, Grid.interval(16), (0,))[2] == 2


def test_one_start_in_two_groups_makes_them_one():
    assert joined([list("abcd"), list("bxya")]).tolist() == [0, 0, 2, 0]
    assert joined([]).tolist() == []


def test_solutions_may_be_moved_where_the_facts_say_so_and_the_axis_closes():
    burgers = find("burgers")
    assert movable(burgers.facts, burgers.grid) == (0,)
    wall = Grid(axes=(Axis(points=8, sides=("wall", "wall")),))
    assert movable(burgers.facts, wall) == ()


def test_trajectories_give_their_first_frames():
    u = fields(Grid.interval(16))[:, None]
    whole = Trajectories.of(u, (0.01,), np.zeros(1), find("burgers").facts, Grid.interval(16))
    assert np.array_equal(starts_of(whole)(np.array([2, 0])), u[[2, 0], 0])
