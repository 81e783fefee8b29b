"""Scores, curves, examples and histories in; gates, figures and the page out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.reporting.nodes import check_gates, draw_report, enforce_gates

TRAINED = ("autoencoder", "operator", "diffusion_residual", "consistency_distillation")

ARTEFACTS = (
    "parameters",
    "scores",
    "trajectory_scores",
    "error_growth",
    "calibration",
    "gates",
    "examples",
    "timings",
    "data_card",
    "outside",
    "chaos",
    "provenance",
    "train_trajectories",
    "validation_trajectories",
    "test_trajectories",
)


def create_pipeline() -> Pipeline:
    """Return the stage ``reporting``."""
    return Pipeline(
        [
            node(
                check_gates,
                ["scores", "trajectory_scores", "finished_scores", "params:gates", "params:experiment"],
                "gates",
                name="check_gates",
            ),
            node(
                draw_report,
                {name: name for name in (*ARTEFACTS, *(f"{stage}_history" for stage in TRAINED))},
                ["figures", "report"],
                name="draw_report",
            ),
            node(
                enforce_gates,
                ["gates", "report", "params:gates", "params:experiment"],
                None,
                name="enforce_gates",
            ),
        ]
    )
