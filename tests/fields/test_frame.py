"""The co-moving frame undoes the drift that a mean causes, where the facts say that it may."""

import math

import torch

from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.symmetries import Frame, Galilean, Offset, frame_of
from universal_simulator.problems import find

T = torch.tensor([0.0, 0.1, 0.7], dtype=torch.float64)


def test_the_frame_undoes_a_drift_and_gives_back_the_field():
    grid, facts = Grid.interval(64), find("burgers").facts
    (x,), speed = grid.centres(), torch.tensor([[0.3], [-1.2]], dtype=torch.float64)
    moving = torch.sin(2 * math.pi * (x - speed[..., None] * T[:, None]))
    u = (speed[..., None] + moving)[:, :, None]
    mean = facts.frame.mean(u[:, 0], grid)
    torch.testing.assert_close(mean, speed)
    v = facts.frame.enter(u, mean, T, grid)
    torch.testing.assert_close(v, torch.sin(2 * math.pi * x).expand_as(v))
    torch.testing.assert_close(facts.frame.leave(v, mean, T, grid), u)


def test_in_two_dimensions_each_velocity_carries_all_channels_along_its_own_axis():
    grid = Grid(axes=(Axis(name="y", points=16, lower=-1), Axis(name="x", points=32, upper=3)))
    channels = (Channel(name="p"), Channel(name="vx", vector="x"), Channel(name="vy", vector="y"))
    frame = frame_of(channels, (Galilean(channel="vx", axis="x"), Galilean(channel="vy", axis="y")))
    mean = torch.tensor([[0.0, 0.4, -0.7], [0.0, -0.2, 0.1]], dtype=torch.float64)
    y, x = grid.centres()

    def field(t: float, m: torch.Tensor) -> torch.Tensor:
        wave = torch.sin(2 * math.pi * (x - m[1] * t) / 3) * torch.cos(math.pi * (y - m[2] * t))
        return torch.stack((wave + 0.5, m[1] + 2 * wave, m[2] - wave))

    u = torch.stack([torch.stack([field(t, m) for t in T.tolist()]) for m in mean])
    found = frame.mean(u[:, 0], grid)
    torch.testing.assert_close(found, mean, atol=1e-12, rtol=0)  # nothing is known of p: its mean stays
    v = frame.enter(u, found, T, grid)
    torch.testing.assert_close(v, field(0.0, torch.zeros(3)).expand_as(v))
    torch.testing.assert_close(frame.leave(v, found, T, grid), u)


def test_an_offset_is_taken_away_and_nothing_drifts():
    grid = Grid.interval(16)
    frame = frame_of((Channel(name="a"), Channel(name="b")), (Offset(channel="b"),))
    u = torch.randn(2, 3, 2, 16, generator=torch.Generator().manual_seed(0)).double() + 1
    mean = frame.mean(u[:, 0], grid)
    assert (mean[:, 0] == 0).all()
    v = frame.enter(u, mean, T, grid)
    assert torch.equal(v[:, :, 0], u[:, :, 0])
    assert v[:, :, 1].mean(-1).abs().max() < 1e-12
    left = frame.leave(v, mean, T, grid)
    torch.testing.assert_close(left[:, :, 1].mean(-1), mean[:, None, 1].expand(2, 3))
    torch.testing.assert_close(left[:, 0], u[:, 0])


def test_without_symmetries_the_frame_does_nothing():
    problem = find("diffusion_reaction")
    u = torch.randn(2, 3, 2, 64, 64, generator=torch.Generator().manual_seed(0)) + 1
    mean = problem.facts.frame.mean(u[:, 0], problem.grid)
    assert isinstance(problem.facts.frame, Frame)
    assert (mean == 0).all()
    assert torch.equal(problem.facts.frame.enter(u, mean, T.float(), problem.grid), u)
    assert torch.equal(problem.facts.frame.leave(u, mean, T.float(), problem.grid), u)
