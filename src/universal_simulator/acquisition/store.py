"""The folder of raw files, and selections of trajectories from it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, model_serializer

from universal_simulator.acquisition.archive import FILES, chosen
from universal_simulator.acquisition.axes import demand_alike
from universal_simulator.acquisition.layout import Asked, Layout, read_layout
from universal_simulator.configuration import Data, LocalSource, Member, PublishedSource, Value
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

ENDINGS = (".hdf5", ".h5")
UNFINISHED = (".part", ".crdownload", ".partial", ".aria2", ".tmp")
"""What programs that fetch files call those that are not there yet."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawFile:
    """A file of the store, and the parameters of its trajectories; None where the file says them."""

    path: Path
    parameters: tuple[Value, ...] | None
    member: Member | None = None
    """What the set is called and starts from, where that was stated."""


@dataclass(frozen=True)
class RawStore:
    """A folder of raw files of one problem, one for each set of parameters; it may be empty."""

    folder: Path
    name: str
    """Of the problem."""
    credentials: Mapping[str, Any] | None = field(default=None, repr=False)
    """For a bucket, as ``s3fs`` takes them."""

    @property
    def problem(self) -> Problem:
        """Return the problem."""
        return find(self.name)

    def files(self, data: Data) -> list[RawFile]:
        """Return the files of a data set: one for each set of parameters, or all there are where only files know."""
        problem = self.problem
        if isinstance(data.source, PublishedSource):
            return [RawFile(self.folder / one.name, one.vector(problem)) for one in chosen(problem, data)]
        if not problem.open_facts:
            sets = problem.facts.sets(*data.given)
            if isinstance(data.source, LocalSource):
                return [RawFile(self._own(problem, one), one) for one in sets]
            members = zip(sets, data.members or repeat(None), strict=bool(data.members))
            return [RawFile(self.folder / problem.file_name(one), one, member) for one, member in members]
        return [RawFile(path, None) for path in found_in(self.folder, data.folder)]

    def _own(self, problem: Problem, parameters: tuple[Value, ...]) -> Path:
        """Return the file that a user has put there, which may be called as PDEBench calls it."""
        path = self.folder / problem.file_name(parameters)
        names = [one.name for one in FILES.values() if one.vector(problem) == parameters]
        there = [self.folder / name for name in names if (self.folder / name).exists()]
        return there[0] if len(there) == 1 and not path.exists() else path

    def layout(self, one: RawFile) -> Layout:
        """Return the checked header of a file."""
        problem = self.problem
        return read_layout(one.path, Asked(problem.facts, problem.grid, one.parameters, problem.open_facts))


def on_one_axis(layouts: Sequence[Layout], open_facts: bool) -> list[Layout]:
    """Return the layouts of a data set on one time axis and one grid; refuse those that are not.

    Where only files know what they hold, as The Well's, whose files may differ in length, all are cut to the shortest.
    """
    shortest = min(len(layout.times) for layout in layouts)
    if open_facts:
        for layout in layouts:
            if len(layout.times) > shortest:
                log.info("%s: the first %d of %d snapshots are used", layout.path, shortest, len(layout.times))
        layouts = [layout.begun(shortest) for layout in layouts]
    demand_alike([(layout.path, layout.times, layout.grid) for layout in layouts])
    return list(layouts)


def found_in(folder: Path, name: str = "") -> list[Path]:
    """Return the files of trajectories in a folder, or in The Well's ``data/train`` below it; refuse none at all.

    ``name`` is what the user calls the folder.
    """
    train = next((one for one in (folder / "data" / "train", folder / "train") if one.is_dir()), None)
    found = _finished(folder)
    if not found and train is not None:
        found = _finished(train)
        beside = [one.name for one in sorted(train.parent.iterdir()) if one.is_dir() and one != train]
        log.info("%s: train is read; %s beside it", folder, f"{', '.join(beside)} stay" if beside else "nothing is")
    if not found:
        raise InputError(
            f"data.folder = {name!r}: {folder} must hold at least one file of trajectories "
            f"({', '.join(ENDINGS)}), or The Well's data/train; put yours there, with data.source.kind=local"
        )
    return found


def _finished(folder: Path) -> list[Path]:
    """Return the files that are complete; tell of others."""
    for path in sorted(folder.glob("*")):
        if path.suffix in UNFINISHED:
            log.warning("%s: left out, as it is not complete; get the rest", path)
    return sorted(path for path in folder.glob("*") if path.suffix in ENDINGS and path.is_file())


def demand_kind(layout: Layout, facts: Facts) -> None:
    """Refuse a file of other channels or parameters, or of the same ones in another order."""
    had, wanted = ((one.names, tuple(p.name for p in one.parameters)) for one in (layout.facts, facts))
    if had != wanted:
        raise InputError(
            f"{layout.path}: channels and parameters = {had} must be {wanted}, as in the other files; rename them, or "
            "make two data sets"
        )


class Part(BaseModel):
    """Rows of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    parameters: tuple[Value, ...] | None
    rows: tuple[int, ...]
    name: str = ""
    """Of the set of parameters, where it has one."""

    @model_serializer(mode="wrap")
    def _without_what_is_not(self, content: Callable[["Part"], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in content(self).items() if name != "name" or value}


class Selection(BaseModel):
    """Which trajectories of which files: what is stored of a split, instead of a copy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: Facts
    grid: Grid
    parts: tuple[Part, ...]
    fingerprint: str = ""
    """Of the trajectories when they were selected; empty before they were first opened."""

    def open(self) -> Trajectories:
        """Return the trajectories; refuse files that no longer hold what was selected."""
        layouts = []
        for one in self.parts:
            layout = read_layout(Path(one.file), self._asked(one))
            demand_kind(layout, self.facts)
            if layout.grid != self.grid:
                raise InputError(
                    f"{one.file}: grid = {layout.grid.shape} points must be as when it was split, {self.grid.shape}, "
                    "with the same ends and sides; run the data_engineering pipeline again"
                )
            if max(one.rows) >= layout.samples:
                raise InputError(
                    f"{one.file}: {layout.samples} samples, must hold number {max(one.rows)}, which a split refers "
                    "to; run the data_engineering pipeline again"
                )
            layouts.append(layout)
        layouts = on_one_axis(layouts, find(self.facts.name).open_facts)
        parts = zip(layouts, self.parts, strict=True)
        sources = [Source(of.values, np.asarray(one.rows), of.rows(one.rows), one.name) for of, one in parts]
        found = Trajectories(sources, layouts[0].times, self.facts, self.grid)
        if self.fingerprint not in ("", found.fingerprint):
            raise InputError(
                f"{self.parts[0].file}: fingerprint = {found.fingerprint} must be {self.fingerprint}, as when it was "
                "split; the file has changed: run the data_engineering pipeline again"
            )
        return found

    def _asked(self, one: Part) -> Asked:
        problem = find(self.facts.name)
        asked = Asked(self.facts, problem.grid, one.parameters)
        return replace(asked, facts=problem.facts, open_facts=True) if problem.open_facts else asked
