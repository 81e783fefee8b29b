"""Trajectories: raw files, splits of them, and their latents.

Raw files and splits in the catalog: a folder, and lists of rows in its files; trajectories are never copied.

A store of latent trajectories: a memory-mapped array, and beside it what it was made from.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from kedro.io import AbstractDataset

from universal_simulator.acquisition.store import ENDINGS, Part, RawStore, Selection
from universal_simulator.catalog.networks import file_digest
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Latents, LatentsChunk
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace


class RawStoreDataset(AbstractDataset[None, RawStore]):
    """A folder of raw files. Loading gives a handle on it and reads nothing, so the folder need not exist."""

    def __init__(
        self,
        filepath: str,
        problem: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._folder, self._problem = Path(filepath), problem
        self._credentials = credentials
        self.metadata = metadata

    def load(self) -> RawStore:
        """Return the handle."""
        return RawStore(self._folder, self._problem, self._credentials)

    def save(self, data: None) -> None:
        """Refuse: raw files come from the acquire node alone."""
        raise InputError(f"{self._folder} = raw files must not be saved by a node; they are acquired into the folder")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class AuditedFilesDataset(AbstractDataset[None, list[Path]]):
    """A file of trajectories that lies anywhere, or all those in a folder. Loading names them and reads nothing."""

    def __init__(self, file: str | None, metadata: dict[str, Any] | None = None) -> None:
        self._file = file
        self.metadata = metadata

    def load(self) -> list[Path]:
        """Return the files, in the order of their names."""
        if not self._file:
            raise InputError("audit.input = null: must name a file of trajectories, or a folder; add audit.input=FILE")
        path = Path(self._file).expanduser()
        if not path.exists():
            raise InputError(f"audit.input = {path}: must be a file or a folder; check its name")
        if not path.is_dir():
            return [path]
        found = sorted(one for one in path.rglob("*") if one.suffix in ENDINGS and one.is_file())
        if not found:
            raise InputError(
                f"audit.input = {path}: must hold at least one file of trajectories ({', '.join(ENDINGS)}); name one"
            )
        return found

    def save(self, data: None) -> None:
        """Refuse: they are the user's."""
        raise InputError(f"{self._file} = must not be saved to; an audit only reads")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"file": self._file}


class TrajectoriesDataset(AbstractDataset[Selection, Trajectories]):
    """A split. Saved: which rows of which files, and what they were. Loaded: the trajectories themselves, lazily."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> Trajectories:
        """Open the files and check that they still hold what was selected."""
        stored = Selection.model_validate_json(self._path.read_text(encoding="utf-8"))
        return _with_files(stored, lambda file: os.path.normpath(self._path.parent / file)).open()

    def save(self, data: Selection) -> None:
        """Store the selection; files are named from this one, so that a project may be moved."""
        marked = data.model_copy(update={"fingerprint": data.fingerprint or data.open().fingerprint})
        relative = _with_files(marked, lambda file: os.path.relpath(file, self._path.parent))
        replace(self._path, lambda part: part.write_text(relative.model_dump_json(), encoding="utf-8"))

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def _with_files(selection: Selection, rename: Any) -> Selection:
    parts: tuple[Part, ...] = tuple(part.model_copy(update={"file": rename(part.file)}) for part in selection.parts)
    return selection.model_copy(update={"parts": parts})


VALUES, FRAME, STORE = "values.npy", "frame.npz", "store.json"


class LatentsDataset(AbstractDataset[LatentsChunk, Latents]):
    """A folder, written beside its place and moved there once it is complete: there is the old store or the new one.

    ``store.json`` holds checksums of the other files.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    def load(self) -> Latents:
        """Open the store; values stay on disk."""
        if not self._exists():
            raise InputError(f"{self._folder} = missing: latents must be computed first; run --pipeline=latents")
        store = _read(self._folder)
        values = np.load(self._folder / VALUES, mmap_mode="r", allow_pickle=False)
        with np.load(self._folder / FRAME, allow_pickle=False) as frame:
            arrays = (frame["mean"], frame["parameters"], frame["times"])
            known = (Facts.model_validate(store["facts"]), Grid.model_validate(store["grid"]), store["fingerprint"])
            return Latents(values, *arrays, *known)

    def save(self, data: LatentsChunk) -> None:
        """Add a chunk, in order; the last one makes the store valid."""
        part = data.part
        new = self._folder.with_name(f".{self._folder.name}.{os.getpid()}.part")
        if data.first == 0:
            _remove_leavings(self._folder)
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            _begin(new / VALUES, (data.total, *part.values.shape[1:]))
            self._mean = np.zeros((data.total, *part.mean.shape[1:]), np.float32)
            self._parameters = np.zeros((data.total, *part.parameters.shape[1:]), np.float64)
        rows = slice(data.first, data.first + len(part))
        with (new / VALUES).open("ab") as file:  # mapped memory would end the process on a full disk
            file.write(np.ascontiguousarray(part.values, np.float32).data)
        self._mean[rows], self._parameters[rows] = part.mean, part.parameters
        if rows.stop == data.total:
            np.savez(new / FRAME, mean=self._mean, parameters=self._parameters, times=part.times)
            known = {"facts": part.facts.model_dump(mode="json"), "grid": part.grid.model_dump(mode="json")}
            content = {"fingerprint": part.fingerprint, **known, "checksums": _checksums(new)}
            (new / STORE).write_text(json.dumps(content))
            _move(new, self._folder)

    def _exists(self) -> bool:
        return (self._folder / STORE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


def _read(folder: Path) -> dict[str, Any]:
    """Return what a store says of itself, once its files agree with their checksums."""
    try:
        store = dict(json.loads((folder / STORE).read_text()))
        said, found = store["checksums"], _checksums(folder)
        demanded = {name: store[name] for name in ("fingerprint", "facts", "grid")}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder} = unreadable ({error}); delete it and run --pipeline=latents") from error
    for name, sum_ in said.items():
        if found.get(name) != sum_:
            raise InputError(
                f"{folder / name} = damaged: must agree with its checksum; delete it and run --pipeline=latents"
            )
    return demanded


def _checksums(folder: Path) -> dict[str, str]:
    return {name: file_digest(folder / name) for name in (VALUES, FRAME)}


def _begin(path: Path, shape: tuple[int, ...]) -> None:
    """Write the header of an array whose rows are to follow."""
    description = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, description)


def _move(new: Path, folder: Path) -> None:
    """Bring a complete store to the disk and to its place. Who has the old one open keeps reading it."""
    for path in new.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old.part")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _remove_leavings(folder: Path) -> None:
    """Remove what processes that are gone have left."""
    for left in folder.parent.glob(f".{folder.name}.*.part"):
        if not psutil.pid_exists(int(left.name.removeprefix(f".{folder.name}.").split(".")[0])):
            shutil.rmtree(left, ignore_errors=True)
