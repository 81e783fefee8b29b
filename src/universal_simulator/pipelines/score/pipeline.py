"""A file of forecasts and one of the truth in; scores, tables, examples, and a page out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.score.nodes import draw_score_report, score_forecast

TABLES = ("foreign_trajectory_scores", "foreign_error_growth", "foreign_calibration")


def create_pipeline() -> Pipeline:
    """Return the stage ``score``."""
    files = ["scored_forecast", "scored_truth", "scored_training", "params:score"]
    results = ["foreign_scores", *TABLES, "foreign_examples", "foreign_identity"]
    drawn = ["foreign_figures", "foreign_report"]
    return Pipeline(
        [
            node(score_forecast, files, results, name="score_forecast"),
            node(draw_score_report, results, drawn, name="draw_score_report"),
        ]
    )
