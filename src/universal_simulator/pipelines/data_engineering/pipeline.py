"""The data side as a table: function, inputs, outputs."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.data_engineering.nodes import (
    acquire,
    demand,
    describe,
    measure_statistics,
    solve,
    split_trajectories,
    validate,
)

_LATER = [f"params:{section}" for section in ("latent", "operator", "diffusion_residual", "evaluation")]


def create_pipeline() -> Pipeline:
    """Return solve → acquire → validate (and what later stages demand) → split → statistics → card."""
    splits = ["train_trajectories", "validation_trajectories", "test_trajectories"]
    return Pipeline(
        [
            node(solve, ["raw_store", "params:data"], "raw_solved", name="solve", tags=["data", "shared"]),
            node(acquire, ["raw_store", "params:data", "raw_solved"], "raw_origins", name="acquire", tags="data"),
            node(validate, ["raw_store", "raw_origins", "params:data"], "raw_manifest", name="validate", tags="data"),
            node(demand, ["raw_store", "raw_manifest", "params:data", *_LATER], None, name="demand", tags="data"),
            node(split_trajectories, ["raw_store", "raw_manifest", "params:data"], splits, name="split", tags="data"),
            node(
                measure_statistics, ["train_trajectories", "params:data"], "statistics", name="statistics", tags="data"
            ),
            node(
                describe,
                ["params:problem", "params:data", "raw_manifest", "statistics"],
                "data_card",
                name="data_card",
                tags="data",
            ),
        ]
    )
