"""What an experiment's parameters demand of the files, asked before anything is trained."""

import logging
from pathlib import Path

from universal_simulator.acquisition.layout import Layout
from universal_simulator.configuration import Data, DiffusionResidual, Evaluation, Latent, Operator
from universal_simulator.emulation.protocols import PDEBENCH_GIVEN, PDEBENCH_STRIDE
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


def demand_enough(
    layout: Layout,
    data: Data,
    latent: Latent,
    operator: Operator,
    residual: DiffusionResidual,
    evaluation: Evaluation,
) -> None:
    """Refuse files with fewer snapshots than the whole experiment will need; warn of few points."""
    longest = operator.unroll * max(operator.time_strides)
    reaches = {
        "data.time_stride": data.time_stride,
        "operator.unroll × operator.time_strides": longest,
        "diffusion_residual.time_strides": max(residual.time_strides),
    }
    if "pdebench" in evaluation.protocols:
        line = layout.grid.dimensions == 1
        reach = PDEBENCH_GIVEN * PDEBENCH_STRIDE if line else PDEBENCH_GIVEN - 1 + data.time_stride
        reaches["the protocol pdebench in evaluation.protocols"] = reach
    if "ten_given" in evaluation.protocols:
        reaches["the protocol ten_given in evaluation.protocols"] = PDEBENCH_GIVEN - 1 + data.time_stride
    for name, reach in reaches.items():
        demand_snapshots(layout.path, len(layout.times), name, reach)
    for axis, numbers in zip(layout.grid.axes, latent.shape(layout.grid.dimensions), strict=True):
        if numbers > axis.points:
            log.warning(
                "%s: points = %d along %s are fewer than latent.tokens × latent.dim = %d, which cost time and can say "
                "no more; lower latent.dim for these data",
                *(layout.path, axis.points, axis.name, numbers),
            )


def demand_snapshots(path: Path, there: int, name: str, reach: int) -> None:
    """Refuse a trajectory in which no two snapshots are so far apart."""
    if there <= reach:
        raise InputError(
            f"{path}: snapshots = {there} must be more than {reach}, as {name} reaches so far; lower it, or get "
            "longer trajectories"
        )
