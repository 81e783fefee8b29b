"""What stands beyond a side, written out by hand for every kind, and the mirrored field as a periodic one."""

import pytest
import torch

from universal_simulator.fields.grid import (
    Axis,
    Channel,
    Grid,
    doubled,
    doubled_everywhere,
    doubled_grid,
    extend,
    halved_everywhere,
)


def line(lower: str, upper: str) -> Grid:
    return Grid(axes=(Axis(points=4, sides=(lower, upper)),))


def channel(kind: str) -> Channel:
    return Channel(name=kind, walls=(kind,))


EVEN, ODD, FREE = map(channel, ("even", "odd", "free"))
ROW = torch.tensor([[1.0, 2.0, 3.0, 4.0]])


@pytest.mark.parametrize(
    ("sides", "kind", "before", "after"),
    [
        (("periodic", "periodic"), EVEN, [3, 4], [1, 2]),
        (("periodic", "periodic"), ODD, [3, 4], [1, 2]),
        (("wall", "wall"), EVEN, [2, 1], [4, 3]),
        (("wall", "wall"), ODD, [-2, -1], [-4, -3]),
        (("wall", "wall"), FREE, [1, 1], [4, 4]),
        (("open", "open"), ODD, [1, 1], [4, 4]),
        (("wall", "open"), ODD, [-2, -1], [4, 4]),
        (("open", "wall"), EVEN, [1, 1], [4, 3]),
    ],
)
def test_every_kind_of_side_continues_as_it_says(sides, kind, before, after):
    expected = torch.tensor([[*before, 1, 2, 3, 4, *after]], dtype=torch.float32)
    assert torch.equal(extend(ROW, line(*sides), [kind], 0, 2), expected)
    batch = extend(ROW.expand(3, 5, 1, 4), line(*sides), [kind], 0, 2)
    assert torch.equal(batch, expected.expand(3, 5, 1, 8))


def test_nothing_is_added_where_nothing_is_reached_and_too_far_is_an_error():
    assert torch.equal(extend(ROW, line("wall", "wall"), [EVEN], 0, 0), ROW)
    assert extend(ROW, line("wall", "wall"), [EVEN], 0, 4).shape == (1, 12)
    with pytest.raises(ValueError, match="reach = 5 must not exceed the 4 points of axis x"):
        extend(ROW, line("wall", "wall"), [EVEN], 0, 5)


def test_channels_do_not_mix():
    values = torch.stack((ROW[0], 10 * ROW[0], 100 * ROW[0]))
    together = extend(values, line("wall", "wall"), [ODD, FREE, EVEN], 0, 2)
    alone = [extend(values[i : i + 1], line("wall", "wall"), [c], 0, 2) for i, c in enumerate((ODD, FREE, EVEN))]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("axis", [0, 1])
def test_in_two_dimensions_an_axis_is_extended_like_every_line_along_it(axis):
    """Axis y is walled, x open on one side; a channel may be odd at one and even at the other."""
    grid = Grid(axes=(Axis(name="y", points=5, sides=("wall", "wall")), Axis(points=4, sides=("wall", "open"))))
    channels = [Channel(name="a", walls=("odd", "even")), Channel(name="b", walls=("free", "odd"))]
    u = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    got = extend(u, grid, channels, axis, 3)
    one = Grid(axes=(grid.axes[axis],))
    own = [Channel(name=c.name, walls=(c.wall(axis),)) for c in channels]
    lines = u.movedim(axis - 2, -1)  # (sample, channel, other, along)
    expected = torch.stack([extend(lines[:, :, i], one, own, 0, 3) for i in range(lines.shape[2])], 2)
    assert torch.equal(got, expected.movedim(-1, axis - 2))


@pytest.mark.parametrize("kind", [EVEN, ODD])
def test_the_mirrored_field_is_periodic_and_goes_on_as_the_wall_says(kind):
    """Extending at the wall, or doubling and then extending round the ring, is one thing."""
    grid = line("wall", "wall")
    ring = doubled(ROW, grid, [kind], 0)
    assert ring.shape == (1, 8)
    round_it = extend(ring, doubled_grid(grid), [kind], 0, 2)
    assert torch.equal(round_it[:, :8], extend(ROW, grid, [kind], 0, 2))


def test_doubling_and_halving_gives_back_the_field_on_the_domain_of_twice_the_length():
    axes = (Axis(name="y", points=5, lower=-1, sides=("wall", "wall")), Axis(points=4))
    grid, channels = Grid(axes=axes), [Channel(name="a"), Channel(name="b", walls=("odd", "even"))]
    u = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    whole, wide = doubled_everywhere(u, grid, channels), doubled_grid(grid)
    assert wide.periodic
    assert wide.fits(whole)
    assert (wide.axes[0].lower, wide.axes[0].upper, wide.axes[1]) == (-1, 3, grid.axes[1])
    torch.testing.assert_close(wide.axes[0].centres()[:5], grid.axes[0].centres())
    assert torch.equal(halved_everywhere(whole, grid), u)
    assert torch.equal(whole[:, 1, 5:], -u[:, 1].flip(-2))
