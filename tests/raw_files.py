"""Raw files as the product writes them, from arrays in memory."""

from pathlib import Path

import numpy as np

from universal_simulator.acquisition import writing
from universal_simulator.acquisition.store import Part, Selection
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find

BURGERS = find("burgers").facts


def write_burgers(path: Path, u: np.ndarray, times: np.ndarray, nu: float = 0.01, **attributes: object) -> None:
    """Write u ``(sample, time, space)``."""
    of = writing.Description(BURGERS, Grid.interval(u.shape[2]), times, (nu,))
    writing.save(path, u[:, :, None], of, attributes)


def rows_of(path: Path, points: int, rows: tuple[int, ...], nu: float = 0.01) -> Selection:
    """Select rows of a file of Burgers trajectories."""
    part = Part(file=str(path), parameters=(nu,), rows=rows)
    return Selection(facts=BURGERS, grid=Grid.interval(points), parts=(part,))
