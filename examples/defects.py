"""Seven defects of published data, each rebuilt as a small file, and beside each the file as it should be.

    python examples/defects.py data/01_raw/defects
    kedro run --pipeline=audit --params=problem=advection,audit.input=data/01_raw/defects/faulty/advection.hdf5

What the audit must find, and where such files come from: docs/audit.md. All fields come from the project's solvers.
"""

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch

from universal_simulator.acquisition import writing
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.physics.initial_conditions import independent
from universal_simulator.physics.numerics import Family, Initial
from universal_simulator.physics.volumes import VolumeSolver
from universal_simulator.problems import find
from universal_simulator.problems.compressible import Gas
from universal_simulator.problems.diffusion_sorption import Sorption
from universal_simulator.problems.problem import Solver
from universal_simulator.problems.shallow_water import ShallowWater

SUBSTEPS, NUMBERS = 1024, 64
"""Of the published reaction, and places in (0, 1) where its speed is looked at."""


def solved(
    name: str, parameters: tuple[float, ...], grid: Grid, times: np.ndarray, samples: int = 40, **other: object
) -> np.ndarray:
    """Return trajectories of a problem, from its own initial fields unless told otherwise."""
    problem = find(name)
    solver, family = other.get("solver", problem.solver), other.get("family", problem.initial_conditions)
    assert isinstance(solver, Solver)
    assert isinstance(family, Family)
    start: Initial = lambda fine: family.batch(fine, 0, range(samples))  # noqa: E731
    return solver.solve(parameters, start, times, grid).values.float().numpy()


def write(
    path: Path, name: str, values: np.ndarray, times: np.ndarray, grid: Grid, parameters: tuple[float, ...]
) -> None:
    """Write a file that declares what it is said to declare."""
    writing.save(path, values, writing.Description(find(name).facts, grid, times, parameters))


