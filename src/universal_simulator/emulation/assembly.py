"""From trained parts to an emulator."""

from typing import Any

from universal_simulator.compute.device import choose
from universal_simulator.configuration import Compute, ConsistencyDistillation, DiffusionResidual
from universal_simulator.diffusion.schedule import NoiseSchedule
from universal_simulator.emulation.calibration import Calibration
from universal_simulator.emulation.emulator import Emulator, ResidualSampler
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.networks.trained import Trained


def assemble(
    autoencoder: Trained[Any],
    operator: Trained[LatentOperator],
    student: Trained[ResidualNetwork],
    diffusion: DiffusionResidual,
    distill: ConsistencyDistillation,
    compute: Compute,
    calibration: dict[str, Any] | None = None,
) -> Emulator:
    """Join the trained parts; without ``calibration`` members are drawn as trained, and a stale one is refused."""
    device = choose(compute.device)
    schedule = NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max)
    sampler = ResidualSampler(student.network.to(device), schedule, distill.sampler_steps)
    parts: dict[str, Trained[Any]] = {
        "autoencoder": autoencoder,
        "operator": operator,
        "consistency_distill": student,
    }
    sources = {name: part.fingerprint for name, part in parts.items()}
    tuned = Calibration.model_validate(calibration or {})
    tuned.refuse_stale(sources)
    networks = (autoencoder.network.to(device), operator.network.to(device), sampler)
    recipe = operator.recipe
    return Emulator(*networks, recipe.facts, recipe.grid, tuned, sources)
