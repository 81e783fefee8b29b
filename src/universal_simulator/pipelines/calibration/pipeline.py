"""Fifth stage: how far apart an ensemble's members must go, fitted on validation trajectories."""

from kedro.pipeline import Pipeline, node

from universal_simulator.emulation.emulator import assemble
from universal_simulator.pipelines.calibration.nodes import calibrate_ensemble

TRAINED = [
    "autoencoder",
    "operator",
    "consistency_distill",
    "params:diffusion_residual",
    "params:consistency_distillation",
    "params:compute",
]
"""What an emulator is assembled from, in the order of ``assemble``'s arguments."""


def create_pipeline() -> Pipeline:
    """Return: join the trained parts, fit."""
    return Pipeline(
        [
            node(assemble, TRAINED, "uncalibrated_emulator", name="assemble_uncalibrated_emulator"),
            node(
                calibrate_ensemble,
                [
                    "uncalibrated_emulator",
                    "validation_trajectories",
                    "params:calibration",
                    "params:evaluation",
                    "params:ttc",
                    "params:data.time_stride",
                    "params:seed",
                ],
                "ensemble_calibration",
                name="calibrate_ensemble",
            ),
        ]
    )
