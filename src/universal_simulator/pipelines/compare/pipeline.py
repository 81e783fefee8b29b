"""Runs in the tracking store in; two tables, one page and its figures out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.compare.nodes import compare_runs


def create_pipeline() -> Pipeline:
    """Return the stage ``compare``."""
    outputs = ["comparison", "comparison_summary", "comparison_report", "comparison_figures"]
    return Pipeline([node(compare_runs, "finished_runs", outputs, name="compare_runs")])
