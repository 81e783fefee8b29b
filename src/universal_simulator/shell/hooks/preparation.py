"""Before anything runs: parameters that fit, one run at a time, artefacts of the stages before.

Hooks of its own for every session: of two in one process, neither records, locks or times for the other.

What parameters demand of a problem and of its data, as far as both are known before any file is there.

One run of an experiment at a time, and who it is. The lock goes with its process, however that ends.
"""

import atexit
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from universal_simulator.configuration import Parameters, PublishedSource, SolveSource
from universal_simulator.pipeline_registry import OF_NO_EXPERIMENT, STAGES
from universal_simulator.processes.job import is_parameter
from universal_simulator.shell.configuration_loader import ExperimentLoader, Tree
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace
from universal_simulator.tracking import provenance

if TYPE_CHECKING:
    from universal_simulator.problems.problem import Problem


class SessionHooks:
    """Registers new hooks with a session when its context is created; Kedro itself gives all sessions the same ones."""

    def __init__(self, make: Callable[[], Sequence[object]]) -> None:
        self._make = make

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Replace those of an earlier context of the session, and let the new ones see this one."""
        made, manager = self._make(), context._hook_manager
        kinds = tuple({type(hooks) for hooks in made})
        for old in [one for one in manager.get_plugins() if isinstance(one, kinds)]:
            manager.unregister(old)
        others = list(manager.get_plugins())
        for hooks in made:
            manager.register(hooks)
        manager.subset_hook_caller("after_context_created", others)(context=context)


def refuse_misfit(p: Parameters) -> None:
    """Refuse parameters that the problem does not have, and sizes that its data do not have, in one line.

    Of files of the user's own the size is known when they are read; then the data side refuses the same.
    """
    from universal_simulator.problems import coarse_step, find, linear_part  # with torch, which takes seconds

    problem = find(p.problem)
    if "fast" in p.evaluation.variants and problem.solver is None:
        raise InputError(
            f"evaluation.variants = fast: {p.problem} has no solver, must have one for a fast mode; leave fast out"
        )
    _refuse_solvers_of_others(p, problem)
    if p.operator.exponential:
        linear_part(problem, problem.grid)
    if p.operator.solver is not None:
        coarse_step(p.problem, p.operator.solver)
    if not problem.open_facts:
        problem.facts.sets(*p.data.given)
        _refuse_unknown_family(problem, "data.source.family", getattr(p.data.source, "family", None))
        for one in p.data.members:
            _refuse_unknown_family(problem, f"data.members {one.name}: family", one.family)
    if isinstance(p.data.source, PublishedSource):
        _refuse_misfit_with_published(p, problem)
        return
    if not isinstance(p.data.source, SolveSource) or problem.grid is None or problem.times is None:
        _refuse_without_solver(p, problem.solver is not None)
        return
    points = getattr(p.data.source, "points", None) or min(problem.grid.shape)
    _refuse_sizes(p, points, len(problem.times), problem.grid.dimensions)


def _refuse_misfit_with_published(p: Parameters, problem: "Problem") -> None:
    """Refuse what was never published, before anything is fetched, and splits larger than a file."""
    from universal_simulator.acquisition.archive import chosen

    for one in chosen(problem, p.data):
        if one.samples < p.data.needed:
            raise InputError(
                f"train + validation + test = {p.data.needed} for each file must not exceed the {one.samples} samples "
                f"of {one.name}; lower one of them"
            )
        _refuse_sizes(p, min(one.shape[2:]), one.shape[1], len(one.shape) - 2)


def _refuse_sizes(p: Parameters, points: int, snapshots: int, dimensions: int) -> None:
    """Refuse more latent numbers than points, and steps that reach beyond a trajectory."""
    numbers = max(p.latent.shape(dimensions))
    if numbers > points:
        raise InputError(
            f"latent.tokens × latent.dim = {numbers} must not exceed the {points} points of a field; lower either"
        )
    reaches = {"operator.unroll × operator.time_strides": p.longest_window, "time_stride": p.data.time_stride}
    for name, reach in reaches.items():
        if reach >= snapshots:
            raise InputError(f"{name} = {reach} must be below the {snapshots} snapshots of a trajectory; lower either")


def _refuse_solvers_of_others(p: Parameters, problem: "Problem") -> None:
    from universal_simulator.physics.plane import FlowSolver
    from universal_simulator.physics.spectral import SpectralSolver

    within = [one for one in (p.fast and p.fast.solver, p.operator.solver) if one]
    for one in (*p.baselines.solvers, *within):
        if one.vanishing and problem.solver is not None and not isinstance(problem.solver, SpectralSolver):
            raise InputError(
                f"solver {one.name}: vanishing = {one.vanishing:g}: must be 0 for {problem.name}, which is not solved "
                "by its spectrum on a line; drop it"
            )
        if one.dealiasing == "hou_li" and problem.solver is not None and not isinstance(problem.solver, FlowSolver):
            raise InputError(
                f"solver {one.name}: dealiasing = hou_li: must be two_thirds for {problem.name}, which is not solved "
                "by its spectrum in the plane; drop it"
            )


def _refuse_unknown_family(problem: "Problem", where: str, name: str | None) -> None:
    if name is not None and name not in problem.families:
        known = ", ".join(problem.families) or "null, it has one family only"
        raise InputError(f"{where} = {name}: must be {known} for {problem.name}; choose that")


def _refuse_without_solver(p: Parameters, has_solver: bool) -> None:
    if isinstance(p.data.source, SolveSource) and not has_solver:
        raise InputError(
            f"data.source.kind = solve: {p.problem} has no solver, must have files of yours; "
            "set data.source.kind=local and data.folder=<folder>"
        )


log = logging.getLogger(__name__)


class ExperimentLock:
    """The right to write an experiment's artefacts."""

    def __init__(self, folder: Path, experiment: str) -> None:
        self._experiment = experiment
        self._lock = FileLock(folder / ".lock")
        self._holder = folder / ".running.json"

    def acquire(self) -> None:
        """Take the lock; refuse where another process has it, and name that process."""
        self._holder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"experiment = {self._experiment}: must be run once at a time, and is run by {self._told()}; wait for "
                "it, stop it, or choose another name with experiment.name=NAME"
            ) from None
        if self._holder.exists():  # the kernel has freed the lock, so its holder is gone
            log.info("An earlier run ended without a word (%s); going on from what it left", self._told())
        identity = {**provenance.process_identity(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        content = json.dumps({**identity, "command": provenance.command()})
        replace(self._holder, lambda part: part.write_text(content))
        atexit.register(self.release)

    def release(self) -> None:
        """Give it back."""
        atexit.unregister(self.release)
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()

    def _told(self) -> str:
        try:
            known = json.loads(self._holder.read_text())
            return "process {pid} on {host} since {since}: {command}".format(**known)
        except (OSError, ValueError, KeyError):
            return "a process that has not said its name yet"


class ParameterHooks:
    """Refuses bad parameters before any other hook opens or writes anything."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Merge and validate the whole tree."""
        self._parameters: Tree = context.config_loader["parameters"]

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Refuse what only a sweep would meet, and what does not fit the problem."""
        parameters = Parameters.model_validate(self._parameters)
        if "sweep" in (run_params.get("pipeline_names") or ()):
            parameters.refuse_impossible_space()
        if not set(OF_NO_EXPERIMENT) & set(run_params.get("pipeline_names") or ()):
            refuse_misfit(parameters)


class ArtefactHooks:
    """Refuses to begin where an earlier stage has left nothing to go on with."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Look for what other pipelines make. What no node makes comes from the hooks, and may be absent."""
        refuse_missing(pipeline.inputs(), catalog)


def refuse_missing(names: Iterable[str], catalog: CatalogProtocol) -> None:
    """Name the first artefact that some pipeline makes and that is not there, and the pipeline."""
    artefacts = {name for name in names if not is_parameter(name)}
    missing = {name for name in artefacts if not catalog.exists(name)}
    for maker in pipelines if missing else ():
        for name in sorted(missing & pipelines[maker].all_outputs()):
            remedy = f"run --pipeline={maker} with the same --params first, or --pipeline=full"
            raise InputError(f"{name} = missing: must be there before this begins; {remedy}")


BESIDE = ("baselines", "ablation", "fast", "sweep")
"""Pipelines that work in an experiment's folder beside its stages."""


class LockHooks:
    """Lets one process at a time run the stages of an experiment."""

    _held = threading.local()
    """What a thread has locked; it runs one pipeline at a time, so an earlier one was interrupted, as in a notebook."""

    def __init__(self) -> None:
        self._lock: ExperimentLock | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember whose folder is to be locked."""
        assert isinstance(context.config_loader, ExperimentLoader)
        self._name = context.config_loader.folder()
        self._folder = Path(context.config_loader.data_root()) / "06_models" / self._name

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Take the lock, or say who has it."""
        if earlier := getattr(self._held, "lock", None):
            earlier.release()
        if any({*STAGES, *BESIDE} & node.tags for node in pipeline.nodes):
            self._lock = ExperimentLock(self._folder, self._name)
            self._lock.acquire()
            self._held.lock = self._lock

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Give it back."""
        self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Give it back."""
        self._release()

    def _release(self) -> None:
        if self._lock:
            self._lock.release()
        self._lock = None


class ComputeHooks:
    """Gives the numerical libraries their threads."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the section that decides."""
        self._compute: Tree = context.config_loader["parameters"]["compute"]

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Set the threads and say where the networks will run."""
        import torch

        from universal_simulator.compute.device import refuse_too_many, threads, use_threads

        if self._compute["device"] == "cuda" and not torch.cuda.is_available():
            raise InputError("compute.device = cuda: this machine must offer a CUDA GPU; set compute.device=auto")
        refuse_too_many(self._compute["device"], self._compute["processes"])
        use_threads(threads(self._compute["threads"]))
        log.info("Device: %s", provenance.device_name(self._compute["device"]))
        logging.getLogger("py.warnings").setLevel(logging.WARNING)  # silenced while libraries are imported
