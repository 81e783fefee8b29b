"""How good it is: the trained parts, joined, against the test split."""

from kedro.pipeline import Pipeline, node

from universal_simulator.emulation.emulator import assemble
from universal_simulator.pipelines.calibration.pipeline import TRAINED
from universal_simulator.pipelines.evaluation.chaos import assemble_scores, evaluate_chaos
from universal_simulator.pipelines.evaluation.nodes import (
    assemble_fast,
    evaluate,
    keep_examples,
    make_bundle,
    write_card,
)
from universal_simulator.pipelines.evaluation.out_of_distribution import evaluate_out_of_distribution, score_alarm

_FORECAST = ["test_trajectories", "params:evaluation", "params:ttc", "params:data.time_stride", "params:seed"]

FAST = node(
    assemble_fast,
    [
        "fast",
        "params:fast",
        "params:evaluation",
        "train_trajectories",
        "params:data.time_stride",
        "params:seed",
        "params:weights",
    ],
    "fast_mode",
    name="assemble_fast_mode",
)

BUNDLE = [
    node(
        write_card,
        ["parameters", "scores", "ensemble_calibration", "test_trajectories", "timings", "provenance"],
        "card",
        name="write_card",
    ),
    node(
        make_bundle, ["card", "autoencoder", "operator", "consistency_distill", "fast"], "bundle", name="bundle_model"
    ),
]
"""Gather what stands in the catalog after an evaluation; ``tools/ship_weights.py`` does the same later."""


def create_pipeline() -> Pipeline:
    """Return: join the parts, score all test trajectories, score chaos, keep a few, look outside training, bundle."""
    return Pipeline(
        [
            node(assemble, [*TRAINED, "ensemble_calibration"], "emulator", name="assemble_emulator"),
            FAST,
            node(
                evaluate,
                ["emulator", "train_trajectories", *_FORECAST, "fast_mode"],
                ["forecast_scores", "trajectory_scores", "error_growth", "calibration"],
                tags="shared",
                name="evaluate_test_split",
            ),
            node(
                evaluate_chaos,
                ["emulator", "train_trajectories", *_FORECAST],
                ["chaos_scores", "chaos"],
                name="evaluate_chaos",
            ),
            node(assemble_scores, ["forecast_scores", "chaos_scores"], "scores", name="assemble_scores"),
            node(keep_examples, ["emulator", *_FORECAST, "fast_mode"], "examples", name="select_examples"),
            node(
                evaluate_out_of_distribution, ["emulator", *_FORECAST], "outside", name="evaluate_out_of_distribution"
            ),
            node(score_alarm, "outside", "alarm_scores", name="score_alarm"),
            *BUNDLE,
        ]
    )
