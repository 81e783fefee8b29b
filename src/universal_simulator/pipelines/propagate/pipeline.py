"""A model and distributions of its inputs in; numbers and a page out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.propagate.nodes import propagate_inputs


def create_pipeline() -> Pipeline:
    """Return the stage ``propagate``."""
    files = ["propagating_model", "mean_initial_field", "params:propagate", "params:seed"]
    return Pipeline(
        [node(propagate_inputs, files, ["propagation_result", "propagation_report"], name="propagate_inputs")]
    )
