"""A trained model for those who have a field and want its future.

```python
emulator = Emulator.load("models:/universal-simulator@champion")
u = emulator.rollout(u0, viscosity=0.01, times=[0.5, 1.0, 2.0])
```

Fields are periodic on [0, 1), given at the cell centres x = (i + ½)/points, in the units of the equation.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Variant
from universal_simulator.emulation import emulator as emulation
from universal_simulator.fields.statistics import Statistics
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.bundle import Bundle, Card
from universal_simulator.support.errors import InputError

Array = np.ndarray | Tensor | Sequence[Any]
FEWEST_POINTS = 8
AT_ONCE = 50
"""Fields forecast together, which bounds memory."""


class OutsideTrainingWarning(UserWarning):
    """Something was asked for that the model was not trained on: its error there is unknown."""


class GuidanceWarning(UserWarning):
    """Guidance made this model's forecasts worse where they were scored."""


class DivergedWarning(UserWarning):
    """Some forecasts hold values that are no numbers."""


@dataclass(frozen=True)
class Emulator:
    """A model, and what it knows of itself."""

    card: Card
    parts: emulation.Emulator

    @classmethod
    def load(cls, address: str | os.PathLike[str], device: Literal["auto", "cpu", "cuda"] = "auto") -> "Emulator":
        """Open a model: ``models:/…@champion``, ``shipped:<experiment>``, or a folder. It runs no code from there."""
        return cls.of(open_bundle(address), device)

    @classmethod
    def of(cls, bundle: Bundle, device: Literal["auto", "cpu", "cuda"] = "auto") -> "Emulator":
        """Join the parts of a bundle."""
        return cls(bundle.card, bundle.emulator(device))

    @property
    def statistics(self) -> Statistics:
        """Return what was normal in the training data."""
        return self.card.recipes["operator"].statistics

    def rollout(
        self,
        u0: Array,
        viscosity: float | Array,
        times: float | Array,
        members: int | None = None,
        guided: bool = False,
        seed: int = 0,
    ) -> Any:
        """Return the fields at ``times`` after ``u0``, as an array of u0's kind.

        ``u0`` is ``(space)`` or ``(sample, space)`` on any number of points, ``viscosity`` one number or one per
        sample. The answer is ``(…, time, space)``; with ``members`` it is an ensemble ``(…, member, time, space)``.
        ``guided`` lets the equation's balance correct every step, of every member, which takes longer.
        """
        fields, nu = _fields(u0), _per_sample(viscosity, u0)
        steps = self._steps(times)
        variant = _variant(members, guided)
        self._warn(fields, nu, max(steps) * self.statistics.time_step)
        if guided:
            self._warn_of_guidance()
        device = self.parts.operator.rate.device
        generator = torch.Generator().manual_seed(seed)
        answers = [
            self._forecast(u.to(device), n.to(device), steps, variant, members or 1, generator).cpu()
            for u, n in zip(fields.split(AT_ONCE), nu.split(AT_ONCE), strict=True)
        ]
        answer = torch.cat(answers)
        if lost := int((~answer.flatten(1).isfinite().all(1)).sum()):
            line = f"{lost} of {len(answer)} forecasts left all bounds: what is not finite in them is no forecast"
            warnings.warn(line, DivergedWarning, stacklevel=2)
        answer = answer[:, 0] if members is None else answer
        answer = answer[0] if np.ndim(u0) == 1 else answer
        return answer.to(u0) if isinstance(u0, Tensor) else answer.numpy()

    @torch.inference_mode()
    def _forecast(
        self,
        u: Float[Tensor, "sample space"],
        viscosity: Float[Tensor, " sample"],
        steps: list[int],
        variant: Variant,
        members: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "sample member time space"]:
        points = u.shape[-1]
        start = self.parts.start(u, viscosity, self.statistics.time_step)
        path = states(self.parts, start, max(steps), variant, members, self.card.conditioning, points, generator)
        asked = torch.tensor(steps, device=path.device)
        elapsed = asked.to(u) * start.time_step
        count = path.shape[1]
        fields = self.parts.fields(path[:, :, asked - 1].flatten(0, 1), start.repeat(count), elapsed, points)
        return fields.unflatten(0, (-1, count))

    def _steps(self, times: float | Array) -> list[int]:
        """Return the times as numbers of the model's steps."""
        step = self.statistics.time_step
        asked = np.atleast_1d(np.asarray(times, np.float64))
        if asked.ndim != 1 or not asked.size or not np.isfinite(asked).all():
            raise InputError(f"times = {times}: must be one number or a list of numbers; give times after u0")
        found = np.rint(asked / step).astype(int)
        wrong = asked[(np.abs(found * step - asked) > 1e-4 * step) | (found < 1)]
        if wrong.size:
            near = max(1, int(np.rint(wrong[0] / step))) * step
            raise InputError(
                f"times = {wrong[0]:g}: must be a positive multiple of the model's step {step:g}; take {near:g}"
            )
        return [int(n) for n in found]

    def _warn(self, u: Float[Tensor, "sample space"], viscosity: Float[Tensor, " sample"], horizon: float) -> None:
        said = [
            line
            for nu in viscosity.unique().tolist()
            for line in self.statistics.outside(u[viscosity == nu].min().item(), u[viscosity == nu].max().item(), nu)
        ]
        if horizon > self.card.horizon * (1 + 1e-6):
            said.append(f"time {horizon:g} is beyond {self.card.horizon:g}, the longest forecast that was scored")
        for line in dict.fromkeys(said):
            remedy = "; are these the equation's units?" if line.startswith("amplitude") else ""
            warnings.warn(f"{line}: the error there is unknown{remedy}", OutsideTrainingWarning, stacklevel=3)

    def _warn_of_guidance(self) -> None:
        own, guided = (self.card.scores.get(f"rollout/{variant}/nrmse") for variant in ("deterministic", "ttc"))
        if own is not None and guided is not None and guided > own:
            line = f"guided, it erred by {guided:.2g} over its scored rollouts, and by {own:.2g} without guidance"
            warnings.warn(line, GuidanceWarning, stacklevel=3)


