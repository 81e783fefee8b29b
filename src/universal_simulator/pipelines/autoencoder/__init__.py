"""First stage: between fields and latents."""

from universal_simulator.pipelines.autoencoder.pipeline import create_pipeline

__all__ = ["create_pipeline"]
