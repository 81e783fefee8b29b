"""What observations would be of a given field: values at points and means over windows of its interpolant.

The band-limited interpolant is the grid's own (``fields/spectral.py``): waves round a periodic axis, mirrored ones
between walls. A window's mean is that of every wave, ``sinc(k width)`` of its value at the window's centre. Linear,
hence a small matrix for each axis, and differentiable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Grid, doubled_axis, signs
from universal_simulator.inverse.observations import Observations
from universal_simulator.support.errors import InputError


@dataclass(frozen=True)
class Group:
    """Observations of one channel at one time."""

    step: int
    channel: int
    rows: Tensor
    """Which of all observations they are."""
    weights: tuple[Tensor, ...]
    """Of the values along each axis, ``(observation, points)``."""


@dataclass(frozen=True)
class Sensing:
    """Observations bound to a problem, a grid and a time step."""

    observations: Observations
    grid: Grid
    time_step: float
    steps: tuple[int, ...]
    """After how many time steps there are observations, in ascending order; 0 is the initial field."""
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, observations: Observations, facts: Facts, grid: Grid, time_step: float) -> "Sensing":
        """Bind them; raises ``InputError`` for a place, time or channel that there is not."""
        where, width = _placed(observations, grid)
        step = torch.tensor(_steps(observations.times, time_step))
        channel = torch.tensor(_channels(observations.channels, facts))
        known: dict[bytes, tuple[Tensor, ...]] = {}
        groups = []
        for moment, number in sorted(set(zip(step.tolist(), channel.tolist(), strict=True))):
            rows = ((step == moment) & (channel == number)).nonzero().flatten()
            told = torch.cat((where[rows], width[rows]), 1)
            key = told.numpy().tobytes() + bytes([number])
            if key not in known:
                each = zip(range(grid.dimensions), where[rows].T, width[rows].T, strict=True)
                known[key] = tuple(weights(grid, facts, number, axis, *of) for axis, *of in each)
            groups.append(Group(moment, number, rows, known[key]))
        return cls(observations, grid, time_step, tuple(sorted({one.step for one in groups})), tuple(groups))

    def __call__(self, u: Float[Tensor, "sample time channel *space"]) -> Float[Tensor, "sample observation"]:
        """Return the observations of fields at ``steps``, without noise."""
        place = {step: i for i, step in enumerate(self.steps)}
        parts = [_weighed(u[:, place[one.step], one.channel], one.weights) for one in self.groups]
        order = torch.cat([one.rows for one in self.groups]).argsort()
        return torch.cat(parts, 1)[:, order.to(u.device)]

    @property
    def correlation(self) -> Float[Tensor, "observation observation"] | None:
        """Return that of the observations' noise; None where it is independent."""
        told, given = self.observations.correlation, self.observations
        if not (told.length or told.time):
            return None
        names = [given.channels.index(one) for one in given.channels]
        alike = torch.tensor(names)[:, None] == torch.tensor(names)
        found = alike.double() * _alike(given.times[:, None] - given.times, told.time)
        for axis in self.grid.axes:
            x = given.where[:, given.axes.index(axis.name)]
            apart = (x[:, None] - x).abs()
            apart = torch.minimum(apart, axis.length - apart) if axis.periodic else apart
            found = found * _alike(apart, told.length)
        return found

    def at(
        self, moment: int, u: Float[Tensor, "sample channel *space"]
    ) -> tuple[Float[Tensor, "sample observation"], Tensor]:
        """Return the observations of fields at one of ``steps``, without noise, and which of all they are."""
        here = [one for one in self.groups if one.step == moment]
        read = torch.cat([_weighed(u[:, one.channel], one.weights) for one in here], 1)
        return read, torch.cat([one.rows for one in here])


def _alike(apart: Tensor, scale: float) -> Tensor:
    return torch.exp(-apart.abs() / scale) if scale else (apart.abs() < 1e-12).double()


