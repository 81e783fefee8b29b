"""The steps of the data side; what they do stands in ``acquisition`` and ``fields``."""

import logging
from typing import Any

from universal_simulator.acquisition import sources
from universal_simulator.acquisition.card import data_card
from universal_simulator.acquisition.checks import REPEATED, DamagedError, Findings, check
from universal_simulator.acquisition.solve import repair
from universal_simulator.acquisition.splits import crossing, demand_enough, split
from universal_simulator.acquisition.store import RawFile, RawStore, Selection, on_one_axis
from universal_simulator.configuration import Data, DiffusionResidual, Evaluation, Latent, Operator, SolveSource
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.statistics import Statistics, measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)

ROUNDING = 2.0**-22
"""Of a single-precision number: what its last two bits can be blamed for."""


def solve(store: RawStore, data: Data) -> dict[str, dict[str, Any]]:
    """Solve what is missing, where that is where trajectories come from; say, by file, what was done."""
    return sources.acquire(store, data) if isinstance(data.source, SolveSource) else {}


def acquire(store: RawStore, data: Data, solved: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Fetch what is missing of all that was not solved; say, by file, how it came."""
    return solved or sources.acquire(store, data)


def validate(store: RawStore, origins: dict[str, dict[str, object]], data: Data) -> dict[str, Any]:
    """Read every file once from end to end and refuse any departure from the layout."""
    files: dict[str, Any] = {}
    wanted = store.files(data)
    layouts = [store.layout(one) for one in wanted]
    on_one_axis(layouts, store.problem.open_facts)
    for one, layout in zip(wanted, layouts, strict=True):
        name = layout.path.name
        files[name] = {
            "equation": _equation(store, one),
            "domain": _domain(layout.grid),
            "origin": origins[name],
            "settings": layout.settings,
            "checks": _checked(store, one, data).model_dump(),
        } | ({"remarks": list(layout.remarks)} if layout.remarks else {})
    _refuse_copies(store, files)
    return {"source": data.source.kind, "files": files}


def _equation(store: RawStore, one: RawFile) -> str:
    """Return the equation in one line, where the problem knows it."""
    return store.problem.equation(one.parameters) if one.parameters is not None else ""


def _domain(grid: Grid) -> str:
    return ", ".join(
        f"{a.name} in ({a.lower:g}, {a.upper:g}), {' and '.join(dict.fromkeys(a.sides))}" for a in grid.axes
    )


def _refuse_copies(store: RawStore, files: dict[str, Any]) -> None:
    """Refuse the same numbers under two parameters: one of them is not what it says."""
    seen: dict[str, str] = {}
    for name, entry in files.items():
        if (other := seen.setdefault(entry["checks"]["content"], name)) != name:
            raise InputError(
                f"{store.folder / name} = the same numbers as {other}, must be those of another parameter; remove one "
                "from data.parameters, or get the right file"
            )


def demand(
    store: RawStore,
    manifest: dict[str, Any],
    data: Data,
    latent: Latent,
    operator: Operator,
    residual: DiffusionResidual,
    evaluation: Evaluation,
) -> None:
    """Refuse files that the experiment's later stages could not work with, before the first of them begins."""
    for one in store.files(data):
        demand_enough(store.layout(one), data, latent, operator, residual, evaluation)


def _checked(store: RawStore, one: RawFile, data: Data) -> Findings:
    """Check a file; solve again what is damaged in one that we solved."""
    try:
        return check(store.layout(one))
    except DamagedError as error:
        if not isinstance(data.source, SolveSource):
            raise
        log.warning("%s. What is damaged is solved again", error)
        repair(one.path, sources.order(store, one, data.source))
        return check(store.layout(one))


def split_trajectories(store: RawStore, manifest: dict[str, Any], data: Data) -> tuple[Selection, Selection, Selection]:
    """Choose whole trajectories for training, validation and test; the manifest says that the files are sound."""
    kinds = (kind for entry in manifest["files"].values() for kind in entry["checks"].get("dead", {}).items())
    whole = data.split == "published"  # with all that stands there twice
    left_out = {sample for why, samples in kinds if not (whole and why == REPEATED) for sample in samples}
    selections = split(store, data, left_out)
    return selections["train"], selections["validation"], selections["test"]


def measure_statistics(train: Trajectories, data: Data) -> dict[str, Any]:
    """Measure the training trajectories, and nothing else."""
    found = measure(train, data.time_stride)
    for channel in found.channels:
        rounding = ROUNDING * max(abs(channel.minimum), abs(channel.maximum))
        for name, size in (("change in one step", channel.increment_rms), ("deviation from the mean", channel.rms)):
            if size <= rounding:
                raise InputError(
                    f"data.folder = {data.folder!r}: {channel.name}: {name} = {size:.1e} must be more than rounding, "
                    f"{rounding:.1e}; there is nothing to learn: raise data.time_stride, take off a constant offset, "
                    "or get other data"
                )
    return found.model_dump(mode="json")


def describe(
    problem: str,
    data: Data,
    manifest: dict[str, Any],
    statistics: dict[str, Any],
    train: Trajectories | None = None,
    test: Trajectories | None = None,
) -> str:
    """Write the data card; where the split may leak, it says how much."""
    leaked = None if data.split.startswith("content") or not (train and test) else crossing(test, train)
    return data_card(find(problem), data, manifest, Statistics.model_validate(statistics), leaked)
