"""The folder of raw files, and selections of trajectories from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from universal_simulator.acquisition.axes import demand_alike
from universal_simulator.acquisition.layout import Asked, Layout, read_layout
from universal_simulator.configuration import Data, Value
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

ENDINGS = (".hdf5", ".h5")


@dataclass(frozen=True)
class RawFile:
    """A file of the store, and the parameters of its trajectories; None where the file says them."""

    path: Path
    parameters: tuple[Value, ...] | None


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
        if not problem.open_facts:
            sets = problem.facts.sets(data.parameters)
            return [RawFile(self.folder / problem.file_name(one), one) for one in sets]
        found = sorted(path for path in self.folder.glob("*") if path.suffix in ENDINGS)
        if not found:
            raise InputError(
                f"data.folder = {data.folder!r}: {self.folder} must hold at least one file of trajectories "
                f"({', '.join(ENDINGS)}); put yours there, with data.source.kind=local"
            )
        return [RawFile(path, None) for path in found]

    def layout(self, one: RawFile) -> Layout:
        """Return the checked header of a file."""
        problem = self.problem
        return read_layout(one.path, Asked(problem.facts, problem.grid, one.parameters, problem.open_facts))


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
        sources, axes = [], []
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
            sources.append(Source(layout.values, np.asarray(one.rows), layout.rows(one.rows)))
            axes.append((layout.path, layout.times, layout.grid))
        demand_alike(axes)
        found = Trajectories(sources, axes[0][1], self.facts, self.grid)
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
