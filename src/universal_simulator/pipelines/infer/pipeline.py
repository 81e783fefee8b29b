"""A model and observations in; the posterior of parameters, and what it cost, out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.infer.nodes import infer_parameters


def create_pipeline() -> Pipeline:
    """Return the stage ``infer``."""
    inputs = ["inferring_model", "params:infer", "params:seed"]
    outputs = ["inference_result", "inference_figures", "inference_report"]
    return Pipeline([node(infer_parameters, inputs, outputs, name="infer_parameters")])
