"""Runs in the tracking store in; one table and one page out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.compare.nodes import compare


def create_pipeline() -> Pipeline:
    """Return the stage ``compare``."""
    return Pipeline([node(compare, "finished_runs", ["comparison", "comparison_report"], name="compare")])
