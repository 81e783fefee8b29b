"""Train the operator with one thing changed at a time, and roll out validation trajectories to see what that does."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from universal_simulator.compute.device import choose, fresh_weights, stream
from universal_simulator.configuration import Ablation, Change, Compute, Operator
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.symmetries import group
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.networks.u_shape import UShape
from universal_simulator.pipelines.evaluation.nodes import bare, rollout_error
from universal_simulator.pipelines.operator.nodes import averaged_over, operator_recipe
from universal_simulator.training.budget import fitted_to, measuring_time, steps_per_second
from universal_simulator.training.loop import Stage, step_stage, train

log = logging.getLogger(__name__)


class FixedAmplitude(LatentOperator):
    """The operator without its own scale: every state is divided by the training data's."""

    typical: Tensor

    def scale(self, z: Tensor) -> Tensor:
        """Return one number per channel for all states."""
        return self.typical.expand(len(z), -1).to(z)


def pair(train: Latents, validation: Latents) -> tuple[Latents, Latents]:
    """Return what trainings learn from and what they are validated on."""
    return train, validation


def ablate(
    latents: tuple[Latents, Latents],
    validation: Trajectories,
    autoencoder: Trained[Any],
    operator: Operator,
    ablation: Ablation,
    stride: int,
    compute: Compute,
) -> pd.DataFrame:
    """Return one row per change and seed: error of rollouts, steps in the same time, validation loss, parameters."""
    latents[0].refuse_stale(autoencoder.fingerprint)
    judged = validation.interleave_by_parameter(ablation.trajectories)
    trials = _Trials(ablation, latents, autoencoder, choose(compute.device))
    rows = []
    for change in distinct(operator, ablation.changes):
        section = changed(operator, change)
        for seed in ablation.seeds:
            trained, known = trials.trained(change, section, seed)
            error = rollout_error(bare(autoencoder, trained), judged, stride, trials.device)
            log.info("%s, seed %d: %.5f after %d steps", change.name, seed, error, known["steps"])
            rows.append({"change": change.name, "seed": seed, "nrmse": error, **known})
    return pd.DataFrame(rows)


def tabulate(table: pd.DataFrame, ablation: Ablation) -> str:
    """Return the table in Markdown: mean and standard deviation over seeds, and the factor on the first row."""
    reference = table.loc[table["change"] == table["change"].iloc[0], "nrmse"].mean()
    lines = [
        f"Rollout nRMSE on validation trajectories, {ablation.seconds:g} s of training, {len(ablation.seeds)} seeds.",
        "",
        "| change | steps | validation loss | mean | standard deviation | factor |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in table.groupby("change", sort=False):
        mean, spread = part["nrmse"].mean(), part["nrmse"].std(ddof=1) if len(part) > 1 else float("nan")
        learned = f"{part['steps'].mean():.0f} | {part['validation_loss'].mean():.2g}"
        lines.append(f"| {name} | {learned} | {mean:.2g} | {spread:.2g} | {mean / reference:.2f} |")
    return "\n".join(lines) + "\n"


def distinct(operator: Operator, changes: Sequence[Change]) -> list[Change]:
    """Return the changes without those that leave everything as the first has it: they would show luck alone."""

    def content(change: Change) -> Change:
        return change.model_copy(update={"name": "", "override": changed(operator, change).model_dump()})

    first, *others = changes
    idle = [change.name for change in others if content(change) == content(first)]
    if idle:
        log.info("left out, as the experiment has them already: %s", ", ".join(idle))
    return [first, *(change for change in others if change.name not in idle)]


def changed(operator: Operator, change: Change) -> Operator:
    """Return the section with the change's parameters laid over it."""
    return Operator.model_validate(_over(operator.model_dump(), change.override))


def _over(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **other}
    return merged | {
        name: _over(base[name], value)
        for name, value in other.items()
        if isinstance(value, dict) and isinstance(base.get(name), dict)
    }


@dataclass(frozen=True)
class _Trials:
    """What all trainings have in common."""

    ablation: Ablation
    latents: tuple[Latents, Latents]
    autoencoder: Trained[Any]
    device: torch.device

    def trained(self, change: Change, section: Operator, seed: int) -> tuple[Trained[LatentOperator], dict[str, float]]:
        """Train for the given time; return the weights that did best on validation."""
        ablation = self.ablation
        network = built(change, section, self.autoencoder, seed).to(self.device)
        spare = deepcopy(network)
        timed = section.training.model_copy(update={"epochs": ablation.epochs, "patience": ablation.epochs})
        rate = steps_per_second(self._stage(change, section, spare), timed, measuring_time(ablation.seconds))
        settings = fitted_to(timed, rate, ablation.seconds, "ablation.seconds")
        for checkpoint in train(self._stage(change, section, network), settings, stream(seed, "ablation")):
            state = checkpoint.state
        network.load_state_dict(state["best"])
        recipe = operator_recipe(self.autoencoder.recipe, section)
        if change.mirrored:
            network.motions = group(averaged_over(recipe, section), recipe.grid)
        steps = ablation.epochs * settings.windows_per_epoch // settings.batch_size
        size = sum(p.numel() for p in network.parameters())
        known = {"steps": steps, "validation_loss": float(state["best_loss"]), "parameters": size}
        return Trained(recipe, network.eval().requires_grad_(False)), known

    def _stage(self, change: Change, section: Operator, network: nn.Module) -> Stage:
        average = deepcopy(network).requires_grad_(False)
        return step_stage(network, average, self.latents, section, self.device, augmented=change.augmentation)


def built(change: Change, section: Operator, autoencoder: Trained[Any], seed: int) -> LatentOperator:
    """Return a fresh network as the change has it."""
    recipe = operator_recipe(autoencoder.recipe, section)
    with fresh_weights(seed, "ablation"):
        network: Any = recipe.build()
    if not change.amplitude:
        network.__class__, network.typical = FixedAmplitude, recipe.statistics.rms()
    if not change.attention:
        assert isinstance(network.network, UShape)
        for block in network.network.down[-1]:  # type: ignore[attr-defined]
            block.attention = block.attention_norm = None
    return network
