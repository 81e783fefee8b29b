"""Plan the training of a coarse solver's decoder."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, Fast, Latent
from universal_simulator.emulation.forecasters import known
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import group
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Codec, Recipe
from universal_simulator.networks.u_decoder import UDecoder
from universal_simulator.physics.numerics import Clock
from universal_simulator.pipelines.training_stage import Plan
from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import Stage
from universal_simulator.training.objectives import Unresolved, missing_waves
from universal_simulator.training.windows import fixed

AT_ONCE = 50
"""Trajectories solved together."""


def plan_fast(
    train: Trajectories,
    validation: Trajectories,
    statistics: dict[str, Any],
    fast: Fast | None,
    stride: int,
    seed: int,
    compute: Compute,
) -> Plan:
    """Learn from random frames of the coarse solver's own rollouts, held against the truth."""
    if fast is None:
        raise InputError("fast = null: must say the solver's setting and the training; set fast in the experiment")
    device, settings = choose(compute.device), fast.training
    recipe = Recipe(
        stage="fast",
        settings=fast.network,
        latent=Latent(tokens=1, dim=fast.solver.points),
        facts=train.facts,
        grid=train.grid,
        statistics=Statistics.model_validate(statistics),
    )

    def equip(network: nn.Module, average: nn.Module) -> Stage:
        assert isinstance(network, Codec)
        draw, same = (_draws(part, network, fast, stride, device) for part in (train, validation))
        known = fast.known(train.facts.conserves())
        objective = partial(missing_waves, spectral=fast.spectral_loss_weight, known=known)
        return Stage(network, average, objective, draw, fixed(same, settings))

    sources = {"data": train.fingerprint, "validation": validation.fingerprint, "solver": fast.solver.name}
    return Plan(recipe, fast, equip, sources | {"stride": str(stride), "seed": str(seed)})


def _draws(
    of: Trajectories, codec: Codec, fast: Fast, stride: int, device: torch.device
) -> Callable[[torch.Generator], Unresolved]:
    """Return what draws frames: what the coarse solver knows of them, and the truth."""
    frames, solved = (len(of.times) - 1) // stride, _rollouts(of, codec, fast, stride)
    usable = solved.flatten(1).isfinite().all(1).nonzero().flatten().numpy()
    # the other decoder has the symmetries built in
    motions = group(of.facts.symmetries if isinstance(codec, UDecoder) else (), of.grid)

    def draw(generator: torch.Generator) -> Unresolved:
        count = fast.training.batch_size
        sample = usable[torch.randint(len(usable), (count,), generator=generator).numpy()]
        frame = (torch.rand(count, generator=generator) ** fast.start_exponent * frames).long().numpy()
        motion = motions[int(torch.randint(len(motions), (), generator=generator))] if len(motions) > 1 else motions[0]
        u = motion.apply(of.windows(sample, (frame[:, None] + 1) * stride)[:, 0], of.grid, of.facts.channels)
        mean = of.facts.frame.mean(u, of.grid)
        z = motion.apply(solved[sample, frame], codec.grid, of.facts.channels) - of.grid.wide(mean)
        told = torch.from_numpy(np.asarray(of.parameters[sample], np.float32))
        return Unresolved(*(one.to(device) for one in (u - of.grid.wide(mean), mean, told, z)))

    return draw


def _rollouts(of: Trajectories, codec: Codec, fast: Fast, stride: int) -> Tensor:
    """Return every frame of every trajectory as the coarse solver has it, on its points."""
    clock = Clock(float(of.times[stride] - of.times[0]), (len(of.times) - 1) // stride)
    parts = []
    for first in range(0, len(of), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        told = torch.as_tensor(of.parameters[rows], dtype=torch.float32)
        parts.append(known(of.read(rows, [0])[:, 0], told, clock, codec, fast.solver))
    return torch.cat(parts)
