"""Forecasts of anybody's, in a file, scored as ours are."""

from universal_simulator.pipelines.score.pipeline import create_pipeline

__all__ = ["create_pipeline"]
