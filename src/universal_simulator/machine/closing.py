"""The last word about a job in MLflow, also where its own process could not say it.

``python -m universal_simulator.machine.closing JOB STATUS REASON COMMAND``

The store's address comes as MLFLOW_TRACKING_URI in the environment: it may hold a password, and everybody on a machine
sees the words of a command.
"""

import os
import sys
from pathlib import Path

from universal_simulator.tracking import reachable

EXPERIMENT = "universal_simulator"
JOB_TAG = "job"


def close(uri: str, job: str, status: str, reason: str, command: str) -> str:
    """See to it that every run of the job has ended and says why; return the last one's status.

    A job that failed before it opened a run gets one, so that a table of runs shows what was paid for.
    """
    from mlflow import MlflowClient

    with reachable(uri):
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT, _artifacts(uri))
        runs = list(client.search_runs([number], f"tags.{JOB_TAG} = '{job}'"))
        if not runs:
            runs = [client.create_run(number, tags={JOB_TAG: job, "command": command}, run_name=f"{job}: nothing ran")]
        for run in runs:
            client.set_tag(run.info.run_id, "ended", reason)
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, status)
        return str(client.get_run(runs[0].info.run_id).info.status)


def _artifacts(uri: str) -> str | None:
    """Beside a local store; a server has its own place."""
    return str(Path(uri.removeprefix("sqlite:///")).parent / "artifacts") if uri.startswith("sqlite:///") else None


if __name__ == "__main__":
    print("MLflow:", close(os.environ["MLFLOW_TRACKING_URI"], *sys.argv[1:]))  # noqa: T201
