"""A candidate and MLflow's registry in; the decision and the history out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.promote.nodes import compare_with_champion, enforce_conditions, promote_candidate


def create_pipeline() -> Pipeline:
    """Return the stage ``promote``."""
    return Pipeline(
        [
            node(
                compare_with_champion,
                ["model_registry", "params:candidate", "params:promotion"],
                "promotion_conditions",
                name="compare_with_champion",
            ),
            node(
                promote_candidate,
                ["model_registry", "promotion_conditions", "params:candidate", "params:promotion"],
                "champions",
                name="promote_candidate",
            ),
            node(
                enforce_conditions,
                ["promotion_conditions", "champions", "params:candidate"],
                None,
                name="enforce_conditions",
            ),
        ]
    )
