"""Fifth stage: how far apart an ensemble's members must go, fitted on validation trajectories."""

from universal_simulator.pipelines.calibration.pipeline import create_pipeline

__all__ = ["create_pipeline"]
