"""Before anything runs: good parameters, artefacts of the stages before, threads for the numerical libraries."""

import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from universal_simulator.configuration import Parameters
from universal_simulator.pipeline_registry import OF_NO_EXPERIMENT, STAGES
from universal_simulator.processes.job import is_parameter
from universal_simulator.shell.configuration_loader import ExperimentLoader, Tree
from universal_simulator.shell.fitting import refuse_misfit
from universal_simulator.shell.locking import ExperimentLock
from universal_simulator.support.errors import InputError
from universal_simulator.tracking import provenance

log = logging.getLogger(__name__)


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
