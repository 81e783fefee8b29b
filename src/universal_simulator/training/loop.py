"""The one training loop. It is a generator: it yields after every epoch, and whoever drives it keeps what it yields."""

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from universal_simulator.configuration import Training
from universal_simulator.training.schedule import follow, learning_rate

Batch = Any
Objective = Callable[[nn.Module, Batch, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Stage:
    """What distinguishes one stage's training from another's."""

    network: nn.Module
    average: nn.Module
    """Exponential moving average of the weights; this is what is validated and kept."""
    objective: Objective
    draw: Callable[[torch.Generator], Batch]
    validation: Callable[[], Iterator[Batch]]
    """The same held-out batches at every call."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch leaves behind."""

    row: dict[str, float]
    """step, epoch, train_loss, validation_loss, grad_norm, learning_rate, seconds."""
    state: dict[str, Any]
    """Everything needed to go on exactly from here; tensors and plain values only."""


class DivergenceError(RuntimeError):
    """Training met a number that is not finite."""


def train(
    stage: Stage, settings: Training, generator: torch.Generator, state: dict[str, Any] | None = None
) -> Iterator[Epoch]:
    """Train until the epochs are used up or validation has not improved for ``patience`` epochs.

    Continues from ``state`` where one is given, and then ends with the very weights of an uninterrupted training.
    """
    optimizer = torch.optim.AdamW(
        stage.network.parameters(), settings.learning_rate, settings.betas, weight_decay=settings.weight_decay
    )
    state = state or _begin(stage, optimizer, generator)
    _restore(stage, optimizer, generator, state)
    steps = max(1, settings.windows_per_epoch // settings.batch_size)
    while state["epoch"] < settings.epochs and state["waited"] < settings.patience:
        started = time.monotonic()
        losses, norms = _epoch(stage, optimizer, settings, generator, state["epoch"], steps)
        loss = validation_loss(stage, generator.device)
        row = {
            "step": (state["epoch"] + 1) * steps,
            "epoch": state["epoch"] + 1,
            "train_loss": losses,
            "validation_loss": loss,
            "grad_norm": norms,
            "learning_rate": optimizer.param_groups[0]["lr"],
            "seconds": time.monotonic() - started,
        }
        state = _advance(state, stage, optimizer, generator, loss)
        yield Epoch(row, state)


def validation_loss(stage: Stage, device: torch.device) -> float:
    """Return the averaged weights' mean objective over the held-out batches, with the same noise every time."""
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        losses = [stage.objective(stage.average, batch, 1.0, generator) for batch in stage.validation()]
    return torch.stack(losses).mean().item()


def _epoch(
    stage: Stage,
    optimizer: torch.optim.Optimizer,
    settings: Training,
    generator: torch.Generator,
    epoch: int,
    steps: int,
) -> tuple[float, float]:
    """Take ``steps`` steps; return the mean loss and the mean gradient norm before clipping."""
    losses, norms = [], []
    for step in range(epoch * steps, (epoch + 1) * steps):
        progress = step / (settings.epochs * steps)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, progress)
        loss = stage.objective(stage.network, stage.draw(generator), progress, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(stage.network.parameters(), settings.gradient_clip)
        optimizer.step()
        follow(stage.average, stage.network, settings.ema_decay, step)
        losses.append(loss.detach())
        norms.append(norm)
    mean_loss, mean_norm = torch.stack(losses).mean().item(), torch.stack(norms).mean().item()
    if not torch.tensor([mean_loss, mean_norm]).isfinite().all():
        raise DivergenceError(
            f"training loss = {mean_loss}, gradient norm = {mean_norm} in epoch {epoch + 1} must be finite; "
            f"lower learning_rate (now {settings.learning_rate}) or gradient_clip (now {settings.gradient_clip})"
        )
    return mean_loss, mean_norm


def _begin(stage: Stage, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> dict[str, Any]:
    return {
        "epoch": 0,
        "waited": 0,
        "best_loss": float("inf"),
        "best": _copy(stage.average),
        "network": _copy(stage.network),
        "average": _copy(stage.average),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
    }


def _restore(stage: Stage, optimizer: torch.optim.Optimizer, generator: torch.Generator, state: dict[str, Any]) -> None:
    stage.network.load_state_dict(state["network"])
    stage.average.load_state_dict(state["average"])
    optimizer.load_state_dict(deepcopy(state["optimizer"]))
    generator.set_state(state["generator"])


def _advance(
    state: dict[str, Any], stage: Stage, optimizer: torch.optim.Optimizer, generator: torch.Generator, loss: float
) -> dict[str, Any]:
    better = loss < state["best_loss"]
    average = _copy(stage.average)
    return {
        "epoch": state["epoch"] + 1,
        "waited": 0 if better else state["waited"] + 1,
        "best_loss": loss if better else state["best_loss"],
        "best": average if better else state["best"],
        "network": _copy(stage.network),
        "average": average,
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
    }


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
