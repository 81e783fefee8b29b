"""How good it is: the trained parts, joined, against the test split."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.evaluation.nodes import assemble, evaluate, keep_examples

_FORECAST = [
    "emulator",
    "test_trajectories",
    "params:evaluation",
    "params:ttc",
    "params:data",
    "params:seed",
    "params:compute",
]


def create_pipeline() -> Pipeline:
    """Return: join the parts, score all test trajectories, keep a few whole."""
    return Pipeline(
        [
            node(
                assemble,
                [
                    "autoencoder",
                    "operator",
                    "consistency_distill",
                    "params:diffusion_residual",
                    "params:consistency_distillation",
                    "params:data",
                    "params:compute",
                ],
                "emulator",
            ),
            node(evaluate, _FORECAST, ["scores", "trajectory_scores", "error_growth", "calibration"]),
            node(keep_examples, _FORECAST, "examples"),
        ]
    )
