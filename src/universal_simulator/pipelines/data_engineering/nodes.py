"""The steps of the data side; what they do stands in ``acquisition`` and ``fields``."""

import logging
from typing import Any

from universal_simulator.acquisition import acquire as sources
from universal_simulator.acquisition.card import data_card
from universal_simulator.acquisition.checks import DamagedError, Findings, check
from universal_simulator.acquisition.solve import repair
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore, Selection
from universal_simulator.configuration import Data, SolveSource
from universal_simulator.fields.statistics import Statistics, measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.equations import Equation

log = logging.getLogger(__name__)


def solve(store: RawStore, data: Data) -> dict[str, dict[str, Any]]:
    """Solve what is missing, where that is where trajectories come from; say, by file, what was done."""
    return sources.acquire(store, data) if isinstance(data.source, SolveSource) else {}


def acquire(store: RawStore, data: Data, solved: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Fetch what is missing of all that was not solved; say, by file, how it came."""
    return solved or sources.acquire(store, data)


def validate(store: RawStore, origins: dict[str, dict[str, object]], data: Data) -> dict[str, Any]:
    """Read every file once from end to end and refuse any departure from the layout."""
    files = {}
    for of in sources.equations(data):
        layout = store.layout(of)
        name = layout.path.name
        files[name] = {
            "equation": of.identity,
            "origin": origins[name],
            "settings": layout.settings,
            "checks": _checked(store, of, data).model_dump(),
        }
    return {"source": data.source.kind, "files": files}


def _checked(store: RawStore, of: Equation, data: Data) -> Findings:
    """Check a file; solve again what is damaged in one that we solved."""
    try:
        return check(store.layout(of))
    except DamagedError as error:
        if not isinstance(data.source, SolveSource):
            raise
        log.warning("%s. What is damaged is solved again", error)
        repair(store.path(of), of, data.source)
        return check(store.layout(of))


def split_trajectories(store: RawStore, manifest: dict[str, Any], data: Data) -> tuple[Selection, Selection, Selection]:
    """Choose whole trajectories for training, validation and test; the manifest says that the files are sound."""
    selections = split(store, data)
    return selections["train"], selections["validation"], selections["test"]


def measure_statistics(train: Trajectories, data: Data) -> dict[str, Any]:
    """Measure the training trajectories, and nothing else."""
    return measure(train, data.time_stride).model_dump()


def describe(data: Data, manifest: dict[str, Any], statistics: dict[str, Any]) -> str:
    """Write the data card."""
    return data_card(data, manifest, Statistics.model_validate(statistics))
