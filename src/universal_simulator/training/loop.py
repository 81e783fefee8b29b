"""How stages are trained: the loop, its rates, its numbers, and what all trainings of one step share.

How fast to learn, and how slowly to forget.

The one training loop. It is a generator: it yields where it stands, and whoever drives it keeps what it yields.

With which numbers a training computes, and what it says where the memory of a GPU does not suffice.

Learning one time step: the same for the operator, what ablations make of it, and the baselines' networks.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from universal_simulator.compute.device import Share
from universal_simulator.configuration import Training
from universal_simulator.configuration.learning import StepTraining
from universal_simulator.fields.latents import Latents, Window
from universal_simulator.networks.corrected import CorrectedOperator
from universal_simulator.support.errors import InputError
from universal_simulator.support.progress import deferred
from universal_simulator.training.graphs import StepGraph, Taken, graph_for
from universal_simulator.training.objectives import correction_error, step_error
from universal_simulator.training.optimizers import Optimizer, optimizer_for, set_rate
from universal_simulator.training.windows import Draws, augmenting, latent_batches, solved


def learning_rate(settings: Training, progress: float) -> float:
    """Return the rate at ``progress`` in [0, 1]: linear warm-up, then half a cosine to the final rate."""
    warm = settings.warmup_fraction
    if progress < warm:
        return settings.learning_rate * progress / warm
    fall = 0.5 * (1 + math.cos(math.pi * (progress - warm) / max(1 - warm, 1e-9)))
    return settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * fall


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the weight average towards the network's weights; short memory in the first steps, ``decay`` later."""
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


Batch = Any
Objective = Callable[[nn.Module, Batch, float, torch.Generator], Tensor]
State = dict[str, Any]
Asked = Callable[[], bool]

CHECK_EVERY = 50
"""Steps between looks at whether all numbers are finite; on a GPU every look waits for it."""

log = logging.getLogger(__name__)


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
    recorded: bool = False
    """Whether a GPU takes its steps as one graph (``graphs.py``)."""


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands: at the end of an epoch, or in the middle of one."""

    state: State
    """Everything needed to go on exactly from here; tensors and plain values only."""
    row: dict[str, float] | None = None
    """At the end of an epoch: step, epoch, train_loss, validation_loss, grad_norm, learning_rate, seconds."""


class DivergenceError(InputError):
    """Training met a number that is not finite, again."""


@dataclass(frozen=True)
class _Loop:
    """What stays the same over a training."""

    stage: Stage
    optimizer: Optimizer
    settings: Training
    generator: torch.Generator
    share: Share
    graph: StepGraph | None

    @property
    def steps(self) -> int:
        """Return the steps of an epoch."""
        return max(1, self.settings.windows_per_epoch // self.settings.batch_size)


def train(
    stage: Stage, settings: Training, generator: torch.Generator, state: State | None = None
) -> Iterator[Checkpoint]:
    """Train until the epochs are used up or validation has not improved for ``patience`` epochs.

    Yields at the end of every epoch, every ``save_every_s`` seconds, and when asked to stop by a signal, which is
    obeyed once the driver has kept that last checkpoint. Continues from ``state`` where one is given, and then ends
    with the very weights of an uninterrupted training. Where a number is not finite, the epoch is begun once more at
    half the learning rate. Several processes (``Share``) go through it side by side, and keep the same weights.
    """
    share = Share.here()
    graph = graph_for(stage.network, share) if stage.recorded else None
    loop = _Loop(stage, optimizer_for(stage.network, settings), settings, generator, share, graph)
    state = state or _begin(loop)
    _restore(loop, state)
    with deferred() as asked:
        while state["epoch"] < settings.epochs and state["waited"] < settings.patience and not asked():
            begun = state.get("begun") or state
            try:
                for checkpoint in _epoch(loop, begun, state.get("partial"), asked):
                    state = checkpoint.state
                    yield checkpoint
            except DivergenceError as error:
                state = _halved(loop, begun, error)
                yield Checkpoint(state)


def validation_loss(stage: Stage, device: torch.device) -> float:
    """Return the averaged weights' mean objective over the held-out batches, with the same noise every time."""
    return _validate(stage, device, lambda: False)