def _fields(u0: Array) -> Float[Tensor, "sample space"]:
    """Return the initial fields as one batch, or say what is wrong with them."""
    u = _numbers("u0", u0)
    if u.ndim not in (1, 2) or not u.numel() or u.shape[-1] < FEWEST_POINTS:
        raise InputError(
            f"u0 = an array of shape {tuple(u.shape)}: must be (space) or (sample, space) with at least "
            f"{FEWEST_POINTS} points; give one snapshot of each trajectory"
        )
    return torch.atleast_2d(u)


def _per_sample(viscosity: float | Array, u0: Array) -> Float[Tensor, " sample"]:
    nu, samples = _numbers("viscosity", viscosity), 1 if np.ndim(u0) == 1 else len(u0)
    if nu.ndim > 1 or nu.numel() not in (1, samples):
        raise InputError(
            f"viscosity = {tuple(nu.shape)} numbers: must be one, or one for each of the {samples} fields; repeat it"
        )
    if (nu <= 0).any():
        raise InputError(f"viscosity = {nu.min().item():g}: must be positive; the model takes its logarithm")
    return nu.flatten().expand(samples)


def _numbers(name: str, values: Any) -> Tensor:
    try:
        found = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
        if found.is_complex():
            raise TypeError("complex numbers")
        found = found.detach().cpu().float()
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} = {type(values).__name__}: must hold real numbers ({error}); convert it") from error
    if not found.isfinite().all():
        raise InputError(f"{name} = NaN or infinity in it: must be finite; remove what is missing")
    return found


def _variant(members: int | None, guided: bool) -> Variant:
    if members is not None and members < 2:
        raise InputError(f"members = {members}: must be at least 2; leave it out for one forecast")
    if members is not None:
        return "guided_ensemble" if guided else "ensemble"
    return "ttc" if guided else "deterministic"
