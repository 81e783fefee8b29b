"""Does a model know what it is asked? Its fields are held against what is normal, its steps against the equation.

Two questions. How far does the initial field lie from those that training held (``alarm.py``)? And where the problem's
rate of change is known: what does the equation leave unexplained of a step that the model's operator takes
(``Balance.defect``)? That is asked of the initial field and of a few of the forecast's own; whatever else corrects or
perturbs a forecast, it is the operator that is judged. Either rings where its answer exceeds what all but few
validation fields give.

Where it rings, the difference between the forecast and the one that the equation corrects estimates the error, an
a-posteriori estimate that costs a second forecast. Members are moved apart along it, and from each other as many times
as the border is exceeded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from universal_simulator.emulation.alarm import SLACK, Alarm, border, measured, spread_of
from universal_simulator.emulation.conditioning import balance_of
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find

JUDGED = 5
"""Most fields of a forecast whose steps are held against the equation, the initial one among them."""
STARTS = (0.0, 0.125, 0.25, 0.5)
"""Where validation fields are taken, as shares of a trajectory: a forecast may begin at any of them."""
MOST = 128
"""Validation trajectories that are looked at."""
NUMBERS = 2**27
"""Of validation fields that are held at once."""
FALSE_ALARMS = 0.02
WIDTH = 1.5
"""Standard deviation of members along the estimated error, in units of it. Where the alarm rings the estimate itself
is off by up to a factor of three (docs/alarm.md)."""
MOST_TIMES = 100.0
"""Factor on members' own distances from their mean, at most."""
AT_ONCE = 64


@dataclass(frozen=True)
class Verdict:
    """What the alarm says of some forecasts: above 1 it rings."""

    strange: Float[Tensor, " sample"]
    """Distance of the initial field from what is normal, over the farthest that is."""
    unexplained: Float[Tensor, "sample judged"] | None
    """What the equation leaves unexplained of the operator's steps, over the most that is normal."""

    @property
    def score(self) -> Float[Tensor, " sample"]:
        """Return the worse of both answers; what is no number counts as infinite."""
        worst = self.strange if self.unexplained is None else torch.maximum(self.strange, self.unexplained.amax(1))
        return worst.nan_to_num(nan=torch.inf, posinf=torch.inf)

    @property
    def rings(self) -> Bool[Tensor, " sample"]:
        """Return which forecasts are not to be believed."""
        return self.score > 1


def judge(
    emulator: Emulator,
    alarm: Alarm,
    fields: Float[Tensor, "sample judged channel *space"],
    parameters: Float[Tensor, "sample parameter"],
    time_step: float,
) -> Verdict:
    """Return what the alarm says of forecasts, of which ``fields`` are the initial fields and some later ones."""
    strange = alarm.distance(_measured(emulator, fields[:, 0], parameters)) / alarm.farthest
    if alarm.unexplained is None:
        return Verdict(strange, None)
    told = parameters.repeat_interleave(fields.shape[1], 0)
    rates = unexplained(emulator, fields.flatten(0, 1), told, time_step).unflatten(0, (-1, fields.shape[1]))
    return Verdict(strange, rates / alarm.unexplained)


@torch.inference_mode()
def unexplained(
    emulator: Emulator,
    u: Float[Tensor, "field channel *space"],
    parameters: Float[Tensor, "field parameter"],
    time_step: float,
) -> Float[Tensor, " field"]:
    """Return what the equation leaves unexplained of the operator's step from each field, per time unit.

    It is judged on as many points as latent states have, in the co-moving frame, relative to the field, and at waves
    that the equation's linear part changes little in a step, where that is known.
    """
    balance, linear, floor = balance_of(emulator, time_step), find(emulator.facts.name).linear, emulator.operator.floor
    shape = tuple(n + n % 2 for n in emulator.codec.grid.shape)
    found = []
    for part, told in zip(u.split(AT_ONCE), parameters.split(AT_ONCE), strict=True):
        near, known = (value.to(emulator.device, emulator.dtype) for value in (part, told))
        start = emulator.start(near, known, time_step)
        both = (start.z, emulator.step(start.z, start))
        before, after = (emulator.decode_comoving(z, start.parameters, shape) for z in both)
        trusted = None if linear is None else balance.slow(linear, start.parameters, shape)
        found.append((balance.defect(before, after, start.parameters, floor, trusted) / time_step).cpu())
    return torch.cat(found)


