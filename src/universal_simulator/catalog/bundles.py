"""A finished model as one folder, and models by their address."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.networks.trained import Trained
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.bundle import CARD, Bundle
from universal_simulator.serving.emulator import Emulator
from universal_simulator.support.errors import InputError


class BundleDataset(AbstractDataset[Bundle, Bundle]):
    """Weights and card of a model in a folder; see ``serving/bundle.py``."""

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(path)
        self.metadata = metadata

    def load(self) -> Bundle:
        """Read it, running no code from it."""
        return Bundle.read(self._folder)

    def save(self, data: Bundle) -> None:
        """Replace its files."""
        data.write(self._folder)

    def _exists(self) -> bool:
        return (self._folder / CARD).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._folder)}


class ModelDataset(AbstractDataset[None, Emulator]):
    """A model at any address: in MLflow, shipped with the project, or in a folder."""

    def __init__(self, address: str, metadata: dict[str, Any] | None = None) -> None:
        self._address = address
        self.metadata = metadata

    def load(self) -> Emulator:
        """Open it."""
        return Emulator.of(open_bundle(self._address))

    def save(self, data: None) -> None:
        """Refuse: evaluation makes models."""
        raise InputError(f"{self._address} = must not be saved to; run --pipeline=evaluation, which makes the bundle")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"address": self._address}


class InitialNetworksDataset(AbstractDataset[None, dict[str, Trained[Any]]]):
    """The networks of a model at any address, by stage; none where no address is given."""

    def __init__(self, address: str | None, metadata: dict[str, Any] | None = None) -> None:
        self._address = address
        self.metadata = metadata

    def load(self) -> dict[str, Trained[Any]]:
        """Open the model."""
        return dict(open_bundle(self._address).parts) if self._address else {}

    def save(self, data: None) -> None:
        """Refuse: evaluation makes models."""
        raise InputError(f"initial = {self._address}: must not be saved to; name a model that there is")

    def fingerprint(self) -> str:
        """Name the weights: what is trained from them is stale when they change."""
        return open_bundle(self._address).card.weights_sha256[:16] if self._address else "none"

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"address": self._address}
