"""What a forecast is asked for with: checked once, for every entrance, before anything is computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Variant
from universal_simulator.serving.arrays import Array, numbers, truth, whole
from universal_simulator.serving.limits import refuse_beyond
from universal_simulator.support.errors import InputError

FEWEST_POINTS = 8
MOST_MEMBERS = 10**4
MOST_STEPS = 2**53
"""Beyond it not every number is there to be counted with."""
AT_ONCE, STATES_AT_ONCE = 50, 512
"""Fields, and members of all of them, that are forecast together, which bounds memory."""
NORMAL = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Request:
    """Where forecasts begin, when they are wanted, and how they are made."""

    u: Float[Tensor, "sample space"]
    viscosity: Float[Tensor, " sample"]
    steps: list[int]
    members: int | None
    guided: bool
    seed: int
    alone: bool
    """Whether one field was given, without an axis for samples."""

    @property
    def variant(self) -> Variant:
        """Return the way of stepping that it asks for."""
        if self.members is not None:
            return "guided_ensemble" if self.guided else "ensemble"
        return "ttc" if self.guided else "deterministic"

    @property
    def at_once(self) -> int:
        """Return how many fields are forecast together."""
        return max(1, min(AT_ONCE, len(self.u), STATES_AT_ONCE // (self.members or 1)))

    def pieces(self) -> Iterator[tuple[Float[Tensor, "piece space"], Float[Tensor, " piece"]]]:
        """Yield the fields that are forecast together, and their viscosities."""
        yield from zip(self.u.split(self.at_once), self.viscosity.split(self.at_once), strict=True)

    def refuse_beyond(self, largest: float) -> None:
        """Refuse it if it costs more than that, or than what the environment allows."""
        steps = max(*self.steps, len(self.steps))
        refuse_beyond(largest, len(self.u), self.members or 1, steps, self.u.shape[-1], self.guided)


def ask(
    u0: Array, viscosity: float | Array, times: float | Array, time_step: float, members: Any, guided: Any, seed: Any
) -> Request:
    """Return what a model of this step is asked for, or refuse it in one line."""
    u = _fields(u0)
    return Request(
        u=torch.atleast_2d(u),
        alone=u.ndim == 1,
        viscosity=_per_sample(viscosity, 1 if u.ndim == 1 else len(u)),
        steps=_steps(times, time_step),
        members=None if members is None else _members(members),
        guided=truth("guided", guided),
        seed=whole("seed", seed, 0, 2**63 - 1),
    )


def _fields(u0: Array) -> Float[Tensor, "*sample space"]:
    """Return the initial fields, or say what is wrong with them."""
    u = numbers("u0", u0)
    if u.ndim not in (1, 2) or not u.numel() or u.shape[-1] < FEWEST_POINTS:
        raise InputError(
            f"u0 = an array of shape {tuple(u.shape)}: must be (space) or (sample, space) with at least "
            f"{FEWEST_POINTS} points; give one snapshot of each trajectory"
        )
    return u.to(torch.float32)


def _per_sample(viscosity: float | Array, samples: int) -> Float[Tensor, " sample"]:
    nu = numbers("viscosity", viscosity, truths=False).to(torch.float32)
    if nu.ndim > 1 or nu.numel() not in (1, samples):
        raise InputError(
            f"viscosity = {tuple(nu.shape)} numbers: must be one, or one for each of the {samples} fields; repeat it"
        )
    if (nu < NORMAL).any():
        raise InputError(f"viscosity = {nu.min().item():g}: must be positive; the model takes its logarithm")
    return nu.flatten().expand(samples)


def _steps(times: float | Array, step: float) -> list[int]:
    """Return the times as numbers of the model's steps."""
    asked = torch.atleast_1d(numbers("times", times, truths=False))
    if asked.ndim != 1 or not asked.numel():
        raise InputError(
            f"times = an array of shape {tuple(asked.shape)}: must be one number or a list of numbers; "
            "give times after u0"
        )
    found = (asked / step).round()
    wrong = asked[((found * step - asked).abs() > 1e-4 * step) | (found < 1) | (found > MOST_STEPS)]
    if wrong.numel():
        near = min(max(1, round(wrong[0].item() / step)), MOST_STEPS) * step
        raise InputError(
            f"times = {wrong[0]:g}: must be a positive multiple of the model's step {step:g}; take {near:g}"
        )
    return [int(count) for count in found.tolist()]


def _members(members: Any) -> int:
    count = whole("members", members)
    if not 2 <= count <= MOST_MEMBERS:
        bounds = f"at least 2 and at most {MOST_MEMBERS}"
        raise InputError(f"members = {count}: must be {bounds}; leave it out for one forecast")
    return count
