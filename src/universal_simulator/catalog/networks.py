"""A trained network in one file: weights, recipe and provenance. Loading runs no code from the file."""

import json
from pathlib import Path
from typing import Any

import torch
from kedro.io import AbstractDataset

from universal_simulator.catalog.writing import replace
from universal_simulator.errors import InputError
from universal_simulator.networks.trained import Recipe, Trained


class NetworkDataset(AbstractDataset[Trained, Trained]):
    """Saved with ``torch.save`` as tensors and JSON text; loaded with ``weights_only=True``."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> Trained:
        """Build the network and give it its weights, on the CPU, ready for use."""
        if not self._path.is_file():
            raise InputError(f"{self._path} = missing: must be trained first; run the pipeline that makes it, or full")
        content = read_tensors(self._path)
        try:
            recipe = Recipe.model_validate_json(content["recipe"])
            return Trained.rebuild(recipe, content["weights"], json.loads(content["provenance"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{self._path} = not a network of this version ({reason}); train it again") from error

    def save(self, data: Trained) -> None:
        """Write atomically."""
        content = {
            "recipe": data.recipe.model_dump_json(),
            "provenance": json.dumps(data.provenance),
            "weights": {name: value.detach().cpu() for name, value in data.network.state_dict().items()},
        }
        replace(self._path, lambda part: torch.save(content, part))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def read_tensors(path: Path) -> dict[str, Any]:
    """Return what ``torch.save`` wrote, refusing anything but tensors and plain values."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on broken or hostile files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} = unreadable ({reason}); delete it and run the stage again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} = {type(content).__name__} must be a mapping; delete it and run the stage again")
    return content
