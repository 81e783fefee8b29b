"""The data that a run reads or makes, as MLflow shows them beside the run: by name, digest and source."""

import json
from collections.abc import Iterable
from typing import Any

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
