"""A store of latent trajectories: a memory-mapped array, and beside it what it was made from."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from universal_simulator.catalog.writing import replace
from universal_simulator.errors import InputError
from universal_simulator.fields.latents import Latents

VALUES, FRAME, STORE = "values.npy", "frame.npz", "store.json"


@dataclass(frozen=True)
class LatentsChunk:
    """Some trajectories of a store that is being written, first to last."""

    first: int
    total: int
    part: Latents


class LatentsDataset(AbstractDataset[LatentsChunk, Latents]):
    """A folder. It counts as existing once ``store.json`` is there, which is written after everything else."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Latents:
        """Open the store; values stay on disk."""
        if not self._exists():
            raise InputError(f"{self._folder} = missing: latents must be computed first; run --pipeline=latents")
        store = json.loads((self._folder / STORE).read_text())
        values = np.load(self._folder / VALUES, mmap_mode="r", allow_pickle=False)
        with np.load(self._folder / FRAME, allow_pickle=False) as frame:
            return Latents(values, frame["mean"], frame["viscosity"], frame["times"], store["fingerprint"])

    def save(self, data: LatentsChunk) -> None:
        """Add a chunk; the first one clears what was there, the last one makes the store valid."""
        part = data.part
        if data.first == 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            shape = (data.total, *part.values.shape[1:])
            np.lib.format.open_memmap(self._folder / VALUES, "w+", np.float32, shape)
            self._mean = np.zeros(data.total, np.float32)
            self._viscosity = np.zeros(data.total, np.float64)
        rows = slice(data.first, data.first + len(part))
        values = np.lib.format.open_memmap(self._folder / VALUES, "r+")
        values[rows] = part.values
        values.flush()
        self._mean[rows], self._viscosity[rows] = part.mean, part.viscosity
        if rows.stop == data.total:
            np.savez(self._folder / FRAME, mean=self._mean, viscosity=self._viscosity, times=part.times)
            content = json.dumps({"fingerprint": part.fingerprint})
            replace(self._folder / STORE, lambda file: file.write_text(content))

    def _exists(self) -> bool:
        return (self._folder / STORE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class LatentsFingerprintDataset(AbstractDataset[None, str]):
    """The fingerprint of the store in a folder; empty where there is none."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._store = Path(filepath) / STORE
        self.metadata = metadata

    def load(self) -> str:
        """Read it."""
        return str(json.loads(self._store.read_text())["fingerprint"]) if self._store.is_file() else ""

    def save(self, data: None) -> None:
        """Refuse: the store itself writes it."""
        raise InputError(f"{self._store} = fingerprint must come with its store; save the latents")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._store)}