def _validate(stage: Stage, device: torch.device, asked: Asked) -> float:
    """Return the validation loss; give up half-way, with NaN, when asked to stop."""
    generator, share, losses = torch.Generator(device).manual_seed(0), Share.here(), []
    with torch.no_grad():
        for batch in stage.validation():
            if asked():
                return float("nan")
            losses.append(stage.objective(stage.average, share.of(batch), 1.0, generator))
    return share.mean(torch.stack(losses).mean()).item()


def _epoch(loop: _Loop, begun: State, partial: State | None, asked: Asked) -> Iterator[Checkpoint]:
    """Take the steps of an epoch that ``partial`` leaves, and validate; yield now and then, and at the end."""
    device = next(loop.stage.network.parameters()).device  # what was saved comes back on the CPU
    losses, norms = ([*partial[name].to(device)] if partial else [] for name in ("losses", "norms"))
    earlier = partial["seconds"] if partial else 0.0
    saved = started = time.monotonic()

    def here() -> Checkpoint:
        seconds = earlier + time.monotonic() - started
        taken = {"losses": torch.stack(losses), "norms": torch.stack(norms), "seconds": seconds}
        return Checkpoint({**begun, **_snapshot(loop), "begun": begun, "partial": taken})

    while len(losses) < loop.steps:
        loss, norm = _step(loop, begun, begun["epoch"] * loop.steps + len(losses))
        losses.append(loss)
        norms.append(norm)
        if len(losses) % CHECK_EVERY == 0:
            _demand_finite(loop, begun, losses, norms)
        if time.monotonic() - saved >= loop.settings.save_every_s or asked():
            if _values(losses, norms).isfinite().all():  # else it is told at a step that all processes agree on
                yield here()
            saved = time.monotonic()
            if asked():
                return
    _demand_finite(loop, begun, losses, norms)
    validation = _validate(loop.stage, loop.generator.device, asked)
    if asked():
        yield here()
        return
    _demand_finite(loop, begun, [*losses, torch.tensor(validation, device=device)], norms)
    yield _finished(
        loop, begun, torch.stack(losses), torch.stack(norms), validation, earlier + time.monotonic() - started
    )


def _step(loop: _Loop, begun: State, step: int) -> tuple[Tensor, Tensor]:
    """Take one step; return the loss and the gradient norm before clipping."""
    stage, settings = loop.stage, loop.settings
    progress = step / (settings.epochs * loop.steps)
    rate = begun["rate_factor"] * learning_rate(settings, progress)
    set_rate(loop.optimizer, rate, loop.graph.device if loop.graph else None)
    given = loop.share.of(stage.draw(loop.generator)), progress, loop.generator
    taken = loop.graph(partial(_taken, loop), *given) if loop.graph else _taken(loop, *given)
    update_ema(stage.average, stage.network, settings.ema_decay, step)
    return taken


def _taken(loop: _Loop, batch: Batch, progress: float, generator: torch.Generator) -> Taken:
    """Move the weights by one step."""
    weights = list(loop.stage.network.parameters())
    loss = loop.stage.objective(loop.stage.network, batch, progress, generator)
    loop.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    loss = loop.share.average(loss, weights)
    norm = nn.utils.clip_grad_norm_(weights, loop.settings.gradient_clip)
    loop.optimizer.step()
    return loss.detach(), norm


def _finished(
    loop: _Loop, begun: State, losses: Tensor, norms: Tensor, validation: float, seconds: float
) -> Checkpoint:
    """Return what the epoch leaves."""
    better, now = validation < begun["best_loss"], _snapshot(loop)
    row = {
        "step": (begun["epoch"] + 1) * loop.steps,
        "epoch": begun["epoch"] + 1,
        "train_loss": losses.mean().item(),
        "validation_loss": validation,
        "grad_norm": norms.mean().item(),
        "learning_rate": float(loop.optimizer.param_groups[0]["lr"]),
        "seconds": seconds,
    }
    state = {
        **begun,
        **now,
        "epoch": begun["epoch"] + 1,
        "waited": 0 if better else begun["waited"] + 1,
        "best_loss": validation if better else begun["best_loss"],
        "best": now["average"] if better else begun["best"],
    }
    return Checkpoint(state, row)