def fit(emulator: Emulator, normal: Trajectories, time_step: float, false_alarms: float = FALSE_ALARMS) -> Alarm:
    """Return what is normal, from validation trajectories.

    One half of them, every other, says what fields look like. How far from that a normal field may be, the other half
    says, and the first half of what the other looks like.
    """
    frames = [int(share * (len(normal.times) - 1)) for share in STARTS]
    held = len(frames) * len(normal.facts.channels) * normal.grid.size
    count = min(len(normal), max(2, min(MOST, NUMBERS // held)))
    rows = torch.linspace(0, len(normal) - 1, count).round().long().numpy()
    u = normal.read(rows, frames)
    told = torch.as_tensor(normal.parameters[rows], dtype=u.dtype).repeat_interleave(len(frames), 0)
    numbers = _measured(emulator, u.flatten(0, 1), told).unflatten(0, tuple(u.shape[:2]))
    halves = [numbers[::2].flatten(0, 1), numbers[1::2].flatten(0, 1)]
    points, others = halves if len(halves[1]) else (halves[0], halves[0])
    made, mirrored = (_alarm(part, false_alarms, len(rows)) for part in (points, others))
    far = torch.cat((made.distance(others), mirrored.distance(points))).unflatten(0, (-1, len(frames)))
    own = [border(far[:, i], false_alarms) for i in range(len(frames))]  # early fields differ more than late ones
    borders: dict[str, float] = {"farthest": max(*own, SLACK)}
    if find(emulator.facts.name).rate is not None:
        worst = unexplained(emulator, u.flatten(0, 1), told, time_step).unflatten(0, tuple(u.shape[:2])).amax(1)
        borders["unexplained"] = border(worst, false_alarms)
    return made.model_copy(update={name: float(f"{value:.4g}") for name, value in borders.items()})


def _alarm(points: Float[Tensor, "point number"], false_alarms: float, trajectories: int) -> Alarm:
    """Return it without its borders."""
    return Alarm(
        points=tuple(tuple(round(one, 3) for one in row) for row in points.tolist()),
        spread=tuple(float(f"{one:.4g}") for one in spread_of(points).tolist()),
        farthest=1, false_alarms=false_alarms, trajectories=trajectories,
    )  # fmt: skip


def widened(
    members: Float[Tensor, "sample member *entry"],
    score: Float[Tensor, " sample"],
    doubt: Float[Tensor, "sample *entry"] | None,
) -> Float[Tensor, "sample member *entry"]:
    """Return members moved apart, their mean as it was.

    Each goes as many times as far from the mean as the score says, up to ``MOST_TIMES``. Along an estimated error,
    where there is one, they are spread like the quantiles of a normal distribution.
    """
    count, wide = members.shape[1], [1] * (members.ndim - 2)
    times = score.clamp(1, MOST_TIMES).to(members).view(-1, 1, *wide)
    mean = members.mean(1, keepdim=True)
    members = mean + times * (members - mean)
    if doubt is None:
        return members
    levels = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)
    steps = WIDTH * levels / levels.square().mean().sqrt()
    return members + steps.to(members).view(-1, *wide) * doubt[:, None]


def chosen(steps: Sequence[int]) -> list[int]:
    """Return which of the times that were asked for are judged: a few, spread evenly, the last one among them."""
    order = sorted(range(len(steps)), key=lambda i: steps[i])
    count = min(JUDGED - 1, len(order))
    return sorted({order[(len(order) * (i + 1)) // count - 1] for i in range(count)})


def _measured(emulator: Emulator, u: Tensor, parameters: Tensor) -> Float[Tensor, "field number"]:
    return measured(u, parameters, emulator.facts, emulator.grid, emulator.operator.floor)
