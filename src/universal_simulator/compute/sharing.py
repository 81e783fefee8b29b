"""Work that several processes do together: batches are divided, gradients averaged, results exchanged.

Every process draws the same global batch and takes its part, so that the loss is that of one process up to rounding.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
import torch.distributed as processes
from torch import Tensor, nn

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Share:
    """Number of this process, and how many there are."""

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> "Share":
        """Return that of this process; alone, it has everything."""
        if processes.is_available() and processes.is_initialized():
            return cls(processes.get_rank(), processes.get_world_size())
        return cls()

    def part(self, whole: Tensor, dim: int = 0) -> Tensor:
        """Return this process's samples out of all along ``dim``, whose number the number of processes divides."""
        size = whole.shape[dim] // self.count
        return whole.narrow(dim, self.rank * size, size)

    def of(self, batch: Any) -> Any:
        """Return this process's samples of a batch: a dataclass of tensors, samples first."""
        if self.count == 1:
            return batch
        return replace(batch, **{field.name: self.part(getattr(batch, field.name)) for field in fields(batch)})

    def average(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Return the loss over all samples, and leave with each parameter the gradient of that loss."""
        if self.count == 1:
            return loss
        gradients = [_real(parameter.grad) for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([loss.detach().reshape(1), *(gradient.flatten() for gradient in gradients)])
        self.mean(flat)
        begin = 1
        for gradient in gradients:
            gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()
        return flat[0].clone()

    def mean(self, value: Tensor) -> Tensor:
        """Average in place over all processes."""
        if self.count > 1:
            processes.all_reduce(value)
            value /= self.count
        return value

    def gather(self, thing: Item) -> list[Item]:
        """Return to each process what all of them have, in order."""
        if self.count == 1:
            return [thing]
        found: list[Any] = [None] * self.count
        processes.all_gather_object(found, thing)
        return found

    def first(self, thing: Item) -> Item:
        """Return to each process what the first one has: what they read from a disk may differ for a moment."""
        if self.count == 1:
            return thing
        told: list[Any] = [thing]
        processes.broadcast_object_list(told)
        return told[0]

    def map(self, make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """Yield to each process what is made of the items, in order; each of them makes every ``count``-th."""
        for first in range(0, len(items), self.count):
            together = items[first : first + self.count]
            mine = [make(item) for item in together[self.rank : self.rank + 1]]  # in the last round there may be none
            for theirs in self.gather(mine):
                yield from theirs


def _real(gradient: Tensor) -> Tensor:
    """Return a view without complex numbers, which not every way between processes carries."""
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient
