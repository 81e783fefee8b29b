"""Motions of the grid form the group that the facts generate, and move vectors as vectors."""

import itertools

import pytest
import torch

from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.symmetries import (
    Galilean,
    Motion,
    Offset,
    Reflection,
    Rotation,
    Translation,
    Transpose,
    discrete,
    generator,
    group,
    removable,
)
from universal_simulator.problems import find

SQUARE = find("diffusion_reaction").grid.resized((6, 6))
VECTORS = (Channel(name="p"), Channel(name="vx", vector="x"), Channel(name="vy", vector="y"))
EIGHT = (Transpose(), Reflection(axis="x"), Reflection(axis="y"))
SIXTEEN = (Transpose(), Reflection(axis="x"), Reflection(axis="y", sign=-1))
"""Both signs of one reflection: the change of sign alone is then a symmetry, too."""
CUBE = Grid(axes=tuple(Axis(name=name, points=4) for name in "zyx"))
THREE = (*VECTORS, Channel(name="vz", vector="z"))
FORTY_EIGHT = (Transpose(axes=("x", "y")), Transpose(axes=("y", "z")), Reflection(axis="x"))


def random(grid: Grid, channels: tuple[Channel, ...]) -> torch.Tensor:
    return torch.randn(2, len(channels), *grid.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "size"), [("burgers", 2), ("heat", 2), ("advection", 1), ("diffusion_reaction", 8), ("kolmogorov_flow", 2)]
)
def test_the_groups_are_as_large_as_is_known(name, size):
    problem = find(name)
    found = group(problem.facts.symmetries, problem.grid)
    assert len(found) == size
    assert found[0] == Motion.identity(problem.grid.dimensions)
    assert len(set(found)) == size


CASES = [(SQUARE, VECTORS, EIGHT, 8), (SQUARE, VECTORS, SIXTEEN, 16), (CUBE, THREE, FORTY_EIGHT, 48)]


@pytest.mark.parametrize(("grid", "channels", "symmetries", "size"), CASES)
def test_every_motion_has_its_inverse_in_the_group(grid, channels, symmetries, size):
    motions, u = group(symmetries, grid), random(grid, channels)
    assert len(motions) == size
    for motion in motions:
        assert motion.inverse() in motions
        assert torch.equal(motion.inverse().apply(motion.apply(u, grid, channels), grid, channels), u)
        assert motion.after(motion.inverse()) == motions[0]


@pytest.mark.parametrize(("grid", "channels", "symmetries", "size"), CASES)
def test_the_group_is_closed_and_composes_as_the_fields_do(grid, channels, symmetries, size):
    motions, u = group(symmetries, grid), random(grid, channels)
    moved = [one.apply(u, grid, channels) for one in motions]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(moved, 2)), "all are different"
    for (first, after_first), second in itertools.product(zip(motions, moved, strict=True), motions[:8]):
        both = second.after(first)
        assert both in motions
        assert torch.equal(both.apply(u, grid, channels), second.apply(after_first, grid, channels))


def test_a_reflection_turns_the_components_along_its_axis_and_a_transpose_exchanges_them():
    u = random(SQUARE, VECTORS)
    p, vx, vy = u.unbind(1)
    reflected = generator(Reflection(axis="x"), SQUARE).apply(u, SQUARE, VECTORS)
    assert torch.equal(reflected, torch.stack((p.flip(-1), -vx.flip(-1), vy.flip(-1)), 1))
    upside = generator(Reflection(axis="y", sign=-1), SQUARE).apply(u, SQUARE, VECTORS)
    assert torch.equal(upside, torch.stack((-p.flip(-2), -vx.flip(-2), vy.flip(-2)), 1))
    transposed = generator(Transpose(), SQUARE).apply(u, SQUARE, VECTORS)
    assert torch.equal(transposed, torch.stack((p.mT, vy.mT, vx.mT), 1))


def test_half_a_turn_is_two_reflections():
    u = random(SQUARE, VECTORS)
    turn, x, y = (generator(one, SQUARE) for one in (Rotation(), Reflection(axis="x"), Reflection(axis="y")))
    assert turn == x.after(y)
    p, vx, vy = u.flip((-1, -2)).unbind(1)
    assert torch.equal(turn.apply(u, SQUARE, VECTORS), torch.stack((p, -vx, -vy), 1))
    assert group((Rotation(),), SQUARE) == (Motion.identity(2), turn)


def test_a_gradient_moves_with_its_field():
    """What a vector is: the gradient of the moved field is the moved gradient."""

    def with_gradient(p: torch.Tensor) -> torch.Tensor:
        ddx, ddy = ((p.roll(-1, dim) - p.roll(1, dim)) / 2 for dim in (-1, -2))
        return torch.stack((p, ddx, ddy), 1)

    p = random(SQUARE, VECTORS)[:, 0]
    for motion in group(EIGHT, SQUARE):
        moved = motion.apply(p[:, None], SQUARE, VECTORS[:1])[:, 0]
        torch.testing.assert_close(motion.apply(with_gradient(p), SQUARE, VECTORS), with_gradient(moved))


def test_only_discrete_symmetries_move_the_grid_and_only_some_free_a_mean():
    both = (Translation(), Reflection(sign=-1), Galilean(channel="vx"), Offset(channel="p"))
    assert discrete(both) == (Reflection(sign=-1),)
    assert removable(both, VECTORS) == (True, True, False)
