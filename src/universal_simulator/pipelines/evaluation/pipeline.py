"""How good it is: the trained parts, joined, against the test split."""

from kedro.pipeline import Pipeline, node

from universal_simulator.emulation.assembly import assemble
from universal_simulator.pipelines.calibration.pipeline import TRAINED
from universal_simulator.pipelines.evaluation.nodes import evaluate, keep_examples, make_bundle
from universal_simulator.pipelines.evaluation.outside import evaluate_outside

_FORECAST = [
    "emulator",
    "test_trajectories",
    "params:evaluation",
    "params:ttc",
    "params:data",
    "params:seed",
    "params:compute",
]

BUNDLE = node(
    make_bundle,
    [
        "autoencoder",
        "operator",
        "consistency_distill",
        "ensemble_calibration",
        "parameters",
        "scores",
        "test_trajectories",
        "timings",
        "provenance",
    ],
    "bundle",
    name="bundle_model",
)
"""Gathers what stands in the catalog after an evaluation; ``tools/ship_weights.py`` does the same later."""


def create_pipeline() -> Pipeline:
    """Return: join the parts, score all test trajectories, keep a few, look outside training, bundle the model."""
    return Pipeline(
        [
            node(assemble, [*TRAINED, "ensemble_calibration"], "emulator", name="assemble_emulator"),
            node(
                evaluate,
                _FORECAST,
                ["scores", "trajectory_scores", "error_growth", "calibration"],
                tags="shared",
                name="evaluate_test_split",
            ),
            node(keep_examples, _FORECAST, "examples", name="select_examples"),
            node(evaluate_outside, _FORECAST, "outside", name="evaluate_out_of_distribution"),
            BUNDLE,
        ]
    )
