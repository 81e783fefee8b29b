"""The steps of the data side; what they do stands in ``acquisition`` and ``fields``."""

import logging
from typing import Any

from universal_simulator.acquisition import acquire as sources
from universal_simulator.acquisition.axes import demand_alike
from universal_simulator.acquisition.card import data_card
from universal_simulator.acquisition.checks import DamagedError, Findings, check
from universal_simulator.acquisition.demands import demand_enough
from universal_simulator.acquisition.solve import repair
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore, Selection
from universal_simulator.configuration import Data, DiffusionResidual, Evaluation, Latent, Operator, SolveSource
from universal_simulator.fields.statistics import Statistics, measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.equations import Equation
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
    layouts = [store.layout(of) for of in sources.equations(data)]
    demand_alike([(layout.path, layout.times, layout.shape[2]) for layout in layouts])
    for of, layout in zip(sources.equations(data), layouts, strict=True):
        name = layout.path.name
        files[name] = {
            "equation": of.identity,
            "origin": origins[name],
            "settings": layout.settings,
            "checks": _checked(store, of, data).model_dump(),
        }
    _refuse_copies(store, files)
    return {"source": data.source.kind, "files": files}


def _refuse_copies(store: RawStore, files: dict[str, Any]) -> None:
    """Refuse the same numbers under two parameters: one of them is not what it says."""
    seen: dict[str, str] = {}
    for name, entry in files.items():
        if (other := seen.setdefault(entry["checks"]["content"], name)) != name:
            raise InputError(
                f"{store.folder / name} = the same numbers as {other}, must be those of another parameter; remove one "
                "from data.viscosities, or get the right file"
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
    for of in sources.equations(data):
        demand_enough(store.layout(of), data, latent, operator, residual, evaluation)


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
    dead = (entry["checks"].get("dead", {}).values() for entry in manifest["files"].values())
    left_out = {sample for kinds in dead for samples in kinds for sample in samples}
    selections = split(store, data, left_out)
    return selections["train"], selections["validation"], selections["test"]


def measure_statistics(train: Trajectories, data: Data) -> dict[str, Any]:
    """Measure the training trajectories, and nothing else."""
    found = measure(train, data.time_stride)
    rounding = ROUNDING * max(abs(found.minimum), abs(found.maximum))
    for name, size in (("change in one step", found.increment_rms), ("deviation from the mean", found.rms)):
        if size <= rounding:
            raise InputError(
                f"data.folder = {data.folder!r}: {name} = {size:.1e} must be more than rounding, {rounding:.1e}; "
                "there is nothing to learn: raise data.time_stride, take off a constant offset, or get other data"
            )
    return found.model_dump()


def describe(data: Data, manifest: dict[str, Any], statistics: dict[str, Any]) -> str:
    """Write the data card."""
    return data_card(data, manifest, Statistics.model_validate(statistics))
