"""From scores to a verdict: gates, figures, one page."""

from universal_simulator.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
