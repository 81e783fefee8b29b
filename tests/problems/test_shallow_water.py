"""Shallow water against Stoker's dam break, rest, symmetries and what it conserves."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.fields.symmetries import group
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

PROBLEM = find("shallow_water")
SMALL = PROBLEM.grid.resized((24, 24))


def solve(initial, times, grid: Grid = SMALL, **how) -> Tensor:
    """Solve on the grid itself, in double precision."""
    how = {"refinement": 1, **how}
    return PROBLEM.solver.solve((), initial, np.asarray(times), grid, torch.float64, **how).values


def bumps(count: int = 1, first: int = 0):
    return lambda grid: PROBLEM.family().batch(grid, 0, range(first, first + count))


def stoker(s: np.ndarray, high: float, low: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (h, u) at the speeds s = x/t after a dam between water at rest breaks, g = 1 (Stoker 1957, section 10.8).

    2(√h_l - √h_m) = (h_m - h_r) √((1/h_m + 1/h_r)/2) is the velocity of the middle state.
    """

    def gap(h: float) -> float:
        return 2 * (math.sqrt(high) - math.sqrt(h)) - (h - low) * math.sqrt((1 / h + 1 / low) / 2)

    h = brentq(gap, low, high)
    u = 2 * (math.sqrt(high) - math.sqrt(h))
    front, tail = h * u / (h - low), u - math.sqrt(h)
    fan = (2 * math.sqrt(high) - s) / 3
    heights = np.where(s < -math.sqrt(high), high, np.where(s < tail, fan**2, np.where(s < front, h, low)))
    speeds = np.where(
        s < -math.sqrt(high), 0, np.where(s < tail, 2 / 3 * (math.sqrt(high) + s), np.where(s < front, u, 0))
    )
    return heights, speeds


@pytest.mark.parametrize(("axis", "low"), [(0, 0.5), (1, 0.05)])
def test_stokers_dam_break_is_approached_in_the_mean(axis, low):
    errors = []
    for points in (32, 128):
        axes = [Axis(name=name, points=4, sides=("open", "open")) for name in "xy"]
        axes[axis] = Axis(name="xy"[axis], points=points, lower=-1, upper=1, sides=("open", "open"))

        def initial(grid: Grid) -> Tensor:
            h = torch.where(grid.centres()[axis] < 0, 1.0, low).double()
            return torch.stack((h, 0 * h, 0 * h))[None]

        got = solve(initial, (0, 0.5), Grid(axes=tuple(axes)))[0, -1]
        assert got[2 - axis].abs().max() == 0
        got = got.select(2 - axis, 1)
        x = (np.arange(16 * points) + 0.5) * 2 / (16 * points) - 1
        h, u = (f.reshape(points, 16) for f in stoker(x / 0.5, 1.0, low))
        errors.append(
            float(np.abs(got[0].numpy() - h.mean(1)).mean() + np.abs(got[1 + axis].numpy() - (h * u).mean(1)).mean())
        )
    assert errors[-1] < 0.012, errors
    assert errors[0] / errors[-1] > 2.5, errors


def test_a_lake_at_rest_stays():
    def lake(grid: Grid) -> Tensor:
        h = torch.full(grid.shape, 1.3, dtype=torch.float64)
        return torch.stack((h, 0 * h, 0 * h))[None]

    values = solve(lake, (0, 0.5, 1))
    assert torch.equal(values[:, -1], values[:, 0])


def test_mass_stays_to_round_off_between_walls_while_waves_are_thrown_back():
    values = solve(bumps(4), (0, 1, 2))
    mass = SMALL.mean(values[:, :, 0])
    assert (mass[:, 1:] / mass[:, :1] - 1).abs().max() < 1e-13
    assert values[:, -1, 0, 0].std() > 0.01, "waves have come to the walls"


def test_a_standing_wave_returns_with_second_order():
    """A weak cosine between walls swings with the period 2 L/√(g h): after half of it, it stands upside down."""
    errors = []

    def wave(grid: Grid) -> Tensor:
        h = 1 + 1e-6 * torch.cos(math.pi * (grid.centres()[0] + 2.5) / 5)
        return torch.stack((h, 0 * h, 0 * h))[None]

    for points in (16, 32):
        values = solve(wave, (0, 5), PROBLEM.grid.resized((points, 4)))[0, :, 0]
        errors.append(float((values[1] + values[0] - 2).abs().mean()) / 1e-6)
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 1.8, f"errors {errors}, observed orders {orders}"


def test_every_symmetry_takes_a_solution_to_the_solution_of_the_moved_start():
    channels = PROBLEM.facts.channels
    straight = solve(bumps(), (0, 0.3))
    motions = group(PROBLEM.facts.symmetries, SMALL)
    assert len(motions) == 8
    for motion in motions[1:4]:  # the generators
        moved = solve(lambda grid, m=motion: m.apply(bumps()(grid), grid, channels), (0, 0.3))
        torch.testing.assert_close(moved, motion.apply(straight, SMALL, channels), rtol=0, atol=1e-13)


