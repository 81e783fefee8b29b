"""A trained model for those who have a field and want its future.

```python
emulator = Emulator.load("models:/universal-simulator@champion")
u = emulator.rollout(u0, parameters={"nu": 0.01}, times=[0.5, 1.0, 2.0])
```

Fields are given at the cell centres of the model's domain (``emulator.card.grid``), on any number of them, in the units
of the problem. A model is
loaded and used in a thread of its own (``compute/apart.py``): no setting of the process changes a forecast.
"""

import os
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.emulation import emulator as emulation
from universal_simulator.emulation.forecasters import Rollout
from universal_simulator.emulation.hybrid import Hybrid
from universal_simulator.fields.statistics import Statistics
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.arrays import Array, like
from universal_simulator.serving.bundle import Bundle, Card
from universal_simulator.serving.limits import LARGEST
from universal_simulator.serving.request import Fields, Form, Model, Request, ask, told
from universal_simulator.support.errors import InputError

Device = Literal["auto", "cpu", "cuda"]
SMALL = 2**15
"""Numbers in latent states up to which one core takes no more time than several that wait for each other."""
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
    fast: Hybrid | None = None
    """A coarse solver and its decoder; of models that have such a mode."""

    @classmethod
    def load(cls, address: str | os.PathLike[str], device: Device = "auto") -> "Emulator":
        """Open a model: ``models:/…@champion``, ``shipped:<experiment>``, or a folder. It runs no code from there.

        >>> emulator = Emulator.load("shipped:golden")
        >>> emulator.card.experiment, emulator.card.facts.name, emulator.card.sets
        ('golden', 'burgers', [(0.01,)])
        """
        _refuse_missing(device)
        return cls.of(open_bundle(address), device)

    @classmethod
    def of(cls, bundle: Bundle, device: Device = "auto") -> "Emulator":
        """Join the parts of a bundle."""
        _refuse_missing(device)
        return cls(bundle.card, apart(lambda: bundle.emulator(device)), bundle.hybrid())

    @property
    def statistics(self) -> Statistics:
        """Return what was normal in the training data."""
        return self.card.recipes["operator"].statistics

    @property
    def model(self) -> Model:
        """Return what requests must fit."""
        return Model(self.card.facts, self.card.grid, self.statistics.time_step)

    def rollout(
        self,
        u0: Fields,
        viscosity: float | Array | None = None,
        times: float | Array = (),
        members: int | None = None,
        guided: bool = False,
        seed: int = 0,
        parameters: Mapping[str, Any] | None = None,
        mode: str = "full",
    ) -> Any:
        """Return the fields at ``times`` after ``u0``, as an array of u0's kind, of float32 at least.

        ``u0`` is ``(sample, channel, *space)`` on any number of points, or a mapping of ``(sample, *space)`` by
        channel; the axis of samples may be missing, and that of channels where there is one. ``parameters`` are by
        name, one number or one per sample; ``viscosity`` is short for the only one. The answer has the form of u0 with
        ``time`` before the channels, and with ``members``, of an ensemble, ``member`` before that. ``guided`` lets the
        equation's balance correct every step, of every member, which takes longer. ``mode="fast"`` is the coarse solver
        with its decoder, for models that have one; it draws no members and is not guided.

        >>> import numpy as np
        >>> emulator = Emulator.load("shipped:golden")
        >>> u0 = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)
        >>> emulator.rollout(u0, viscosity=0.01, times=[0.1, 0.2]).shape  # (time, x)
        (2, 64)
        >>> both = np.stack([u0, -u0])
        >>> emulator.rollout(both, parameters={"nu": 0.01}, times=[0.1], members=3).shape  # (sample, member, time, x)
        (2, 3, 1, 64)
        """
        named = told(self.card.facts, viscosity, parameters)
        request = ask(self.model, u0, named, times, members, guided, seed)
        request.refuse_beyond(LARGEST)
        self._refuse_mode(mode, request)
        for warning in self.unknown(request):
            warnings.warn(warning, stacklevel=2)
        answer = self.answer(request) if mode == "full" else self._quickly(request)
        if lost := diverged(answer):
            line = f"{len(lost)} of {len(answer)} forecasts left all bounds: what is not finite in them is no forecast"
            warnings.warn(line, DivergedWarning, stacklevel=2)
        return self._shaped(answer[:, 0] if members is None else answer, request.form, u0)

    def _refuse_mode(self, mode: str, request: Request) -> None:
        if mode not in ("full", "fast"):
            raise InputError(f"mode = {mode}: must be full or fast; choose one")
        if mode == "fast" and self.fast is None:
            raise InputError(f"mode = fast: {self.card.experiment} has no such mode; leave it out")
        if mode == "fast" and (request.members is not None or request.guided):
            raise InputError("mode = fast: must be without members and guided; leave them out")

    def _quickly(self, request: Request) -> Float[Tensor, "sample 1 time channel *space"]:
        """Return the forecast of the fast mode."""
        assert self.fast is not None
        hybrid, step, shape = self.fast, self.statistics.time_step, tuple(request.u.shape[2:])
        pieces = request.pieces()

        def forecast() -> Tensor:
            return torch.cat([hybrid.fields(u, told, step, request.steps, shape) for u, told in pieces])

        return apart(forecast, threads=1)[:, None]

    def _shaped(self, answer: Tensor, form: Form, u0: Fields) -> Any:
        d = self.card.grid.dimensions
        if isinstance(u0, Mapping):
            each = zip(form.named, answer.unbind(-d - 1), strict=True)
            return {name: like(values if form.sampled else values[0], u0[name]) for name, values in each}
        return like(form.of(answer, d), u0)

    def answer(self, request: Request) -> Float[Tensor, "sample member time channel *space"]:
        """Return the forecast.

        Small pieces without chance in them are forecast side by side, each on a core of its own, which waits for no
        other. Large ones have all cores, and those that draw come one after the other, so that a seed stands for the
        same draws.
        """
        state = self.parts.codec.grid.size * len(self.card.facts.channels)
        few = request.at_once * (request.members or 1) * state <= SMALL
        if request.variant != "deterministic" or not few:
            return apart(lambda: torch.cat(self._drawn(request)), threads=1 if few else None)
        hands = torch.get_num_threads() if self.parts.device.type == "cpu" else 1
        generator = torch.Generator()  # of which nothing is drawn

        def alone(piece: tuple[Tensor, Tensor]) -> Tensor:
            return apart(lambda: self._forecast(*piece, request, generator).cpu(), threads=1)

        with ThreadPoolExecutor(min(hands, len(request.u))) as pool:
            return torch.cat(list(pool.map(alone, request.pieces())))

    def unknown(self, request: Request) -> list[Warning]:
        """Return what is to be known of a forecast beforehand: where its error is unknown, or grows by guidance."""
        said = list(dict.fromkeys(self._outside(request)))
        if len(said) > TOLD:
            said[TOLD:] = [f"{len(said) - TOLD} more like these: the error there is unknown"]
        known: list[Warning] = [OutsideTrainingWarning(line) for line in said]
        own, guided = (self.card.scores.get(f"rollout/{variant}/nrmse") for variant in ("deterministic", "ttc"))
        if request.guided and own is not None and guided is not None and guided > own:
            line = f"guided, it erred by {guided:.2g} over its scored rollouts, and by {own:.2g} without guidance"
            known.append(GuidanceWarning(line))
        return known

    def _outside(self, request: Request) -> list[str]:
        lowest, highest = request.u.flatten(2).aminmax(dim=2)
        grid, frame = self.card.grid, self.card.facts.frame
        size = grid.rms(request.u - grid.wide(frame.mean(request.u, grid)))
        said = []
        given = request.parameters
        for row in given.unique(dim=0) if given.shape[1] else given[:1]:  # of no parameters all are alike
            mine = (given == row).all(1)
            ranges = list(zip(lowest[mine].amin(0).tolist(), highest[mine].amax(0).tolist(), strict=True))
            for line in self.statistics.outside(ranges, size[mine].amin(0).tolist(), row.tolist()):
                units = "; are these the equation's units?" if "amplitude" in line else ""
                said.append(f"{line}: the error there is unknown{units}")
        horizon = max(request.steps) * self.statistics.time_step
        if horizon > self.card.horizon * (1 + 1e-6):
            line = f"time {horizon:g} is beyond {self.card.horizon:g}, the longest forecast that was scored"
            said.insert(0, f"{line}: the error there is unknown")
        return said

    def _drawn(self, request: Request) -> list[Tensor]:
        generator = torch.Generator().manual_seed(request.seed)
        return [self._forecast(*piece, request, generator).cpu() for piece in request.pieces()]

    @torch.inference_mode()
    def _forecast(
        self, u: Tensor, parameters: Tensor, request: Request, generator: torch.Generator
    ) -> Float[Tensor, "sample member time channel *space"]:
        device, shape, steps = self.parts.device, tuple(u.shape[2:]), request.steps
        start = self.parts.start(u.to(device), parameters.to(device), self.statistics.time_step)
        rollout = Rollout(self.parts, request.variant, request.members or 1, self.card.conditioning)
        path = rollout.states(start, max(steps), shape, generator)
        asked = torch.tensor(steps, device=path.device)
        elapsed = asked.to(start.mean) * start.time_step
        count = path.shape[1]
        fields = self.parts.decode(path[:, :, asked - 1].flatten(0, 1), start.repeat(count), elapsed, shape)
        return fields.unflatten(0, (-1, count))


def diverged(answer: Float[Tensor, "sample *rest"]) -> list[int]:
    """Return the samples whose forecasts hold what is no number."""
    return (~answer.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()


def _refuse_missing(device: str) -> None:
    if device not in get_args(Device):
        raise InputError(f"device = {device}: must be one of {', '.join(get_args(Device))}; choose one")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device = cuda: must be there, and torch finds none; take device=cpu")
