"""A model and observations in; the posterior of parameters, and what it cost, out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.infer.nodes import infer_parameters


def create_pipeline() -> Pipeline:
    """Return the stage ``infer``."""
    inputs = ["inferring_model", "params:infer", "params:seed"]
    return Pipeline([node(infer_parameters, inputs, ["inference_result", "inference_report"], name="infer_parameters")])
