"""One raw artefact from any source: after this, nothing knows which it was."""

from typing import Any, assert_never

from universal_simulator.acquisition import bucket, published, solve
from universal_simulator.acquisition.archive import FILES
from universal_simulator.acquisition.store import RawFile, RawStore
from universal_simulator.configuration import BucketSource, Data, LocalSource, PublishedSource, SolveSource


def acquire(store: RawStore, data: Data) -> dict[str, dict[str, Any]]:
    """See to it that every file is in the store; return, by file name, what was done for it."""
    files = store.files(data)
    if isinstance(data.source, PublishedSource):
        published.announce(store.folder, [FILES[one.path.name] for one in files])
    return {one.path.name: _acquire(store, one, data) for one in files}


def order(store: RawStore, one: RawFile, source: SolveSource) -> solve.Order:
    """Return what is to be solved for a file."""
    assert one.parameters is not None, "only files of others leave their parameters open"
    return solve.Order.of(store.problem, one.parameters, source)


def _acquire(store: RawStore, one: RawFile, data: Data) -> dict[str, Any]:
    match data.source:
        case SolveSource() as source:
            return solve.provide(one.path, order(store, one, source), source.samples or data.needed)
        case PublishedSource() as source:
            return published.provide(one.path, source)
        case BucketSource() as source:
            return bucket.provide(one.path, source, store.credentials)
        case LocalSource():
            published.refuse_outdated(one.path)
            return {}
        case _:
            assert_never(data.source)
