"""MLflow's registry of models, in the catalog as a handle."""

from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.serving.registry import Registry
from universal_simulator.support.errors import InputError


class RegistryDataset(AbstractDataset[None, Registry]):
    """Loading gives the handle; models enter the registry by promotion."""

    def __init__(self, uri: str, experiment: str, metadata: dict[str, Any] | None = None) -> None:
        self._uri, self._experiment = uri, experiment
        self.metadata = metadata

    def load(self) -> Registry:
        """Return the handle."""
        return Registry(self._uri, self._experiment)

    def save(self, data: None) -> None:
        """Refuse: models are registered one by one."""
        raise InputError("model_registry = must not be saved to; run --pipeline=promote with a candidate")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"experiment": self._experiment}
