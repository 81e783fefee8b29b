"""A candidate and MLflow's registry in; the decision and the history out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.promote.nodes import conclude, crown, hold_against_champion


def create_pipeline() -> Pipeline:
    """Return the stage ``promote``."""
    return Pipeline(
        [
            node(
                hold_against_champion,
                ["model_registry", "params:candidate", "params:promotion"],
                "promotion_conditions",
                name="hold_against_champion",
            ),
            node(
                crown,
                ["model_registry", "promotion_conditions", "params:candidate", "params:promotion"],
                "champions",
                name="crown",
            ),
            node(conclude, ["promotion_conditions", "champions", "params:candidate"], None, name="conclude"),
        ]
    )
