"""Run what is stale, as ``make`` does: a node whose code, parameters and inputs are as before is not run again.

Beside every artefact lies a hidden stamp, ``.<name>.made``: what it was made from, and a digest of what was made. So an
artefact that was damaged or changed since is noticed, named, and made again.
"""

import hashlib
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

from kedro import runner
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner.task import Task
from pluggy import PluginManager
from pydantic_core import to_jsonable_python

from universal_simulator.catalog.networks import digest
from universal_simulator.configuration import Compute, semantic_only
from universal_simulator.pipeline_registry import plain_name
from universal_simulator.processes.job import is_in_memory, is_parameter
from universal_simulator.processes.team import Team
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace
from universal_simulator.support.fingerprints import code_behind, reaches

log = logging.getLogger(__name__)

PROBLEMS = "universal_simulator.problems"
"""The package whose modules are found by the name of the problem."""
RECORDS = ("timings", "provenance", "estimates")
"""Written by the hooks around a run: they tell how it went, and nothing is made from them."""


class SequentialRunner(runner.SequentialRunner):
    """Kedro's sequential runner, which leaves out what is there already."""

    def __str__(self) -> str:
        """Name Kedro's runner: Kedro-Viz keeps the status of nodes where it reads this name."""
        kind = runner.SequentialRunner
        return f"<{kind.__module__}.{kind.__name__} object that leaves out what is there already>"

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol,
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        """Decide on every node when its turn comes: then all it needs is there."""
        assert hook_manager is not None
        artefacts = Artefacts(catalog, pipeline)
        artefacts.refuse_damaged()
        makers = {name: node for node in pipeline.nodes for name in node.outputs}
        waiting: dict[str, Node] = {}
        kept: list[Node] = []
        made: list[Node] = []

        def execute(node: Node) -> None:
            for name in node.inputs:
                if name in waiting:
                    execute(waiting.pop(name))
            done_by = team.instead(node, catalog, makers) if team.shares(node) else node
            Task(node=done_by, catalog=catalog, hook_manager=hook_manager, is_async=False, run_id=run_id).execute()
            if artefacts.stamp(node):
                made.append(node)

        with Team(artefacts.compute()) as team:
            for node in pipeline.nodes:
                if artefacts.is_current(node):
                    kept.append(node)
                    artefacts.announce(node, hook_manager)
                elif node.outputs and artefacts.is_passing(node):
                    waiting |= dict.fromkeys(node.outputs, node)  # run when, and if, somebody needs it
                else:
                    execute(node)
        if kept:
            names = ", ".join(plain_name(node).replace("_", " ") for node in kept)
            log.info("There already, of the same parameters, inputs and code: %s", names)
        if kept and not made:
            log.info("Finished before, and nothing it depends on has changed; force=true makes everything again")


