"""A finished model, what it is given, and what it answers.

A finished model as one folder, and models by their address.

Initial fields and forecasts in files of the user's, wherever they lie.
"""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.networks.trained import Trained
from universal_simulator.problems import find
from universal_simulator.serving import files, stores
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.serving.bundle import CARD, Bundle
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.files import Forecasts, InitialFields
from universal_simulator.serving.streams import Stream
from universal_simulator.serving.whole_fields import WholeFields, own_facts, read_whole
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


class InitialFieldsDataset(AbstractDataset[None, InitialFields]):
    """A file that somebody else has made."""

    def __init__(self, file: str | None, name: str = "predict.input", metadata: dict[str, Any] | None = None) -> None:
        self._file, self._name = file, name
        self.metadata = metadata

    def load(self) -> InitialFields:
        """Read it."""
        if not self._file:
            raise InputError(f"{self._name} = null: must name a file of initial fields; add {self._name}=FILE")
        return files.read(Path(self._file).expanduser(), self._name)

    def save(self, data: None) -> None:
        """Refuse: it is the user's."""
        raise InputError(f"{self._file} = must not be saved to; forecasts go to predict.output")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"file": self._file}


class ForecastsDataset(AbstractDataset[Forecasts | Stream, None]):
    """A file in the format that its name asks for; without a name, that of the initial fields in ``folder``."""

    def __init__(self, file: str | None, folder: str, like: str | None, metadata: dict[str, Any] | None = None) -> None:
        self._file = Path(file).expanduser() if file else Path(folder) / Path(like or "forecast.npz").name
        self.metadata = metadata

    def save(self, data: Forecasts | Stream) -> None:
        """Write it, or let it be computed and written part by part."""
        if isinstance(data, Stream):
            files.kind(self._file)
            stores.save(self._file, data)
        else:
            files.write(self._file, data)

    def load(self) -> None:
        """Refuse: nothing of ours reads it."""
        raise InputError(f"{self._file} = is for others to read; open it with the library of its format")

    def _exists(self) -> bool:
        return self._file.exists()

    def _describe(self) -> dict[str, Any]:
        return {"file": str(self._file)}


class WholeFieldsDataset(AbstractDataset[None, WholeFields | None]):
    """A file of trajectories or forecasts that somebody else has made; without a problem, ``facts_of`` says of what."""

    def __init__(
        self,
        file: str | None,
        name: str,
        problem: str,
        facts_of: str | None,
        optional: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._file, self._name, self._problem, self._facts_of, self._optional = file, name, problem, facts_of, optional
        self.metadata = metadata

    def load(self) -> WholeFields | None:
        """Read what its header says."""
        if not self._file:
            if self._optional:
                return None
            raise InputError(f"{self._name} = null: must name a file; add {self._name}=FILE")
        try:
            known = find(self._problem)
            facts, grid = known.facts, known.grid
            if grid is None:
                facts, grid = own_facts(Path(self._facts_of or self._file).expanduser())
            return read_whole(Path(self._file).expanduser(), facts, grid)
        except InputError as error:
            raise InputError(f"{self._name}: {error}") from error

    def save(self, data: None) -> None:
        """Refuse: it is the user's."""
        raise InputError(f"{self._name} = {self._file}: must not be saved to")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"file": self._file}
