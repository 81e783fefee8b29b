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
    raw, described = ["raw_store", "params:data"], ["params:problem", "params:data", "raw_manifest", "statistics"]
    described += ["train_trajectories", "test_trajectories"]
    checked = ["raw_store", "raw_manifest", "params:data"]
    return Pipeline(
        [
            node(solve, raw, "raw_solved", name="solve_trajectories", tags=["data", "shared"]),
            node(acquire, [*raw, "raw_solved"], "raw_origins", name="acquire_raw_data", tags="data"),
            node(
                validate,
                ["raw_store", "raw_origins", "params:data"],
                "raw_manifest",
                name="validate_raw_data",
                tags="data",
            ),
            node(demand, [*checked, *_LATER], None, name="check_requirements", tags="data"),
            node(split_trajectories, checked, splits, name="split_trajectories", tags="data"),
            node(
                measure_statistics,
                ["train_trajectories", "params:data"],
                "statistics",
                name="measure_statistics",
                tags="data",
            ),
            node(describe, described, "data_card", name="describe_data", tags="data"),
        ]
    )
