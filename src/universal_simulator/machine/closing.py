"""The last word about a job in MLflow, also where its own process could not say it.

``python -m universal_simulator.machine.closing JOB STATUS REASON COMMAND``; with JOB alone, of what an earlier machine
of the same job has left open.

The store's address comes as MLFLOW_TRACKING_URI in the environment: it may hold a password, and everybody on a machine
sees the words of a command.
"""

import os
import sys

from universal_simulator.support.files import store_file
from universal_simulator.tracking.store import reachable

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
            if "ended" not in run.data.tags:
                client.set_tag(run.info.run_id, "ended", reason)
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, status)
        return str(client.get_run(runs[0].info.run_id).info.status)


def close_left(uri: str, job: str) -> int:
    """End the runs that an earlier machine of this job has left open; return how many."""
    from mlflow import MlflowClient

    with reachable(uri):
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        runs = client.search_runs([experiment.experiment_id], f"tags.{JOB_TAG} = '{job}'") if experiment else []
        left = [run.info.run_id for run in runs if run.info.status == "RUNNING"]
        for run_id in left:
            client.set_tag(run_id, "ended", "its machine went away")
            client.set_terminated(run_id, "KILLED")
        return len(left)


def _artifacts(uri: str) -> str | None:
    """Beside a local store; a server has its own place."""
    store = store_file(uri)
    return (store.parent / "artifacts").as_uri() if store else None


if __name__ == "__main__":
    address, words = os.environ["MLFLOW_TRACKING_URI"], sys.argv[1:]
    if len(words) == 1:
        print("MLflow: runs that were left open:", close_left(address, *words))  # noqa: T201
    else:
        print("MLflow:", close(address, *words))  # noqa: T201
