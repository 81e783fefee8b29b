"""Fourth stage: the residual's sampler, made cheap."""

from universal_simulator.pipelines.consistency_distillation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
