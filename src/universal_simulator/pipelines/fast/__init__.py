"""The fast mode: a coarse solver left alone, and a decoder that was trained on its rollouts."""

from universal_simulator.pipelines.fast.pipeline import create_pipeline

__all__ = ["create_pipeline"]
