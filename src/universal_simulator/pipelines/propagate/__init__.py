"""Uncertain initial fields and parameters, and how uncertain forecasts are."""

from universal_simulator.pipelines.propagate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
