"""The parameters of a run that MLflow knows, so that it can be repeated from its record alone."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import yaml

from universal_simulator.errors import InputError
from universal_simulator.provenance import code, without_credentials
from universal_simulator.tracking import reachable

log = logging.getLogger(__name__)

CONFIGURATION = "configuration/parameters.yml"
"""Where a run keeps its whole parameter tree."""


def recorded_parameters(run_id: str, uri: str, project: Path) -> dict[str, Any]:
    """Return the parameter tree of a run; say where the code is another one now."""
    from mlflow import MlflowClient  # two seconds, which only this pays
    from mlflow.exceptions import MlflowException

    with reachable(uri), tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(uri)
        try:
            tags = client.get_run(run_id).data.tags
            text = Path(client.download_artifacts(run_id, CONFIGURATION, folder)).read_text(encoding="utf-8")
            tree = dict(yaml.safe_load(text))
        except (MlflowException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"from_run = {run_id}: must be a run of this project in {without_credentials(uri)} ({reason}); copy "
                "the id from the run's page, and set MLFLOW_TRACKING_URI to the store that has it"
            ) from error
    then, now = tags.get("git_commit", "unknown"), code(project).get("git_commit", "unknown")
    if then != now:
        log.warning("Run %s was made with commit %s, this is %s: its numbers may differ", run_id, then, now)
    return {**tree, "resume": True, "force": False}
