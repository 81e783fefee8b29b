"""Third stage: what the operator gets wrong, as a distribution."""

from universal_simulator.pipelines.diffusion_residual.pipeline import create_pipeline

__all__ = ["create_pipeline"]
