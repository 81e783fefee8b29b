"""A trained model for those who have a field and want its future.

```python
emulator = Emulator.load("models:/universal-simulator@champion")
u = emulator.rollout(u0, parameters={"nu": 0.01}, times=[0.5, 1.0, 2.0])
```

Fields are given at the cell centres of the model's domain (``emulator.card.grid``), on any number of them, in the units
of the problem. A model is loaded and used in a thread of its own (``compute/apart.py``): no setting of the process
changes a forecast.
"""

import os
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.configuration import Infer, Propagate, Variational
from universal_simulator.emulation import emulator as emulation
from universal_simulator.emulation.differentiable import FieldStepper
from universal_simulator.emulation.forecasters import Hybrid, Rollout
from universal_simulator.fields.statistics import Statistics
from universal_simulator.inverse.observations import Observations
from universal_simulator.serving import answers
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.alarms import demanded, forecasts, judged, watched
from universal_simulator.serving.answers import as_tensor
from universal_simulator.serving.arrays import Array, like
from universal_simulator.serving.bundle import Bundle, Card
from universal_simulator.serving.cautions import DivergedWarning, unknown, warn_outside
from universal_simulator.serving.inference import Inference, Question, infer, ranges
from universal_simulator.serving.inversion import Assimilation, assimilate, initial_field, pose
from universal_simulator.serving.request import (
    LARGEST,
    Fields,
    Form,
    Model,
    Piece,
    Request,
    ask,
    named_parameters,
    substeps,
    told,
)
from universal_simulator.support.errors import InputError

if TYPE_CHECKING:
    from universal_simulator.serving import filtering, propagation

