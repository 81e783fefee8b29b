"""A model and observations in; the initial state, how sure it is, and what it cost, out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.assimilate.nodes import assimilate_observations


def create_pipeline() -> Pipeline:
    """Return the stage ``assimilate``."""
    inputs = ["assimilated_model", "params:assimilate", "params:seed"]
    outputs = ["assimilation_result", "assimilation_state", "assimilation_figures", "assimilation_report"]
    return Pipeline([node(assimilate_observations, inputs, outputs, name="assimilate_observations")])
