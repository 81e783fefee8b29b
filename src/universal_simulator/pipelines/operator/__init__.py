"""Second stage: one time step in latent space."""

from universal_simulator.pipelines.operator.pipeline import create_pipeline

__all__ = ["create_pipeline"]