def test_the_radial_dam_break_stays_fourfold_and_does_not_reach_the_sides():
    dam = PROBLEM.family("dam").batch(SMALL, 0, range(2))
    last = solve(lambda grid: PROBLEM.family("dam").batch(grid, 0, range(2)), (0, 1), refinement=2)[:, -1]
    for motion in group(PROBLEM.facts.symmetries, SMALL):
        torch.testing.assert_close(motion.apply(last, SMALL, PROBLEM.facts.channels), last, rtol=0, atol=1e-13)
    assert (last[:, 0, 0] - 1).abs().max() < 1e-4
    assert (last - dam).abs().max() > 0.3


def radial(h: np.ndarray, edges: np.ndarray, end: float) -> np.ndarray:
    """Solve ``(r h)_t + (r h u)_r = 0``, ``(r h u)_t + (r (h u² + h²/2))_r = h²/2`` by Rusanov's flux; return h."""
    r, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    q, t = np.stack((h, 0 * h)), 0.0
    while t < end:
        u = q[1] / q[0]
        fastest = (np.abs(u) + np.sqrt(q[0])).max()
        step = min(0.9 * width / fastest, end - t)
        flux = np.stack((q[1], q[1] * u + q[0] ** 2 / 2))
        faces = (flux[:, 1:] + flux[:, :-1]) / 2 - fastest / 2 * np.diff(q)
        axis = np.array([[0.0], [0.0]])  # of no area
        faces = np.concatenate((axis, edges[1:-1] * faces, edges[-1] * flux[:, -1:]), 1)
        q = q - step / width * np.diff(faces) / r
        q[1] += step * q[0] ** 2 / 2 / r  # the pressure on a ring's sides
        t += step
    return q[0]


def test_a_round_bump_spreads_as_on_a_fine_line_of_radii():
    """A second scheme, in one dimension and polar coordinates, on far finer cells."""

    def profile(r):
        return 1 + 0.4 * (1 - np.tanh((r - 0.6) / 0.2))

    def bump(grid: Grid) -> Tensor:
        r = torch.hypot(*grid.centres()).numpy()
        h = torch.from_numpy(profile(r))
        return torch.stack((h, 0 * h, 0 * h))[None]

    edges = np.linspace(0, 2.5, 4001)
    line = radial(profile((edges[1:] + edges[:-1]) / 2), edges, 0.6)
    errors = []
    for points in (48, 96):
        grid = PROBLEM.grid.resized((points, points))
        h, r = solve(bump, (0, 0.6), grid)[0, -1, 0].numpy(), torch.hypot(*grid.centres()).numpy()
        inside = r < 2
        expected = np.interp(r, (edges[1:] + edges[:-1]) / 2, line)
        errors.append(np.abs(h - expected)[inside].mean())
        assert np.abs(expected - profile(r))[inside].max() > 0.3, "the bump has gone"
    assert errors[1] < 2e-3, errors
    assert errors[0] / errors[1] > 2.5, errors


def test_every_radius_is_another_dam_and_bumps_depend_on_seed_and_number_alone():
    dams = PROBLEM.family("dam").batch(PROBLEM.grid, 0, range(200)).flatten(1)
    assert len(dams.unique(dim=0)) == 200
    family = PROBLEM.family()
    fields = family.batch(PROBLEM.grid, 3, range(20))
    assert fields[:, 0].min() >= 1
    assert fields[:, 1:].abs().max() == 0
    assert torch.equal(fields[7], family.draw(PROBLEM.grid, 3, 7))
    assert not torch.equal(fields[7], family.draw(PROBLEM.grid, 4, 7))


def test_the_coarse_forecast_converges_to_the_solver():
    truth = PROBLEM.solver.solve((), bumps(2), 0.1 * np.arange(3), SMALL, refinement=2).values

    def error(points: int) -> float:
        found = PROBLEM.solver.forecast(truth[:, 0], torch.zeros(2, 0), Clock(0.1, 2), SMALL, Coarse(points, 0.8))
        assert found.shape == (2, 2, 3, 24, 24)
        return float((found - truth[:, 1:]).norm() / truth[:, 1:].norm())

    errors = [error(points) for points in (6, 12, 24)]
    assert errors == sorted(errors, reverse=True), errors
    assert errors[-1] < 0.03


def test_a_dry_bed_is_refused():
    with pytest.raises(InputError, match=r"h = 0 at t = 0 of .*: must be positive everywhere; choose another start"):
        solve(lambda grid: bumps()(grid) * 0, (0, 0.1))


def test_what_the_numbers_depend_on_is_told():
    assert "1.0 h²/2" in PROBLEM.solver.identity(())
    assert PROBLEM.file_name(()) == "2D_shallow-water_Sols_NA.hdf5"
