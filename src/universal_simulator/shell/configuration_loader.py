"""Parameters by name: ``--params=sota_v1,operator.training.epochs=3`` becomes one checked tree.

Four layers, each laid over the one before it: ``conf/base/parameters.yml``, the environment's ``parameters.yml``, the
named experiments ``conf/<base or environment>/experiments/<name>.yml`` in the order given, and single overrides. The
result is validated as a whole before anything reads a part of it. An experiment's file may begin with
``extends: <another>`` and then holds only what differs from that one.

The names travel under the key ``experiment`` and overrides may be dotted, so every entrance to Kedro understands them:
``KedroSession.create(runtime_params={"experiment": "sota_v1", "operator.training.epochs": 3})``. The key ``from_run``
instead of ``experiment`` takes all parameters from a run that MLflow knows.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError
from pydantic import ValidationError
from yaml import YAMLError

from universal_simulator.configuration import Parameters, semantic_only
from universal_simulator.support.errors import InputError
from universal_simulator.support.refusals import explain, parameter_paths, suggestion

Tree = dict[str, Any]

DEFAULT_EXPERIMENT = "golden"
DATA_VARIABLE = "UNIVERSAL_SIMULATOR_DATA"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"


def overlay(lower: Tree, upper: Tree) -> Tree:
    """Lay ``upper`` over ``lower``, section by section.

    A section that names another ``kind`` replaces the lower one entirely: its keys have another meaning.
    """
    if "kind" in lower and upper.get("kind", lower["kind"]) != lower["kind"]:
        return upper
    merged = dict(lower)
    for key, value in upper.items():
        below = lower.get(key)
        both_sections = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = overlay(below, value) if both_sections else value  # type: ignore[arg-type]
    return merged


def nest(overrides: Mapping[str, Any]) -> Tree:
    """Turn dotted keys into sections: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``."""

    def section(path: str, value: Any) -> Tree:
        return reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value)

    return reduce(overlay, (section(str(path), value) for path, value in overrides.items()), {})


def select(tree: Tree, path: str) -> Any:
    """Return the value at a dotted path."""
    return reduce(lambda section, key: section[key], path.split("."), tree)


def fingerprint(parameters: Tree, *paths: str) -> str:
    """Name the content of some parameter sections: 8 hex digits that change when any value in them does."""
    sections = semantic_only({path: select(parameters, path) for path in paths})
    content = json.dumps(sections, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:8]


class ExperimentLoader(OmegaConfigLoader):
    """Kedro's loader, with experiments by name, validation, and the resolvers that the catalog uses."""

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        given = dict(runtime_params or {})
        self.from_run = str(given.pop("from_run", None) or "")
        names = given.pop("experiment", None)
        if self.from_run and isinstance(names, str | list):
            raise InputError(f"from_run = {self.from_run}: must stand without an experiment; drop {names}")
        if isinstance(names, dict):  # a section with that name, not names of experiments
            given["experiment"], names = names, None
        names = names.split(",") if isinstance(names, str) else names
        self.names = [str(name).strip() for name in names or [DEFAULT_EXPERIMENT]]
        patterns = {"defaults": ["parameters*", "parameters*/**", "**/parameters*"], "mlflow": ["mlflow*"]}
        super().__init__(
            conf_source, env, nest(given), config_patterns=patterns, merge_strategy={"defaults": "soft"}, **options
        )

    def __getitem__(self, key: str) -> Tree:
        """Load one kind of configuration; ``parameters`` come merged and validated."""
        self._register_resolvers()
        try:
            if key == "parameters" and key not in self:
                self[key] = self._load_parameters()
            return super().__getitem__(key)
        except InterpolationResolutionError as error:  # OmegaConf wraps what a resolver of ours refuses
            if refused := re.search(r"InputError raised while resolving interpolation: (.+)", str(error)):
                raise InputError(refused[1]) from error
            raise

    def experiments(self) -> dict[str, Tree]:
        """Return every named set of parameters, as its files state it."""
        return {name: self._read_experiment(name) for name in self._files()}

    def complete(self, name: str) -> Tree:
        """Return all parameters of an experiment, without this run's own overrides."""
        return self._merged([name], {})

    def folder(self) -> str:
        """Return the experiment's folder; results of weights that it did not train lie apart."""
        parameters = self["parameters"]
        return str(parameters["experiment"]["name"]) + ("" if parameters["weights"] == "trained" else "-shipped")

    def _load_parameters(self) -> Tree:
        if self.from_run:
            from universal_simulator.tracking.recorded_runs import recorded_parameters

            recorded = recorded_parameters(self.from_run, self._tracking_uri(), Path(self.data_root()).parent)
            return self._validated([recorded, self.runtime_params])
        return self._merged(self.names, self.runtime_params)

    def _merged(self, names: list[str], overrides: Tree) -> Tree:
        """Lay the named sets and the overrides over the defaults, and validate the whole."""
        named = nest({"experiment.name": "-".join(names)})
        return self._validated([*map(self._read_experiment, names), named, overrides])

    def _validated(self, layers: list[Tree]) -> Tree:
        if "defaults" not in self:
            self["defaults"] = super().__getitem__("defaults")
        defaults = super().__getitem__("defaults")
        tree = reduce(overlay, layers, defaults)
        try:
            return Parameters.model_validate(tree).model_dump(mode="json")
        except ValidationError as error:
            raise InputError(explain(error, Parameters, defaults)) from error

    def _files(self) -> dict[str, list[str]]:
        """Find the experiments' files by name: base first, then the environment's."""
        found: dict[str, list[str]] = {}
        for env in dict.fromkeys((self.base_env, self.env or self.default_run_env)):
            for path in sorted(self._fs.glob(Path(f"{self._get_conf_env_path(env)}/experiments/*.yml").as_posix())):
                found.setdefault(Path(path).stem, []).append(path)
        return found

    def _read_experiment(self, name: str, heirs: tuple[str, ...] = ()) -> Tree:
        """Read a set of parameters, laid over the one that it ``extends``."""
        files = self._files()
        if name not in files:
            raise InputError(_unknown_experiment(name, list(files)))
        empty: Tree = {}
        tree = reduce(overlay, map(self._read_file, files[name]), empty)
        parent = tree.pop("extends", None)
        if parent in (name, *heirs):
            raise InputError(f"extends = {parent}: must not lead back to {name}; change {files[name][-1]}")
        return overlay(self._read_experiment(parent, (name, *heirs)), tree) if parent else tree

    def _read_file(self, path: str) -> Tree:
        try:
            with self._fs.open(path) as file:
                content = OmegaConf.to_container(OmegaConf.load(io.StringIO(file.read().decode())), resolve=True)
        except YAMLError as error:
            raise InputError(f"{path}: must be valid YAML; {' '.join(str(error).split())}") from error
        if not isinstance(content, dict):
            raise InputError(f"{path}: must hold `section: value` pairs; see conf/base/parameters.yml for the names")
        return nest({str(key): value for key, value in content.items()})

    # --- resolvers: process-wide in OmegaConf, so each loader takes them over before it reads -------------------------
    def _register_resolvers(self) -> None:
        resolvers: dict[str, Callable[..., Any]] = {
            "data_root": self.data_root,
            "tracking_uri": self._tracking_uri,
            "artifact_location": self._artifact_location,
            "environment": environment_variable,
            "params": lambda path: select(self["parameters"], path),
            "experiment": self.folder,
            "resume": self._resume,
            "fingerprint": lambda *paths: fingerprint(self["parameters"], *paths),
        }
        for name, resolver in resolvers.items():
            OmegaConf.register_new_resolver(name, resolver, replace=True)

    def _resume(self) -> bool:
        """Return whether earlier trainings may be gone on with."""
        return self["parameters"]["resume"] and not self["parameters"]["force"]

    def data_root(self) -> str:
        """Return the absolute folder of all artefacts: ``data`` beside ``conf``, or where the environment says."""
        source = Path(self.conf_source)
        project = source.parent if source.is_dir() else Path.cwd()
        return str((project / os.environ.get(DATA_VARIABLE, "data")).absolute())

    def _tracking_uri(self) -> str:
        return os.environ.get(TRACKING_VARIABLE) or f"sqlite:///{self.data_root()}/mlflow/mlflow.db"

    def _artifact_location(self) -> str | None:
        """Beside the local store; a server has its own place."""
        return None if os.environ.get(TRACKING_VARIABLE) else f"{self.data_root()}/mlflow/artifacts"


def environment_variable(name: str) -> str:
    """Return what must be set."""
    if value := os.environ.get(name):
        return value
    raise InputError(f"{name} = unset: must be set in the environment; export {name}=… (docs/deploy.md has an example)")


def _unknown_experiment(name: str, known: list[str]) -> str:
    if name in parameter_paths(Parameters):
        return f"params = {name}: a parameter needs a value; write {name}=VALUE"
    return f"experiment = {name}: no such experiment; {suggestion(name, known)}known are {', '.join(sorted(known))}"
