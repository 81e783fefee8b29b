"""Fields to begin forecasts from, as a model was trained on and otherwise, and their futures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from universal_simulator.configuration import Span
from universal_simulator.emulation import watch
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.waves import from_waves
from universal_simulator.problems import find
from universal_simulator.serving import Emulator
from universal_simulator.support.errors import InputError

SEED = 2**31 + 11
Draw = Callable[[Grid, int, tuple[float, ...]], Tensor]
"""From a grid, a number and parameters to an initial field ``(channel, *space)``, the same on every grid."""


@dataclass(frozen=True)
class Case:
    """Fields to begin from, and their futures where these can be solved."""

    name: str
    u0: Tensor
    parameters: Tensor
    truth: Tensor | None
    """``(sample, time, channel, *space)``."""


def spectrum(model: Emulator, slope: float, waves: int, seed: int) -> Draw:
    """Return random fields as strong as those of training, whose amplitudes fall like ``k^-slope`` up to a cut."""
    strength = model.statistics.rms().double()

    def draw(grid: Grid, number: int, _: tuple[float, ...]) -> Tensor:
        random = np.random.default_rng([seed, number])
        if grid.dimensions == 1:
            k = np.arange(1, waves + 1)
            a = random.standard_normal((2, waves)) * k**-slope
            phase = 2 * np.pi * k[:, None] * grid.axes[0].centres().numpy()
            u = torch.from_numpy(a[:1] @ np.cos(phase) + a[1:] @ np.sin(phase))
        else:
            i = np.arange(waves + 1)
            k = np.hypot(i[:, None], i)
            a = random.standard_normal((len(strength), *k.shape)) * np.maximum(k, 1) ** -slope * (k <= waves)
            u = from_waves(torch.from_numpy(a), grid, grid.shape)
        return u / grid.wide(grid.rms(u)) * grid.wide(strength)

    return draw


def family(model: Emulator, seed: int, factor: float = 1.0) -> Draw:
    """Return the fields that the model's data start from, times a factor."""
    made = find(model.card.facts.name).family()
    return lambda grid, number, told: factor * made.batch(grid, seed, [number], told)[0]


def kinds(model: Emulator) -> Iterator[tuple[str, Draw, float]]:
    """Yield the cases by name, and a factor on the first parameter beyond its range."""
    line = model.card.grid.dimensions == 1
    yield "inside", family(model, SEED), 1.0
    if model.card.facts.parameters:
        yield "parameter x0.5", family(model, SEED + 1), 0.5
        yield "parameter x2", family(model, SEED + 1), 2.0
    else:
        yield "amplitude x1.5", family(model, SEED + 1, 1.5), 1.0
    yield "amplitude x0.5", family(model, SEED + 2, 0.5), 1.0
    yield "amplitude x2", family(model, SEED + 2, 2.0), 1.0
    yield "white spectrum", spectrum(model, 0.0, 100 if line else 20, 5), 1.0
    yield (
        "rough, amplitudes as 1/k" if line else "rough, amplitudes as k^-0.5",
        spectrum(model, 1.0 if line else 0.5, 64 if line else 20, 6),
        1.0,
    )
    other = find("kuramoto_sivashinsky" if line else "gray_scott").initial_conditions
    assert other is not None
    yield (
        "KS's fields" if line else "Gray-Scott's fields",
        lambda grid, number, _: other.batch(grid, 7, [number])[0],
        1.0,
    )
    if line:
        yield "heat's fields", _smoothed(model), 1.0


def _smoothed(model: Emulator) -> Draw:
    """Return what the heat equation makes of the model's own initial fields in a short time."""
    own = family(model, 8)

    def draw(grid: Grid, number: int, told: tuple[float, ...]) -> Tensor:
        u = own(grid, number, told)
        k = 2 * np.pi * torch.arange(u.shape[-1] // 2 + 1)
        return torch.fft.irfft(torch.fft.rfft(u) * torch.exp(-k.square() * 0.02 / np.pi), n=u.shape[-1])

    return draw


def parameters(model: Emulator, count: int, factor: float) -> list[tuple[float, ...]]:
    """Return parameters as trained on, or a factor beyond the end of their range."""
    sets = model.card.sets or [()]
    places = (np.random.default_rng(SEED).permutation(count) + 0.5) / count
    rows = []
    for i, place in enumerate(places.tolist()):
        row = list(sets[i % len(sets)])
        at = place if factor == 1 else float(factor > 1)
        row = [one.at(at) if isinstance(one, Span) else float(one) for one in row]
        rows.append(tuple([row[0] * factor, *row[1:]] if row else row))
    return rows


def solved(model: Emulator, name: str, draw: Draw, factor: float, count: int) -> Case:
    """Return a case; one that cannot be solved has no truth."""
    solver, grid = find(model.card.facts.name).solver, model.card.grid
    assert solver is not None
    times, told = np.linspace(0, model.card.horizon, watch.JUDGED), parameters(model, count, factor)
    u0 = torch.stack([draw(grid, i, row) for i, row in enumerate(told)]).float()
    values: dict[int, Tensor] = {}
    try:
        for row in dict.fromkeys(told):
            mine = [i for i, other in enumerate(told) if other == row]

            def initial(at: Grid, mine: list[int] = mine, row: tuple[float, ...] = row) -> Tensor:
                return torch.stack([draw(at, i, row) for i in mine])

            found = solver.solve(row, initial, times, grid).values[:, 1:].float()
            values |= dict(zip(mine, found, strict=True))
    except InputError:
        values = {}
    truth = torch.stack([values[i] for i in range(count)]) if values else None
    return Case(name, u0, torch.tensor(told, dtype=torch.float32).reshape(count, -1), truth)
