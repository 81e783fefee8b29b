"""How many different trajectories there are, and which begin in training as they do in a test."""

from collections.abc import Iterator, Sequence

import numpy as np

from universal_simulator.audit.findings import Finding, percent
from universal_simulator.fields.content import by_bytes, by_shape, movable, starts_of
from universal_simulator.fields.trajectories import Trajectories

COMPARED = 2000
"""Most trajectories that are looked through for moved copies."""


def labels(trajectories: Trajectories) -> list[bytes]:
    """Return what the first frame of each is known by."""
    size = len(trajectories.facts.channels) * trajectories.grid.size
    return by_bytes(starts_of(trajectories), np.arange(len(trajectories)), size)


def apart(begun: Sequence[bytes], trajectories: Trajectories) -> list[bytes]:
    """Return the same, with parameters: one start goes on in as many ways as there are parameters."""
    return [label + row.tobytes() for label, row in zip(begun, trajectories.parameters, strict=True)]


def judge_repeats(begun: Sequence[bytes]) -> Iterator[Finding]:
    """Yield how many trajectories are different."""
    distinct = len(set(begun))
    few = distinct < len(begun)
    yield Finding(
        name="distinct_trajectories",
        severity="warning" if few else "note",
        value=distinct,
        message=f"{distinct} different trajectories among {len(begun)}, by first frames and parameters",
        remedy="count and score each of them once; data.split=content (the default) keeps equal ones in one split"
        if few
        else "",
    )


def judge_split(name: str, train: Sequence[bytes], test: Sequence[bytes], what: str) -> Iterator[Finding]:
    """Yield how many test trajectories begin exactly as one that is trained on; nothing where none does."""
    twins = sum(one in set(train) for one in test)
    if twins:
        yield Finding(
            name=name,
            severity="error",
            value=twins,
            message=f"{twins} of the {len(test)} test trajectories of {what} ({percent(twins / len(test))}) begin "
            "exactly as one that is trained on: looking that one up is no forecast",
            remedy="split by content (data.split=content), and do not quote scores of this split",
        )


def judge_moved(train: Trajectories, test: Trajectories) -> Iterator[Finding]:
    """Yield how many test trajectories begin as a training trajectory does once moved, where that is a solution."""
    axes = movable(test.facts, test.grid)
    if not axes:
        return
    few = [t.subset(np.unique(np.linspace(0, len(t) - 1, min(len(t), COMPARED)).astype(int))) for t in (train, test)]
    parts = [starts_of(t) for t in few]
    border = len(few[0])

    def both(rows: np.ndarray) -> np.ndarray:
        mine = [parts[0](rows[rows < border]), parts[1](rows[rows >= border] - border)]
        out = np.empty((len(rows), *mine[0].shape[1:]), np.float32)
        out[rows < border], out[rows >= border] = mine
        return out

    number = by_shape(both, np.arange(border + len(few[1])), test.grid, axes)
    exact = set(labels(few[0]))
    seen = set(number[:border].tolist())
    moved = sum(n in seen and one not in exact for n, one in zip(number[border:].tolist(), labels(few[1]), strict=True))
    if moved:
        yield Finding(
            name="moved_copies",
            severity="warning",
            value=moved,
            message=f"{moved} of {len(few[1])} test trajectories begin as one that is trained on, moved along "
            f"{', '.join(test.grid.names[a] for a in axes)}: to a network with that symmetry they are the same",
            remedy="split with data.split=content_translated",
        )
