"""The parameters of a run that MLflow knows, so that it can be repeated from its record alone."""

import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml

from universal_simulator.support.errors import InputError
from universal_simulator.tracking.provenance import code, without_credentials
from universal_simulator.tracking.store import reachable

log = logging.getLogger(__name__)

CONFIGURATION = "configuration/parameters.yml"
"""Where a run keeps its whole parameter tree."""


def recorded_parameters(run_id: str, uri: str) -> dict[str, Any]:
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
    then, now = tags.get("git_commit", "unknown"), code().get("git_commit", "unknown")
    if then != now:
        log.warning("Run %s was made with commit %s, this is %s: its numbers may differ", run_id, then, now)
    compute = {**tree.get("compute", {}), **_threads(tree.get("compute", {}), tags.get("device", ""))}
    return {**tree, "compute": compute, "resume": True, "force": False}


def _threads(compute: dict[str, Any], device: str) -> dict[str, int]:
    """Return the threads that a run on one process was left to choose, where this machine would choose another number.

    They are part of what its numbers depend on (docs/faults.md, Repeating).
    """
    from universal_simulator.compute.device import threads  # with torch, which only this pays

    known = re.fullmatch(r"cpu: .+, (\d+) threads", device)
    alone = compute.get("processes", 1) * compute.get("nodes", 1) == 1
    if compute.get("threads") or not known or not alone or int(known[1]) == threads(None):
        return {}
    log.info("That run had %s threads, and so has this one", known[1])
    return {"threads": int(known[1])}
