"""What each choice in the operator's training brings, at one reduced budget."""

from universal_simulator.pipelines.ablation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
