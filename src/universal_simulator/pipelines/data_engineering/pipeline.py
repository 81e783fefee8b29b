"""The data side as a table: function, inputs, outputs."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.data_engineering.nodes import (
    acquire,
    describe,
    measure_statistics,
    solve,
    split_trajectories,
    validate,
)


def create_pipeline() -> Pipeline:
    """Return solve → acquire → validate → split → statistics → card."""
    splits = ["train_trajectories", "validation_trajectories", "test_trajectories"]
    return Pipeline(
        [
            node(solve, ["raw_store", "params:data"], "raw_solved", name="solve_trajectories", tags=["data", "shared"]),
            node(
                acquire, ["raw_store", "params:data", "raw_solved"], "raw_origins", name="acquire_raw_data", tags="data"
            ),
            node(
                validate,
                ["raw_store", "raw_origins", "params:data"],
                "raw_manifest",
                name="validate_raw_data",
                tags="data",
            ),
            node(
                split_trajectories,
                ["raw_store", "raw_manifest", "params:data"],
                splits,
                name="split_trajectories",
                tags="data",
            ),
            node(
                measure_statistics,
                ["train_trajectories", "params:data"],
                "statistics",
                name="measure_statistics",
                tags="data",
            ),
            node(
                describe, ["params:data", "raw_manifest", "statistics"], "data_card", name="describe_data", tags="data"
            ),
        ]
    )
