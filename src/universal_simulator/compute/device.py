"""Where to compute, with which numbers and seeds, alone or together with other processes.

One seed, many independent streams, each named after what it is for.

Whether a gradient is asked for: what is computed without one is computed in inference mode, as fast as it goes.

Work that several processes do together: batches are divided, gradients averaged, results exchanged.

Every process draws the same global batch and takes its part, so that the loss is that of one process up to rounding.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import Any, TypeVar

import torch
import torch.distributed as processes
from torch import Tensor, nn

from universal_simulator.configuration import Compute
from universal_simulator.support.errors import InputError


def derive(seed: int, *purpose: str | int) -> int:
    """Return a seed that differs for every purpose: ``derive(17, "operator", "batches")``."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a generator of its own for this purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def fresh_weights(seed: int, *purpose: str | int) -> Iterator[None]:
    """Make modules built inside start from weights that depend on the seed alone; torch's own state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, *purpose))
        yield


def asked(*values: Any) -> bool:
    """Tell whether torch records operations now, and one of the values is a tensor that needs a gradient."""
    return torch.is_grad_enabled() and any(isinstance(one, Tensor) and one.requires_grad for one in values)


def unless_asked(mode: Callable[[], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: run in this mode (``inference_mode``, ``no_grad``) unless an argument needs a gradient."""

    def decorate(work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def run(*arguments: Any, **named: Any) -> Any:
            if asked(*arguments, *named.values()):
                return work(*arguments, **named)
            with mode():
                return work(*arguments, **named)

        return run

    return decorate


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


def choose(device: str) -> torch.device:
    """Return the device of this name; ``auto`` is the GPU where there is one.

    >>> choose("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(asked: int | None, processes: int = 1) -> int:
    """Return the threads of each process: those asked for, or else ``OMP_NUM_THREADS``, or else its share of cores."""
    return asked or int(os.environ.get("OMP_NUM_THREADS") or 0) or max(1, cores() // processes)


def use_threads(count: int) -> None:
    """Let the numerical libraries of this process use so many threads, and take numbers next to nothing for zero.

    What a network no longer uses decays below the smallest normal number of float32, 1e-38, where an ordinary processor
    is a hundred times slower: a training slowed down fourfold by it.
    """
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)


def refuse_too_many(device: str, processes: int) -> None:
    """Refuse more processes than this machine has GPUs, if it has any that they are to use."""
    gpus = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else processes
    if processes > gpus:
        raise InputError(
            f"compute.processes = {processes}: must not exceed the GPUs of this machine, {gpus}; lower it, or set "
            "compute.device=cpu"
        )


def numbers(compute: Compute) -> dict[str, str]:
    """Return what a training's numbers depend on of where it runs; nothing where they are the usual ones."""
    return {} if compute.precision == "float32" else {"compute.precision": compute.precision}
