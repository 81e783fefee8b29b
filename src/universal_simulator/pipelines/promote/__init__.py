"""The champion: held against the rule, promoted, demoted."""

from universal_simulator.pipelines.promote.pipeline import create_pipeline

__all__ = ["create_pipeline"]