Device = Literal["auto", "cpu", "cuda"]
SMALL = 2**15
"""Numbers in latent states up to which one core takes no more time than several that wait for each other."""


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

        Raises ``InputError`` where there is none, where its files are damaged, and for a device that is not there.

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
        return Model(self.card.facts, self.card.grid, self.statistics.time_step, self.parts.dtype)

    @property
    def time_steps(self) -> tuple[float, ...]:
        """Return the time steps that it was trained on, in time units, in ascending order."""
        own, told = self.statistics.time_step, self.card.parameters
        strides = told.get("operator", {}).get("time_strides", ())
        return tuple(sorted({own, *(own * one / told["data"]["time_stride"] for one in strides)}))

    def double(self) -> "Emulator":
        """Return the model in double precision: slower, for gradients that are exact to rounding."""
        return replace(self, parts=self.parts.double())

    def stepper(self, parameters: Mapping[str, Any], dt: float | None = None) -> FieldStepper:
        """Return a torch module from a field ``(sample, channel, *space)`` to the field ``dt`` later.

        ``dt`` is in time units, a multiple of a time step that it was trained on; by default the model's own. Numbers
        among ``parameters`` may be tensors that need a gradient. Raises ``InputError`` for any other ``dt``.

        >>> import torch
        >>> emulator = Emulator.load("shipped:golden")
        >>> step = emulator.stepper({"nu": 0.01}, dt=0.05)
        >>> u = torch.sin(2 * torch.pi * (torch.arange(64) + 0.5) / 64)[None, None].requires_grad_()
        >>> step(step(u)).square().mean().backward()
        >>> u.grad.shape
        torch.Size([1, 1, 64])
        """
        dt = self.statistics.time_step if dt is None else dt
        count = substeps(dt, self.time_steps)
        samples = max([torch.as_tensor(one).numel() for one in parameters.values()], default=1)
        named_parameters(parameters, samples, self.card.facts)
        return FieldStepper(self.parts, {name: as_tensor(one) for name, one in parameters.items()}, dt, count)

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
        name, one number or one per sample; ``viscosity`` is short for the only one. ``times`` are in the problem's time
        units, counted from u0, and multiples of the model's step. The answer has the form of u0 with ``time`` before
        the channels, and with ``members``, of an ensemble, ``member`` before that. ``guided`` lets the equation's
        balance correct every step, of every member, which takes longer. ``mode="fast"`` is the coarse solver with its
        decoder, for models that have one; it draws no members and is not guided. Where u0 or a parameter is a tensor
        that needs a gradient, so does the answer, which then has neither members nor guidance.

        Raises ``InputError`` for what cannot be forecast. Warns (``OutsideTrainingWarning``, ``GuidanceWarning``,
        ``DivergedWarning``) of a forecast whose error is unknown, that guidance makes worse, or that left all bounds.

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
        answers.refuse_fast(mode, self.fast, self.card.experiment, request, answers.needs_gradient(u0, named))
        for warning in self.unknown(request):
            warnings.warn(warning, stacklevel=2)
        if mode == "fast" and self.fast is not None:
            answer = answers.forecast_fast(self.fast, request, self.statistics.time_step)
        elif answers.needs_gradient(u0, named):
            answer = answers.forecast_with_gradient(self.parts, request, u0, named, self.statistics.time_step)[:, None]
        else:
            answer = self.answer(request)
        found = watched(self, request, answer, fast=mode == "fast")
        answer = found.answer
        for warning in found.warnings:
            warnings.warn(warning, stacklevel=2)
        if lost := diverged(answer):
            line = f"{len(lost)} of {len(answer)} forecasts left all bounds: what is not finite in them is no forecast"
            warnings.warn(line, DivergedWarning, stacklevel=2)
        return self._shaped(answer[:, 0] if members is None else answer, request.form, u0)

    def judge(
        self, u0: Fields, u: Array, times: float | Array, parameters: Mapping[str, Any] | None = None
    ) -> np.ndarray:
        """Return the alarm's score of each forecast ``u`` of the fields ``u0``: above 1 its error is unknown.

        ``u`` is what ``rollout`` makes of ``u0`` at ``times``; one number for each sample comes back. Raises
        ``InputError`` for a model without an alarm.

        >>> emulator = Emulator.load("shipped:golden")
        >>> u0 = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)[None]
        >>> with warnings.catch_warnings(action="ignore"):
        ...     u = emulator.rollout(u0, parameters={"nu": 0.005}, times=[0.1])
        >>> emulator.judge(u0, u, [0.1], {"nu": 0.005}) > 1
        array([ True])
        """
        alarm = demanded(self)
        request = ask(self.model, u0, {} if parameters is None else parameters, times, None, False, 0)
        return judged(self, alarm, request, forecasts("u", u, request))

    def propagate(self, u0: Fields, asked: Propagate, seed: int = 0) -> "propagation.Propagation":
        """Return how uncertain forecasts are from around ``u0`` whose inputs are as uncertain as ``asked`` says.

        ``u0`` is one field, as of ``rollout``: the mean of the initial fields. Raises ``InputError``.
        """
        from universal_simulator.serving import propagation  # which knows this module

        made = propagation.answer(self, u0, asked, seed)
        for warning in made.warnings:
            warnings.warn(warning, stacklevel=2)
        return made

    def assimilate(
        self,
        observations: Observations,
        parameters: Mapping[str, Any] | None = None,
        prior: Fields | None = None,
        settings: Variational | None = None,
        with_solver: bool = False,
        seed: int = 0,
    ) -> Assimilation:
        """Return the initial field that explains observations best, and members that say how sure it is (4D-Var).

        ``parameters`` are the equation's, by name. ``prior`` are fields like the one that is sought; by default those
        of the family that the model was trained on. ``with_solver`` does the same through the problem's solver. Raises
        ``InputError`` for observations that cannot be.
        """
        told = {} if parameters is None else parameters
        warn_outside(self.statistics, named_parameters(told, 1, self.card.facts)[0].tolist())
        task = pose(self, observations, prior, settings or Variational())
        return apart(lambda: assimilate(task, told, with_solver, seed))

    def filter(
        self,
        observations: Observations,
        members: Fields,
        parameters: Mapping[str, Any] | None = None,
        inflation: float = 1.02,
        model_error: bool = True,
        seed: int = 0,
    ) -> "filtering.Filtered":
        """Return the state at each time of observations, and how sure it is, by an ensemble Kalman filter.

        ``members`` are fields at time 0, at least two, ``(member, [channel,] *space)``: draws of what is known then.
        Anomalies grow by ``inflation`` at each analysis; ``model_error`` lets every member's steps err as the model
        does. For long runs of observations, and chaos, which 4D-Var's one window cannot span. Raises ``InputError``.
        """
        from universal_simulator.serving import filtering  # which knows this module

        told = parameters or {}
        warn_outside(self.statistics, named_parameters(told, 1, self.card.facts)[0].tolist())
        asked = (observations, members, told, inflation, model_error, seed)
        return apart(lambda: filtering.filter_by_model(self, *asked))

    def infer(
        self,
        observations: Observations,
        settings: Infer | None = None,
        initial: Fields | None = None,
        prior: Fields | None = None,
        seed: int = 0,
    ) -> Inference:
        """Return the posterior of one to three parameters: what is sought, and between which bounds, say the settings.

        ``initial`` is the initial field; without it that is unknown, too, with ``prior`` as of ``assimilate``: one
        parameter's posterior then has it integrated out, several are sought together with it. Raises ``InputError``.
        """
        settings = settings or Infer()
        sought, known = ranges(self, settings), settings.parameters
        bounds = {one.parameter.name: (one.low, one.high) for one in sought}
        for end in (0, 1):
            at = [bounds[p.name][end] if p.name in bounds else known[p.name] for p in self.card.facts.parameters]
            warn_outside(self.statistics, at)
        task = pose(self, observations, prior, settings.variational)
        u = None if initial is None else initial_field(self, initial)
        question = Question(task, sought, known, u, settings, seed)
        return apart(lambda: infer(question))

    def _shaped(self, answer: Tensor, form: Form, u0: Fields) -> Any:
        d = self.card.grid.dimensions
        if isinstance(u0, Mapping):
            each = zip(form.named, answer.unbind(-d - 1), strict=True)
            return {name: like(values if form.sampled else values[0], u0[name]) for name, values in each}
        return like(form.of(answer, d), u0)

    def answer(self, request: Request) -> Float[Tensor, "sample member time channel *space"]:
        """Return the forecast of a checked request, with an axis for members also where none were asked for.

        Small pieces without chance in them are forecast side by side, each on a core of its own, which waits for no
        other. Large ones have all cores, one after the other.
        """
        state = self.parts.codec.grid.size * len(self.card.facts.channels)
        few = request.at_once * (request.members or 1) * state <= SMALL
        if request.variant != "deterministic" or not few:
            return apart(lambda: torch.cat(self._in_turn(request)), threads=1 if few else None)
        hands = torch.get_num_threads() if self.parts.device.type == "cpu" else 1

        def alone(piece: Piece) -> Tensor:
            return apart(lambda: self._forecast(piece, request).cpu(), threads=1)

        with ThreadPoolExecutor(min(hands, len(request.u))) as pool:
            return torch.cat(list(pool.map(alone, request.pieces())))

    def unknown(self, request: Request) -> list[Warning]:
        """Return what is to be known of a forecast beforehand: where its error is unknown, or grows by guidance."""
        return unknown(self.card, self.statistics, request)

    def _in_turn(self, request: Request) -> list[Tensor]:
        return [self._forecast(piece, request).cpu() for piece in request.pieces()]

    @torch.inference_mode()
    def _forecast(self, piece: Piece, request: Request) -> Float[Tensor, "sample member time channel *space"]:
        u, parameters, streams = piece
        device, shape, steps = self.parts.device, tuple(u.shape[2:]), request.steps
        start = self.parts.start(u.to(device), parameters.to(device), self.statistics.time_step)
        rollout = Rollout(self.parts, request.variant, request.members or 1, self.card.conditioning)
        path = rollout.states(start, max(steps), shape, streams)
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