class Artefacts:
    """The datasets of a pipeline, and what they are made from."""

    def __init__(self, catalog: CatalogProtocol, pipeline: Pipeline) -> None:
        self._catalog, self._pipeline = catalog, pipeline
        self._force = "params:force" in catalog and bool(catalog.load("params:force"))
        self._keys: dict[str, str | None] = {}
        """Of what passes in memory: the key of the node that makes it."""

    def compute(self) -> Compute:
        """Return where the pipeline is to run."""
        return (
            Compute.model_validate(self._catalog.load("params:compute"))
            if "params:compute" in self._catalog
            else Compute()
        )

    def is_passing(self, node: Node) -> bool:
        """Tell whether all that a node makes, if anything, is gone when the process ends."""
        return all(is_in_memory(name, self._catalog) for name in node.outputs)

    def is_current(self, node: Node) -> bool:
        """Tell whether all that a node makes is there, whole, and made from what it would be made from now."""
        key = self._key(node)
        passing = [name for name in node.outputs if is_in_memory(name, self._catalog)]
        self._keys |= dict.fromkeys(passing, key)
        if key is None or self._force or not node.outputs or passing:
            return False
        good = [self._is_good(name, key) for name in node.outputs]  # every damage is to be told
        return all(good)

    def stamp(self, node: Node) -> bool:
        """Write down what a node's artefacts were made from; return whether there was anything to write down."""
        key, stamped = self._key(node), False
        for path in [self._path(name) for name in node.outputs] if key else []:
            if path and (content := digest(path)):
                text = json.dumps({"node": node.name, "key": key, "content": content})
                replace(_stamp(path), partial(_write, text))
                stamped = True
        return stamped

    def announce(self, node: Node, hooks: PluginManager) -> None:
        """Tell the hooks of artefacts that the run's record keeps, as if they had just been saved."""
        for name in node.outputs:
            if "mlflow" in (self._entry(name).get("metadata") or {}):
                hooks.hook.after_dataset_saved(dataset_name=name, data=self._catalog.load(name), node=node)

    def refuse_damaged(self) -> None:
        """Refuse to build on what other pipelines made and something has changed since."""
        ours = {self._path(name) for name in self._pipeline.all_outputs()}
        for name in sorted(self._pipeline.inputs()):
            path = self._path(name)
            known = _read(_stamp(path)) if path and path not in ours else {}
            if known and path and digest(path) not in (None, known.get("content")):
                raise InputError(
                    f"{name} = {path} must be as it was made, but is damaged or changed; run the pipeline that makes "
                    "it, or --pipeline=full, with the same --params"
                )

    def _is_good(self, name: str, key: str) -> bool:
        path = self._path(name)
        known = _read(_stamp(path)) if path else {}
        if not path or known.get("key") != key:
            return False
        if digest(path) == known.get("content"):
            return True
        log.warning("%s = %s is damaged, changed or gone since it was made: it is made again", name, path)
        return False

    def _key(self, node: Node) -> str | None:
        """Name what a node works with; None where that cannot be known."""
        own = {self._path(name) for name in node.outputs} - {None}
        parts: list[Any] = [plain_name(node), self._code(node)]
        for name in node.inputs:
            if name in RECORDS or self._path(name) in own:  # its own earlier state
                continue
            content = self._content(name)
            if content is None:
                return None
            parts.append([name, content])
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _code(self, node: Node) -> str:
        """Name the code of a node, of what its parameters name, and of the problem where it can ask for one."""
        module = getattr(node.func, "__module__", "")
        named = {name.rpartition(".")[2].removeprefix("params:"): self._catalog.load(name) for name in node.inputs
                 if is_parameter(name) and name != "parameters"}  # fmt: skip
        if "params:problem" in self._catalog and reaches(module, PROBLEMS):
            named["problem"] = self._catalog.load("params:problem")
        return code_behind(module, _plain(named))

    def _content(self, name: str) -> Any:
        if is_parameter(name):
            return _plain(self._catalog.load(name))
        if name in self._keys:
            return self._keys[name]
        if named := getattr(self._catalog.get(name), "fingerprint", None):
            return named()
        path = self._path(name)
        return digest(path) if path else None

    def _path(self, name: str) -> Path | None:
        """Return where an artefact of ours lies; None for parameters, memory, raw files and servers."""
        entry = self._entry(name)
        place = entry.get("filepath") or entry.get("path")
        if not place or "://" in str(place) or "RawStore" in str(entry.get("type")):
            return None
        return Path(place)

    def _entry(self, name: str) -> dict[str, Any]:
        return self._catalog.config_resolver.resolve_pattern(name) if name in self._catalog else {}  # type: ignore[attr-defined]


def _plain(value: Any) -> Any:
    plain = to_jsonable_python(value)
    return semantic_only(plain) if isinstance(plain, dict) else plain


def _write(text: str, path: Path) -> None:
    path.write_text(text)


def _stamp(path: Path) -> Path:
    return path.with_name(f".{path.name}.made")


def _read(stamp: Path) -> dict[str, str]:
    try:
        return dict(json.loads(stamp.read_text()))
    except (OSError, ValueError, TypeError):
        return {}
