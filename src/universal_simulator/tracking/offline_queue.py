"""What a run says of its data, and what waits where the tracking store would not take it.

The data that a run reads or makes, as MLflow shows them beside the run: by name, digest and source.

What a tracking store would not take: kept in a file, and sent when a later run finds the store open again.
"""

import json
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from universal_simulator.support.files import replace, store_file
from universal_simulator.tracking.provenance import without_credentials

CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
"""What MLflow calls the use of each split."""

Described = dict[str, str]
"""One data set in plain words, which a file can keep until a store takes it."""


def describe(parameters: dict[str, Any], digest: str, names: Iterable[str]) -> list[Described]:
    """Return the splits that are among a pipeline's datasets, of the problem and the data of these parameters."""
    known, data = set(names), parameters["data"]
    return [
        {
            "name": f"{parameters['problem']}-{split}",
            "digest": digest,
            "context": context,
            "source_type": data["source"]["kind"],
            "source": json.dumps(data["source"]),
            "profile": json.dumps({"trajectories": data[split], "parameters": data["parameters"]}),
        }
        for split, context in CONTEXTS.items()
        if not known.isdisjoint((f"{split}_trajectories", f"{split}_latents"))
    ]


def inputs(described: list[Described]) -> list[Any]:
    """Return MLflow's own objects for them."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    made = []
    for one in described:
        facts = {name: value for name, value in one.items() if name != "context"}
        made.append(DatasetInput(Dataset(**facts), [InputTag(MLFLOW_DATASET_CONTEXT, one["context"])]))
    return made


log = logging.getLogger(__name__)

Call = list[Any]
"""Name of a method of MLflow's client, and its arguments after the run's id; plain values only."""

UPLOADS = ("log_artifact", "log_artifacts")
"""Methods whose first argument is a file or a folder of ours."""


def keep(folder: Path, run_id: str, uri: str, calls: list[Call]) -> None:
    """Write down what is to be said of a run, and put copies of its files aside: the next run replaces them."""
    path = folder / f"{run_id}.json"
    calls = [_put_aside(call, folder, f"{run_id}/{number}") for number, call in enumerate(calls)]
    content = json.dumps({"uri": _named(uri, folder), "calls": calls})
    replace(path, lambda part: part.write_text(content, encoding="utf-8"))
    log.warning("The tracking store did not take everything: %d records wait in %s for the next run", len(calls), path)


def send(folder: Path, uri: str) -> int:
    """Send what earlier runs left for this store; return how many runs are complete now.

    What the store refuses of one run waits for the next time, and so does everything where it does not answer.
    """
    from mlflow import MlflowClient

    client, sent = MlflowClient(uri), 0
    for path in sorted(folder.glob("*.json")):
        try:
            left = json.loads(path.read_text(encoding="utf-8"))
            if left["uri"] not in (_named(uri, folder), without_credentials(uri)):
                continue
            for method, *arguments in left["calls"]:
                if method in UPLOADS:
                    arguments[0] = str(folder / arguments[0])
                say(client, path.stem, method, arguments)
        except Exception as error:  # whatever the store raises: it waits for the run after this one
            log.warning(
                "Not sent yet: %s (%s)", path, without_credentials(str(error).splitlines()[0] if str(error) else "")
            )
            if _is_away(error):
                break
            continue
        path.unlink()
        shutil.rmtree(folder / path.stem, ignore_errors=True)
        sent += 1
    if sent:
        log.info("Sent what %d earlier run(s) could not record", sent)
    return sent


def _named(uri: str, folder: Path) -> str:
    """Name a store as it is still called after the data folder has moved, with the store and this queue in it."""
    path = store_file(uri)
    return path.name if path and path.parent == folder.parent else without_credentials(uri)


def _put_aside(call: Call, folder: Path, place: str) -> Call:
    """Copy the file or folder that a call is to upload; return the call for the copy, named from the queue's folder."""
    method, *arguments = call
    if method not in UPLOADS:
        return call
    source = Path(arguments[0])
    copy = folder / place / source.name
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy2(source, copy)
    except OSError as error:
        log.warning("Not put aside: %s (%s); it is sent as it will be then", source, error.strerror)
        return call
    return [method, f"{place}/{source.name}", *arguments[1:]]


def _is_away(error: Exception) -> bool:
    """Tell whether nobody answered, or the server itself was in trouble."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, OSError) or (isinstance(error, MlflowException) and error.get_http_status_code() >= 500)


def say(client: Any, run_id: str, method: str, arguments: Call) -> None:
    """Tell the store something of a run, in the words that a file can keep."""
    from mlflow.entities import Metric

    if method == "log_batch":
        metrics = [Metric(name, value, time_ms, step) for name, value, step, time_ms in arguments[0]]
        client.log_batch(run_id, metrics=metrics, synchronous=True)
    elif method == "log_inputs":
        client.log_inputs(run_id, inputs(arguments[0]))
    elif method in UPLOADS and not Path(arguments[0]).exists():
        log.warning("Run %s: %s is gone, and not recorded", run_id, arguments[0])
    elif method in (*UPLOADS, "set_tag", "log_dict", "set_terminated"):
        getattr(client, method)(run_id, *arguments)
    else:
        raise ValueError(f"{method}: no method that a run leaves")