def weights(
    grid: Grid,
    facts: Facts,
    channel: int,
    axis: int,
    where: Float[Tensor, " observation"],
    width: Float[Tensor, " observation"],
) -> Float[Tensor, "observation points"]:
    """Return by what each value along an axis is multiplied, to give the interpolant's mean over each window."""
    own = grid.axes[axis]
    circle = doubled_axis(own)
    n = circle.points
    k = torch.arange((n + 1) // 2, dtype=torch.float64)  # the Nyquist mode has no phase, as in `resample`
    share = torch.where(k == 0, 1.0, 2.0) / n * torch.sinc(k * (width / circle.length)[:, None])
    here, there = (2 * torch.pi / circle.length * x[:, None] * k for x in (where, circle.centres()))
    found = (share * here.cos()) @ there.cos().mT + (share * here.sin()) @ there.sin().mT
    if own.periodic:
        return found
    sign = signs(grid, facts.channels, axis, found).flatten()[channel]
    return found[:, : own.points] + sign * found[:, own.points :].flip(1)


def _weighed(u: Float[Tensor, "sample *space"], by: Sequence[Tensor]) -> Float[Tensor, "sample observation"]:
    last, *others = reversed([one.to(u) for one in by])
    found = u @ last.mT  # (sample, *other axes, observation)
    for one in others:
        found = (found * one.mT).sum(-2)
    return found


def _placed(observations: Observations, grid: Grid) -> tuple[Tensor, Tensor]:
    """Return centres and widths in the grid's order of axes; refuse what is not inside."""
    if sorted(observations.axes) != sorted(grid.names):
        told = ", ".join(observations.axes) or "none"
        raise InputError(f"observations = axes {told}: must be {', '.join(grid.names)}; name the columns so")
    order = [observations.axes.index(name) for name in grid.names]
    where, width = observations.where[:, order], observations.width[:, order].clone()
    for i, axis in enumerate(grid.axes):
        whole = width[:, i].isinf()
        where[:, i] = torch.where(whole, (axis.lower + axis.upper) / 2, where[:, i])
        width[:, i] = torch.where(whole, axis.length, width[:, i])
        _refuse_outside(axis, where[:, i], width[:, i])
    return where, width


def _refuse_outside(axis: Axis, where: Tensor, width: Tensor) -> None:
    domain = f"{axis.lower:g} … {axis.upper:g}"
    outside = where[(where < axis.lower) | (where > axis.upper)]
    if len(outside):
        raise InputError(f"observations.{axis.name} = {outside[0]:g}: must be within the domain {domain}; correct it")
    over = (width > axis.length * (1 + 1e-9)) if axis.periodic else _over(axis, where, width)
    if over.any():
        raise InputError(
            f"observations.width = {width[over][0]:g} about {axis.name} = {where[over][0]:g}: must lie within the "
            f"domain {domain}; correct it"
        )


def _over(axis: Axis, where: Tensor, width: Tensor) -> Tensor:
    slack = 1e-9 * axis.length
    return (where - width / 2 < axis.lower - slack) | (where + width / 2 > axis.upper + slack)


def _steps(times: Float[Tensor, " observation"], step: float) -> list[int]:
    counts = (times / step).round()
    if (times < 0).any():
        raise InputError(f"observations.time = {times.min():g}: must be at or after the initial field at 0; drop it")
    if (wrong := times[(counts * step - times).abs() > 1e-4 * step]).numel():
        near = round(wrong[0].item() / step) * step
        raise InputError(
            f"observations.time = {wrong[0]:g}: must be a multiple of the time step {step:g}; take {near:g}"
        )
    return [int(count) for count in counts.tolist()]


def _channels(names: Sequence[str], facts: Facts) -> list[int]:
    known = {name: i for i, name in enumerate(facts.names)} | ({"": 0} if facts.single else {})
    for name in names:
        if name not in known:
            told = ", ".join(facts.names)
            raise InputError(f"observations.channel = {name or 'missing'}: must be one of {told}; name it")
    return [known[name] for name in names]
