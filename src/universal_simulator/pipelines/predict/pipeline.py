"""A model and a file of initial fields in; a file of forecasts out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.predict.nodes import forecast_file


def create_pipeline() -> Pipeline:
    """Return the stage ``predict``."""
    inputs = ["served_model", "initial_fields", "params:predict", "params:seed"]
    return Pipeline([node(forecast_file, inputs, "forecasts", name="forecast_file")])
