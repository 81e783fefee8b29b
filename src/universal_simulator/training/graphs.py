"""A training step as one CUDA graph, in place of a thousand launches.

The networks here are small: on a data-centre GPU a step computes for a tenth of the time that a processor takes to
launch its kernels one by one (docs/scaling.md). A graph holds them all and is launched at once; it reads and writes
the same places in memory every time. So what changes from step to step is put there before: the batch, the learning
rates, and what the objective draws at random.
"""

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from universal_simulator.compute.device import Share

Make = Callable[[float, torch.Generator], Tensor]
"""From the progress of a training to what one of its steps draws."""
Taken = tuple[Tensor, Tensor]
"""Loss of a step, and norm of its gradient."""
WARM = 3
"""Steps that are taken plainly before one is recorded: libraries choose their ways and places in the first ones."""

log = logging.getLogger(__name__)


class Tape(torch.Generator):
    """Stands for the generator while a step is recorded: remembers what is drawn, and where it has to lie."""

    def __init__(self) -> None:
        self.places: list[tuple[Make, Tensor]] = []

    def place(self, make: Make, like: Tensor) -> Tensor:
        """Return where these draws will lie."""
        shape = make(0.0, torch.Generator()).shape
        place = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.places.append((make, place))
        return place

    def fill(self, progress: float, generator: torch.Generator) -> None:
        """Draw all anew, in the order of the record."""
        for make, place in self.places:
            place.copy_(make(progress, generator))


def drawn(make: Make, progress: float, generator: torch.Generator, like: Tensor) -> Shaped[Tensor, "..."]:
    """Return what an objective draws, with the precision and on the device of ``like``.

    Objectives draw in this way alone, so that a recorded step finds new numbers at every replay.
    """
    if isinstance(generator, Tape):
        return generator.place(make, like)
    return make(progress, generator).to(like)


class StepGraph:
    """Takes the steps of a training: the first ones plainly, then a record of one again and again."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.stream = device, torch.cuda.Stream(device) if device.type == "cuda" else None
        self.reset()

    def reset(self) -> None:
        """Forget the record: the weights or the optimiser's memory lie elsewhere now."""
        self.plain = WARM
        self.replay: Callable[[], None] | None = None

    def __call__(
        self,
        take: Callable[[Any, float, torch.Generator], Taken],
        batch: Any,
        progress: float,
        generator: torch.Generator,
    ) -> Taken:
        """Return what ``take(batch, progress, generator)`` does; ``batch`` is a dataclass of tensors, always alike."""
        if self.replay is None and not self.plain:
            self._record(take, batch, progress)
        if self.replay is None:
            self.plain -= 1
            return self._aside(lambda: take(batch, progress, generator))
        for field in fields(batch):
            getattr(self.batch, field.name).copy_(getattr(batch, field.name))
        self.tape.fill(progress, generator)
        self.replay()
        loss, norm = self.found
        return loss.clone(), norm.clone()

    def _record(self, take: Callable[[Any, float, torch.Generator], Taken], batch: Any, progress: float) -> None:
        """Record a step, without taking it; where that cannot be done, steps stay plain ones for good."""
        self.batch = replace(batch, **{field.name: getattr(batch, field.name).clone() for field in fields(batch)})
        self.tape = Tape()
        try:
            self.replay = self.recorded(lambda: take(self.batch, progress, self.tape))
        except RuntimeError as error:
            self.plain = -1
            log.warning("Steps are launched kernel by kernel, as one cannot be recorded: %s", str(error).split("\n")[0])

    def recorded(self, work: Callable[[], Taken]) -> Callable[[], None]:
        """Return what does the work again; ``found`` is where it leaves its results."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.found = work()
        return graph.replay

    def _aside(self, work: Callable[[], Taken]) -> Taken:
        """Work on the stream on which a step will be recorded, as torch's notes on CUDA graphs ask for."""
        if self.stream is None:
            return work()
        now = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(now)
        with torch.cuda.stream(self.stream):
            found = work()
        now.wait_stream(self.stream)
        return found


def graph_for(network: nn.Module, share: Share) -> StepGraph | None:
    """Return what records the steps of a network's training; None on a CPU, and where a step cannot be recorded.

    Several processes exchange gradients in every step, and the optimiser counts the steps of complex weights on the
    CPU.
    """
    weights = list(network.parameters())
    device = weights[0].device
    if device.type != "cuda" or share.count > 1 or any(weight.is_complex() for weight in weights):
        return None
    return StepGraph(device)
