"""A trained model for those who have a field and want its future.

```python
emulator = Emulator.load("models:/universal-simulator@champion")
u = emulator.rollout(u0, viscosity=0.01, times=[0.5, 1.0, 2.0])
```

Fields are periodic on [0, 1), given at the cell centres x = (i + ½)/points, in the units of the equation. A model is
loaded and used in a thread of its own (``compute/apart.py``): no setting of the process changes a forecast.
"""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.emulation import emulator as emulation
from universal_simulator.emulation.forecast import states
from universal_simulator.fields.statistics import Statistics
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.arrays import Array, like
from universal_simulator.serving.bundle import Bundle, Card
from universal_simulator.serving.limits import LARGEST
from universal_simulator.serving.request import Request, ask
from universal_simulator.support.errors import InputError

Device = Literal["auto", "cpu", "cuda"]
SMALL = 64
"""States up to which one core takes no more time than several that wait for each other."""
TOLD = 4
"""Warnings of one forecast that are told in full; of more, their number."""


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
    def load(cls, address: str | os.PathLike[str], device: Device = "auto") -> "Emulator":
        """Open a model: ``models:/…@champion``, ``shipped:<experiment>``, or a folder. It runs no code from there."""
        _refuse_missing(device)
        return cls.of(open_bundle(address), device)

    @classmethod
    def of(cls, bundle: Bundle, device: Device = "auto") -> "Emulator":
        """Join the parts of a bundle."""
        _refuse_missing(device)
        return cls(bundle.card, apart(lambda: bundle.emulator(device)))

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
        """Return the fields at ``times`` after ``u0``, as an array of u0's kind, of float32 at least.

        ``u0`` is ``(space)`` or ``(sample, space)`` on any number of points, ``viscosity`` one number or one per
        sample. The answer is ``(…, time, space)``; with ``members`` it is an ensemble ``(…, member, time, space)``.
        ``guided`` lets the equation's balance correct every step, of every member, which takes longer.
        """
        request = ask(u0, viscosity, times, self.statistics.time_step, members, guided, seed)
        request.refuse_beyond(LARGEST)
        for warning in self.unknown(request):
            warnings.warn(warning, stacklevel=2)
        answer = self.answer(request)
        if lost := diverged(answer):
            line = f"{len(lost)} of {len(answer)} forecasts left all bounds: what is not finite in them is no forecast"
            warnings.warn(line, DivergedWarning, stacklevel=2)
        answer = answer[:, 0] if members is None else answer
        return like(answer[0] if request.alone else answer, u0)

    def answer(self, request: Request) -> Float[Tensor, "sample member time space"]:
        """Return the forecast.

        Pieces without chance in them are forecast side by side, each on a core of its own, which waits for no other;
        those that draw come one after the other, so that a seed stands for the same draws.
        """
        if request.variant != "deterministic":
            few = request.at_once * (request.members or 1) <= SMALL
            return apart(lambda: torch.cat(self._drawn(request)), threads=1 if few else None)
        hands = torch.get_num_threads() if self.parts.operator.rate.device.type == "cpu" else 1
        generator = torch.Generator()  # of which nothing is drawn

        def alone(piece: tuple[Tensor, Tensor]) -> Tensor:
            u, viscosity = piece
            return apart(lambda: self._forecast(u, viscosity, request, generator).cpu(), threads=1)

        with ThreadPoolExecutor(min(hands, len(request.u))) as pool:
            return torch.cat(list(pool.map(alone, request.pieces())))

    def unknown(self, request: Request) -> list[Warning]:
        """Return what is to be known of a forecast beforehand: where its error is unknown, or grows by guidance."""
        said = list(dict.fromkeys(self._outside(request)))
        if len(said) > TOLD:
            said[TOLD:] = [f"{len(said) - TOLD} more like these: the error there is unknown"]
        told: list[Warning] = [OutsideTrainingWarning(line) for line in said]
        own, guided = (self.card.scores.get(f"rollout/{variant}/nrmse") for variant in ("deterministic", "ttc"))
        if request.guided and own is not None and guided is not None and guided > own:
            line = f"guided, it erred by {guided:.2g} over its scored rollouts, and by {own:.2g} without guidance"
            told.append(GuidanceWarning(line))
        return told

    def _outside(self, request: Request) -> list[str]:
        lowest, highest = request.u.aminmax(dim=1)
        values, group = request.viscosity.unique(return_inverse=True)
        low = torch.zeros_like(values).scatter_reduce(0, group, lowest, "amin", include_self=False)
        high = torch.zeros_like(values).scatter_reduce(0, group, highest, "amax", include_self=False)
        said = [
            f"{line}: the error there is unknown"
            + ("; are these the equation's units?" if line.startswith("amplitude") else "")
            for each in zip(low.tolist(), high.tolist(), values.tolist(), strict=True)
            for line in self.statistics.outside(*each)
        ]
        horizon = max(request.steps) * self.statistics.time_step
        if horizon > self.card.horizon * (1 + 1e-6):
            line = f"time {horizon:g} is beyond {self.card.horizon:g}, the longest forecast that was scored"
            said.insert(0, f"{line}: the error there is unknown")
        return said

    def _drawn(self, request: Request) -> list[Float[Tensor, "_ member time space"]]:
        generator = torch.Generator().manual_seed(request.seed)
        return [self._forecast(u, viscosity, request, generator).cpu() for u, viscosity in request.pieces()]

    @torch.inference_mode()
    def _forecast(
        self,
        u: Float[Tensor, "sample space"],
        viscosity: Float[Tensor, " sample"],
        request: Request,
        generator: torch.Generator,
    ) -> Float[Tensor, "sample member time space"]:
        device, points, steps = self.parts.operator.rate.device, u.shape[-1], request.steps
        start = self.parts.start(u.to(device), viscosity.to(device), self.statistics.time_step)
        way = (request.variant, request.members or 1, self.card.conditioning)
        path = states(self.parts, start, max(steps), *way, points, generator)
        asked = torch.tensor(steps, device=path.device)
        elapsed = asked.to(start.mean) * start.time_step
        count = path.shape[1]
        fields = self.parts.fields(path[:, :, asked - 1].flatten(0, 1), start.repeat(count), elapsed, points)
        return fields.unflatten(0, (-1, count))


def diverged(answer: Float[Tensor, "sample member time space"]) -> list[int]:
    """Return the samples whose forecasts hold what is no number."""
    return (~answer.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()


def _refuse_missing(device: str) -> None:
    if device not in get_args(Device):
        raise InputError(f"device = {device}: must be one of {', '.join(get_args(Device))}; choose one")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device = cuda: must be there, and torch finds none; take device=cpu")
