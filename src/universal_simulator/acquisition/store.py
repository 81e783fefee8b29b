"""The folder of raw files, and selections of trajectories from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from universal_simulator.acquisition.axes import demand_alike
from universal_simulator.acquisition.pdebench import Layout, read_layout
from universal_simulator.fields.trajectories import Source, Trajectories
from universal_simulator.physics.equations import Equation, file_name
from universal_simulator.support.errors import InputError


@dataclass(frozen=True)
class RawStore:
    """A folder of raw files, one for each equation and parameter; it may be empty."""

    folder: Path
    credentials: Mapping[str, Any] | None = field(default=None, repr=False)
    """For a bucket, as ``s3fs`` takes them."""

    def path(self, equation: Equation) -> Path:
        """Return where the trajectories of this equation are, or will be."""
        return self.folder / file_name(equation)

    def layout(self, equation: Equation) -> Layout:
        """Return the checked header of this equation's file."""
        return read_layout(self.path(equation), equation.symbol, equation.parameter)


class Part(BaseModel):
    """Rows of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    symbol: str
    parameter: float
    rows: tuple[int, ...]


class Selection(BaseModel):
    """Which trajectories of which files: what is stored of a split, instead of a copy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: tuple[Part, ...]
    fingerprint: str = ""
    """Of the trajectories when they were selected; empty before they were first opened."""

    def open(self) -> Trajectories:
        """Return the trajectories; refuse files that no longer hold what was selected."""
        sources, axes = [], []
        for one in self.parts:
            layout = read_layout(Path(one.file), one.symbol, one.parameter)
            if max(one.rows) >= layout.shape[0]:
                raise InputError(
                    f"{one.file}: {layout.shape[0]} samples, must hold number {max(one.rows)}, which a split refers "
                    "to; run the data_engineering pipeline again"
                )
            sources.append(Source(layout.values, np.asarray(one.rows), one.parameter))
            axes.append((layout.path, layout.times, layout.shape[2]))
        demand_alike(axes)
        found = Trajectories(sources, axes[0][1])
        if self.fingerprint not in ("", found.fingerprint):
            raise InputError(
                f"{self.parts[0].file}: fingerprint = {found.fingerprint} must be {self.fingerprint}, as when it was "
                "split; the file has changed: run the data_engineering pipeline again"
            )
        return found