def write_groups(path: Path, values: np.ndarray, times: np.ndarray, grid: Grid, config: str = "") -> None:
    """Write PDEBench's layout with a group for each sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for number, one in enumerate(values):
            group = file.create_group(f"{number:04d}")
            group["data"] = np.moveaxis(one, 1, -1)
            group["grid/t"] = times.astype(np.float32)
            for axis in grid.axes:
                group[f"grid/{axis.name}"] = axis.centres().numpy().astype(np.float32)
            group.attrs["config"] = config


def shallow_water(faulty: Path, clean: Path) -> None:
    """Write 1000 discs of random radius on cells that are inside or outside: 81 different ones.

    Only the height is stored. Radii and cells are the published ones, the middle of the domain alone. Beside it bumps
    anywhere, all different.
    """
    cells, width, times = 40, 5 / 128, np.arange(3) * 0.02
    edge = cells * width / 2
    grid = Grid(axes=tuple(Axis(name=n, points=cells, lower=-edge, upper=edge, sides=("wall", "wall")) for n in "yx"))
    away = torch.stack(grid.centres()).square().sum(0)
    discs = np.array([(away <= independent(0, i).uniform(0.3, 0.7) ** 2).numpy() for i in range(1000)])
    different, which = np.unique(discs, axis=0, return_inverse=True)
    high = torch.from_numpy(1.0 + different)[:, None]
    start = torch.cat((high, torch.zeros_like(high), torch.zeros_like(high)), 1)
    solver = VolumeSolver(partial(ShallowWater, least=cells))
    square = Grid(axes=tuple(a.model_copy(update={"name": n}) for n, a in zip("xy", grid.axes, strict=True)))
    h = solver.solve((), lambda _: start, times, square).values[:, :, :1].float().numpy()
    write_groups(faulty / "shallow_water.h5", h[which.ravel()], times, grid)
    wide = Grid(axes=tuple(a.model_copy(update={"lower": -2.5, "upper": 2.5}) for a in square.axes)).resized((32, 32))
    bumps = solved("shallow_water", (), wide, np.arange(11) * 0.1, solver=VolumeSolver(partial(ShallowWater, least=32)))
    named = Grid(axes=tuple(a.model_copy(update={"name": n}) for n, a in zip("yx", wide.axes, strict=True)))
    write_groups(clean / "shallow_water.h5", bumps[:, :, :1], np.arange(11) * 0.1, named)


def lost_reaction(nu: float, rho: float, points: int = 1024) -> Callable[[np.ndarray], np.ndarray]:
    """Return how fast the published scheme's single precision lets u grow, as a mean over numbers close to u.

    Its substep, ``0.125 dx²/ν`` long, takes u to the exact solution of the logistic equation, in single precision. With
    so short a step most of the growth is rounded away, or rounded up, depending on the last bits of u.
    """
    step, one = 0.125 / points**2 / nu, np.float32(1)
    shrinks = np.exp(np.float32(-rho * step), dtype=np.float32)
    start = u = np.sort(np.random.default_rng(0).uniform(0.001, 0.999, 128 * NUMBERS)).astype(np.float32)
    for _ in range(SUBSTEPS):
        u = one / (one + shrinks * (one / u - one))
    rates = ((u.astype(np.float64) - start) / (SUBSTEPS * step)).reshape(NUMBERS, -1).mean(1)
    places = start.astype(np.float64).reshape(NUMBERS, -1).mean(1)
    return lambda v: np.interp(v, [0.0, *places, 1.0], [0.0, *rates, 0.0])


def fisher(u: np.ndarray, nu: float, growth: Callable[[np.ndarray], np.ndarray], times: np.ndarray) -> np.ndarray:
    """Return snapshots of ``u_t = ν u_xx + growth(u)``: exact diffusion between half steps of growth (Strang)."""
    substeps = 64
    step = float(times[1] - times[0]) / substeps
    k = 2 * np.pi * np.arange(u.shape[-1] // 2 + 1)
    spread, frames = np.exp(-nu * k**2 * step), [u]
    for _ in times[1:]:
        for _ in range(substeps):
            u = u + step / 2 * growth(u + step / 4 * growth(u))
            u = np.fft.irfft(np.fft.rfft(u) * spread, n=u.shape[-1])
            u = u + step / 2 * growth(u + step / 4 * growth(u))
        frames.append(u)
    return np.stack(frames, 1)


def reaction(faulty: Path, clean: Path) -> None:
    """Write Fisher-KPP with ν = 1/2, ρ = 1, whose reaction single precision has lost: 0.5 becomes 0.6, not 0.731."""
    times, grid, nu, rho = np.arange(21) * 0.05, Grid.interval(64), 0.5, 1.0
    family = find("reaction_diffusion").initial_conditions
    assert family is not None
    start = family.batch(grid, 0, range(40))[:, 0].numpy()
    for folder, growth in ((faulty, lost_reaction(nu, rho)), (clean, lambda u: rho * u * (1 - u))):
        u = fisher(start, nu, growth, times)[:, :, None].astype(np.float32)
        write(folder / "reaction_diffusion.hdf5", "reaction_diffusion", u, times, grid, (nu, rho))


def advection(faulty: Path, clean: Path) -> None:
    """Write advection that moves twice as fast as declared."""
    times, grid = np.arange(41) * 0.05, Grid.interval(128)
    for folder, speed in ((faulty, 0.4), (clean, 0.2)):
        write(folder / "advection.hdf5", "advection", solved("advection", (speed,), grid, times), times, grid, (0.2,))


def sorption(faulty: Path, clean: Path) -> None:
    """Write diffusion-sorption from one number, uniform in (0, 0.2); beside it from plumes."""
    times, cells, (d, k, n, left) = np.arange(21) * 25.0, 64, (5e-4, 3.5e-4, 0.874, 1.0)
    problem, law = find("diffusion_sorption"), Sorption(d, k, n, left)
    assert problem.grid is not None
    grid = problem.grid.resized((cells,))
    config = f"sim: {{D: {d}, k: {k}, n: {n}, left: {left}}}"
    for folder, family in ((faulty, "uniform"), (clean, "plumes")):
        starts = problem.families[family].batch(grid, 0, range(40))[:, 0].numpy()
        u = np.stack([law.frames(one, times, 1 / cells, 1e-6, np.inf) for one in starts])[:, :, None]
        write_groups(folder / "diffusion_sorption.h5", u.astype(np.float32), times, grid, config)


def gas(faulty: Path, clean: Path) -> None:
    """Write a gas so viscous that its velocities die within a few frames; beside it one of a fiftieth of that."""
    problem, times = find("compressible"), np.arange(13) * 0.05
    assert problem.grid is not None
    assert problem.initial_conditions is not None
    grid, sines = problem.grid.resized((64,)), problem.initial_conditions

    def at_rest(fine: Grid, seed: int, index: int) -> torch.Tensor:
        density, velocity, pressure = sines.draw(fine, seed, index)
        return torch.stack((density, velocity - (density * velocity).sum() / density.sum(), pressure))

    for folder, eta in ((faulty, 1.0), (clean, 0.02)):
        other = {"solver": VolumeSolver(partial(Gas, least=64)), "family": Family(at_rest, 1, "as a whole at rest")}
        u = solved("compressible", (eta, eta), grid, times, 16, **other)
        write(folder / "compressible.hdf5", "compressible", u, times, grid, (eta, eta))


def burgers(faulty: Path, clean: Path) -> None:
    """Write Burgers on (-1, 1), declared on (0, 1): in units of that, all is half as fast, and diffusion a quarter."""
    times, grid, nu = np.arange(41) * 0.025, Grid.interval(128), 0.02
    slow = solved("burgers", (nu / 2,), grid, times / 2)
    write(faulty / "burgers.hdf5", "burgers", slow, times, grid, (nu,))
    write(clean / "burgers.hdf5", "burgers", solved("burgers", (nu,), grid, times), times, grid, (nu,))


def twins(faulty: Path, clean: Path) -> None:
    """Write two files that are one; beside them two of different parameters."""
    times, grid = np.arange(21) * 0.05, Grid.interval(64)
    for number, speed in enumerate((0.1, 0.4)):
        u = solved("advection", (speed,), grid, times, samples=20)
        write(clean / "two_files" / f"{number}.hdf5", "advection", u, times, grid, (speed,))
    (faulty / "two_files").mkdir(parents=True, exist_ok=True)
    for number in (0, 1):
        shutil.copy(clean / "two_files" / "0.hdf5", faulty / "two_files" / f"{number}.hdf5")


DEFECTS = {
    "shallow_water": shallow_water,
    "reaction_diffusion": reaction,
    "advection": advection,
    "diffusion_sorption": sorption,
    "compressible": gas,
    "burgers": burgers,
    "two_files": twins,
}


def main(folder: Path) -> None:
    """Write all files, the wrong ones into ``faulty``, the right ones into ``clean``."""
    for name, make in DEFECTS.items():
        make(folder / "faulty", folder / "clean")
        sys.stdout.write(f"{name}: written to {folder}/faulty and {folder}/clean\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
