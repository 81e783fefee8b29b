"""Files in; findings and a page out."""

from kedro.pipeline import Pipeline, node

from universal_simulator.pipelines.audit.nodes import check_files, enforce


def create_pipeline() -> Pipeline:
    """Return the stage ``audit``."""
    inputs = ["audited_files", "params:problem", "params:data", "params:audit"]
    outputs = ["audit_findings", "audit_report"]
    return Pipeline(
        [
            node(check_files, inputs, outputs, name="check_files"),
            node(enforce, [*outputs, "params:audit"], None, name="enforce_audit"),
        ]
    )
