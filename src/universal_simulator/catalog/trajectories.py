"""Raw files and splits in the catalog: a folder, and lists of rows in its files; trajectories are never copied."""

import os
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from universal_simulator.acquisition.store import ENDINGS, Part, RawStore, Selection
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.support.errors import InputError
from universal_simulator.support.writing import replace


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
