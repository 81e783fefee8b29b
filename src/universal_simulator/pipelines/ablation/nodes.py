"""Train the operator with one thing changed at a time, and roll out validation trajectories to see what that does."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from universal_simulator.compute.device import choose
from universal_simulator.compute.seeding import fresh_weights, stream
from universal_simulator.configuration import (
    Ablation,
    Change,
    Compute,
    Data,
    Operator,
)
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.fields.latents import Latents, Window, draw_windows
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.trained import Trained
from universal_simulator.networks.u_transformer import UTransformerNetwork
from universal_simulator.physics.equations import equation
from universal_simulator.pipelines.judging import rollout_error
from universal_simulator.pipelines.operator.nodes import operator_recipe
from universal_simulator.training.budget import fitted_to, measuring_time, steps_per_second
from universal_simulator.training.loop import Stage, train
from universal_simulator.training.stepping import step_stage

log = logging.getLogger(__name__)


class FixedAmplitude(LatentOperator):
    """The operator without its own scale: every state is divided by the training data's."""

    typical: float

    def scale(self, z: Tensor) -> Tensor:
        """Return one number for all states."""
        return torch.full((len(z),), self.typical).to(z)


def ablate(
    train_latents: Latents,
    validation_latents: Latents,
    validation: Trajectories,
    autoencoder: Trained[Autoencoder],
    operator: Operator,
    ablation: Ablation,
    data: Data,
    compute: Compute,
) -> pd.DataFrame:
    """Return one row per change and seed: error of roll-outs, steps in the same time, validation loss, parameters."""
    train_latents.refuse_stale(autoencoder.fingerprint)
    judged = validation.interleave_by_parameter(ablation.trajectories)
    rows = []
    for change in distinct(operator, ablation.changes):
        section = changed(operator, change)
        for seed in ablation.seeds:
            network, facts = _trained(
                change, section, ablation, seed, (train_latents, validation_latents), autoencoder, (data, compute)
            )
            error = rollout_error(Emulator(autoencoder.network, network, None, data.equation), judged, data, compute)
            log.info("%s, seed %d: %.5f after %d steps", change.name, seed, error, facts["steps"])
            rows.append({"change": change.name, "seed": seed, "nrmse": error, **facts})
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


def _trained(
    change: Change,
    section: Operator,
    ablation: Ablation,
    seed: int,
    latents: tuple[Latents, Latents],
    autoencoder: Trained[Autoencoder],
    place: tuple[Data, Compute],
) -> tuple[LatentOperator, dict[str, float]]:
    """Train for the given time; return the weights that did best on validation."""
    network = built(change, section, autoencoder, seed).to(choose(place[1].device))
    spare = deepcopy(network)
    timed = section.training.model_copy(update={"epochs": ablation.epochs, "patience": ablation.epochs})
    rate = steps_per_second(_stage(change, section, spare, latents, place), timed, measuring_time(ablation.seconds))
    settings = fitted_to(timed, rate, ablation.seconds, "ablation.seconds")
    stage = _stage(change, section, network, latents, place)
    for checkpoint in train(stage, settings, stream(seed, "ablation")):
        state = checkpoint.state
    network.load_state_dict(state["best"])
    network.mirrored = change.mirrored and equation(place[0].equation, 1.0).reflects
    steps = ablation.epochs * settings.windows_per_epoch // settings.batch_size
    size = sum(p.numel() for p in network.parameters())
    facts = {"steps": steps, "validation_loss": float(state["best_loss"]), "parameters": size}
    return network.eval().requires_grad_(False), facts


def built(change: Change, section: Operator, autoencoder: Trained[Autoencoder], seed: int) -> LatentOperator:
    """Return a fresh network as the change has it."""
    recipe = operator_recipe(autoencoder, section)
    kind = LatentOperator if change.amplitude else FixedAmplitude
    with fresh_weights(seed, "ablation"):
        network = kind(section.network, recipe.latent, recipe.statistics, flux_form=section.flux_form)
    if isinstance(network, FixedAmplitude):
        network.typical = recipe.statistics.rms
    if not change.attention:
        assert isinstance(network.network, UTransformerNetwork)
        for block in network.network.u.down[-1]:  # type: ignore[attr-defined]
            block.attention = block.attention_norm = None
    return network


def _stage(
    change: Change, section: Operator, network: nn.Module, latents: tuple[Latents, Latents], place: tuple[Data, Compute]
) -> Stage:
    data, compute = place
    device = choose(compute.device)
    average = deepcopy(network).requires_grad_(False)
    reflect = equation(data.equation, 1.0).reflects
    stage = step_stage(network, average, latents, section, reflect=reflect, device=device)

    def unaugmented(generator: torch.Generator) -> Window:
        windows = (section.training.batch_size, section.unroll + 1, section.time_strides, generator)
        return draw_windows(latents[0], *windows, section.start_exponent).to(device)

    return stage if change.augmentation else replace(stage, draw=unaugmented)
