"""One raw artefact from any source: after this, nothing knows which it was."""

from typing import Any, assert_never

from universal_simulator.acquisition import bucket, published, solve
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import BucketSource, Data, LocalSource, PublishedSource, SolveSource
from universal_simulator.physics.equations import Equation, equation


def equations(data: Data) -> list[Equation]:
    """Return what the data set is about, one equation for each value of its parameter."""
    return [equation(data.equation, parameter) for parameter in data.viscosities]


def needed(data: Data) -> int:
    """Return how many trajectories of each equation the splits take."""
    return (data.train + data.validation + data.test) // len(data.viscosities)


def acquire(store: RawStore, data: Data) -> dict[str, dict[str, Any]]:
    """See to it that every file is in the store; return, by file name, what was done for it."""
    return {store.path(of).name: _acquire(store, of, data) for of in equations(data)}


def _acquire(store: RawStore, of: Equation, data: Data) -> dict[str, Any]:
    path = store.path(of)
    match data.source:
        case SolveSource() as source:
            return solve.provide(path, of, source, source.samples or needed(data))
        case PublishedSource() as source:
            return published.provide(path, source)
        case BucketSource() as source:
            return bucket.provide(path, source, store.credentials)
        case LocalSource():
            return {}
        case _:
            assert_never(data.source)
