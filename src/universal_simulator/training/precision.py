"""With which numbers a training computes, and what it says where the memory of a GPU does not suffice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import Batch, Stage

Item = TypeVar("Item")


def with_precision(stage: Stage, precision: str, device: torch.device) -> Stage:
    """Return the stage with products of its training steps in this precision; validation stays in that of the weights.

    Weights, their average, the optimiser, sums and Fourier transforms keep theirs (torch's autocast).
    """
    if precision == "float32":
        return stage
    whole = stage.objective

    def objective(network: nn.Module, batch: Batch, progress: float, generator: torch.Generator) -> Tensor:
        with torch.autocast(device.type, getattr(torch, precision), enabled=torch.is_grad_enabled()):
            return whole(network, batch, progress, generator)

    return replace(stage, objective=objective)


def within_memory(items: Iterator[Item], setting: str) -> Iterator[Item]:
    """Yield the items of a training; name the ``setting`` to lower where the GPU's memory does not suffice."""
    try:
        yield from items
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"{setting}: a step must fit into the memory of the GPU; lower it, share it among more GPUs with "
            "compute.processes, or free some (what is trained is kept)"
        ) from error
