"""Fields to latents, once."""

from universal_simulator.pipelines.latents.pipeline import create_pipeline

__all__ = ["create_pipeline"]
