"""A trained network in one file: weights, recipe and provenance. Loading runs no code from the file."""

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.catalog.digests import file_digest
from universal_simulator.catalog.tensors import read_tensors, write_tensors
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.support.errors import InputError
from universal_simulator.support.fingerprints import code_behind


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
        write_tensors(self._path, content)

    def fingerprint(self) -> str | None:
        """Name the content, and the code that makes a network of it."""
        if not self._path.is_file():
            return None
        settings = json.loads(read_tensors(self._path)["recipe"]).get("settings", {})
        return f"{file_digest(self._path)}-{code_behind(Recipe.__module__, settings)}"

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}