def _demand_finite(loop: _Loop, begun: State, losses: list[Tensor], norms: list[Tensor]) -> None:
    """Refuse a loss or a gradient that is not finite; say where it came first."""
    values = _values(losses, norms)
    bad = (~values.isfinite()).any(0).nonzero()
    if not len(bad):
        return
    first, settings = int(bad[0]), loop.settings
    step = begun["epoch"] * loop.steps + first
    rate = begun["rate_factor"] * learning_rate(settings, min(1.0, step / (settings.epochs * loop.steps)))
    before = ", ".join(f"{norm:.3g}" for norm in values[1, max(0, first - 3) : first]) or "none"
    raise DivergenceError(
        f"step {step + 1} of epoch {begun['epoch'] + 1}: loss = {values[0, first]:g}, gradient norm = "
        f"{values[1, first]:g} at learning rate {rate:.3g} (norms before: {before}), must be finite; lower "
        f"learning_rate (now {settings.learning_rate}) or gradient_clip (now {settings.gradient_clip})"
    )


def _values(losses: list[Tensor], norms: list[Tensor]) -> Tensor:
    """Return losses and norms as two rows; a validation loss has no norm of its own."""
    padded = [*norms, *[torch.zeros_like(losses[0])] * (len(losses) - len(norms))]
    return torch.stack([torch.stack(row).float() for row in (losses, padded)]).cpu()


def _halved(loop: _Loop, begun: State, error: DivergenceError) -> State:
    """Go back to the beginning of the epoch, at half the learning rate; give up where that was tried before."""
    if begun.get("retried"):
        raise DivergenceError(f"{error}; half the rate has been tried") from error
    log.warning("Going back to the beginning of epoch %d at half the learning rate: %s", begun["epoch"] + 1, error)
    state = {**begun, "rate_factor": 0.5 * begun["rate_factor"], "retried": str(error)}
    _restore(loop, state)
    return state


def _begin(loop: _Loop) -> State:
    best = _copy(loop.stage.average)
    return {
        **_snapshot(loop), "epoch": 0, "waited": 0, "best_loss": float("inf"), "best": best,
        "rate_factor": 1.0, "retried": "",
    }  # fmt: skip


def _snapshot(loop: _Loop) -> State:
    """Return copies of everything that a step changes."""
    return {
        "network": _copy(loop.stage.network),
        "average": _copy(loop.stage.average),
        "optimizer": deepcopy(loop.optimizer.state_dict()),
        "generator": loop.generator.get_state(),
    }


def _restore(loop: _Loop, state: State) -> None:
    loop.stage.network.load_state_dict(state["network"])
    loop.stage.average.load_state_dict(state["average"])
    loop.optimizer.load_state_dict(deepcopy(state["optimizer"]))
    loop.generator.set_state(state["generator"])
    if loop.graph:
        loop.graph.reset()


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


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


def step_stage(
    network: nn.Module,
    average: nn.Module,
    latents: tuple[Latents, Latents],
    section: StepTraining,
    device: torch.device,
    *,
    augmented: bool = True,
) -> Stage:
    """Return the training of a step on ``latents`` to learn from and to validate on."""
    length, strides, objective = section.unroll + 1, section.time_strides, step_error
    if isinstance(network, CorrectedOperator) and section.solved_once:
        train, validation = (solved(one, strides[0], network) for one in latents)
        latents, length, strides, objective = (train, validation), 3, (1,), correction_error
    draws = Draws(length, strides, augmenting(latents[0]), device, section.start_exponent, augmented)
    draw, same = latent_batches(*latents, section.training, draws)
    if isinstance(network, CorrectedOperator):
        _measure(network, average, same())
    known = section.known(latents[0].facts.conserves())
    return Stage(network, average, partial(objective, spectral=section.spectral_loss_weight, known=known), draw, same)


def _measure(network: CorrectedOperator, average: nn.Module, windows: Iterable[Window]) -> None:
    """Tell both networks how much their solver gets wrong in one step, of windows that they do not learn from."""
    errors = [network.measure(one.z[:, 0], one.z[:, 1], one.parameters, one.time_step) for one in windows]
    share = torch.stack(errors).square().nanmean(0).sqrt()
    log.info("The solver errs in one step by %s of the amplitude", ", ".join(f"{one:.1e}" for one in share))
    for module in (network, average):
        module.get_buffer("share").copy_(share)
