"""Parameters by name: ``--params=sota_v1,operator.training.epochs=3`` becomes one checked tree.

Four layers, each laid over the one before it: ``conf/base/parameters.yml``, the environment's ``parameters.yml``, the
named experiments ``conf/<base or environment>/experiments/<name>.yml`` in the order given, and single overrides. The
result is validated as a whole before anything reads a part of it. An experiment's file may begin with
``extends: <another>`` and then holds only what differs from that one.

The names travel under the key ``experiment`` and overrides may be dotted, so every entrance to Kedro understands them:
``KedroSession.create(runtime_params={"experiment": "sota_v1", "operator.training.epochs": 3})``. The key ``from_run``
instead of ``experiment`` takes all parameters from a run that MLflow knows.
"""

import glob
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from universal_simulator.configuration import Parameters, Score, semantic_only
from universal_simulator.configuration.tree import Tree, nest, overlay
from universal_simulator.pipeline_registry import OF_NO_EXPERIMENT
from universal_simulator.support import files as places
from universal_simulator.support.errors import InputError, explain, parameter_paths, suggestion
from universal_simulator.support.files import read_mapping

DEFAULT_EXPERIMENT = "golden"
ENDINGS = (".yml", ".yaml", ".json")
"""Of configuration files, in capitals too."""
RESERVED = (*OF_NO_EXPERIMENT, "predictions")
BORROWED = "-shipped"
"""Folders beside those of the experiments, and what the folder of an experiment with weights of others ends with."""

_reading = threading.RLock()
"""OmegaConf's resolvers are the process's: of two loaders one reads at a time."""


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
        names = names if isinstance(names, list | tuple | None) else str(names).split(",")
        patterns = {"defaults": ["parameters*", "parameters*/**", "**/parameters*"], "mlflow": ["mlflow*"]}
        super().__init__(
            conf_source, env, nest(given), config_patterns=patterns, merge_strategy={"defaults": "soft"}, **options
        )
        self.names = [str(name).strip() for name in names or [self._usual_experiment()]]

    def _usual_experiment(self) -> str:
        """Return the one that has a problem's name, which fits its grid; else the one that others are compared with."""
        problem = str((self.runtime_params or {}).get("problem"))
        return problem if problem in self._files() else DEFAULT_EXPERIMENT

    def __getitem__(self, key: str) -> Tree:
        """Load one kind of configuration; ``parameters`` come merged and validated."""
        with _reading:
            self._register_resolvers()
            try:
                if key == "parameters" and key not in self:
                    self[key] = self._load_parameters()
                return super().__getitem__(key)
            except OmegaConfBaseException as error:
                raise _unresolved(f"{key} in {self.conf_source}", error) from error

    def _read_dir_configs(
        self,
        conf_path: str,
        patterns: Iterable[str],
        key: str,
        processed_files: set,
        read_environment_variables: Any = False,
    ) -> dict[Path, DictConfig]:
        """Read the files of one kind and environment by our one reader; Kedro's ends in a traceback."""
        if not self._fs.isdir(Path(conf_path).as_posix()):
            raise MissingConfigException(f"{conf_path} must be a folder")
        here = Path(glob.escape(conf_path)).as_posix()
        found = {Path(each) for pattern in patterns for each in self._fs.glob(f"{here}/{pattern}")}
        files = {
            path: OmegaConf.create(self._read(path))
            for path in sorted(found)
            if self._is_valid_config_path(path) and not self._is_hidden(str(path))
        }
        processed_files.update(files)
        for config in files.values() if read_environment_variables else ():
            self._resolve_environment_variables(config)
        try:
            self._check_duplicates(key, files)
        except ValueError as error:
            raise InputError(f"{str(error).splitlines()[0]}: must stand once; drop one") from error
        return files

    def _is_valid_config_path(self, path: Path) -> bool:
        return path.suffix.lower() in ENDINGS and self._fs.isfile(path.as_posix())

    def experiments(self) -> dict[str, Tree]:
        """Return every named set of parameters, as its files state it."""
        return {name: self._read_experiment(name) for name in self._files()}

    def complete(self, name: str) -> Tree:
        """Return all parameters of an experiment, without this run's own overrides."""
        return self._merged([name], {})

    def folder(self) -> str:
        """Return the experiment's folder; results of weights that it did not train lie apart."""
        parameters = self["parameters"]
        return str(parameters["experiment"]["name"]) + ("" if parameters["weights"] == "trained" else BORROWED)

    def _load_parameters(self) -> Tree:
        if self.from_run:
            from universal_simulator.tracking.store import recorded_parameters

            recorded = recorded_parameters(self.from_run, self._tracking_uri())
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
            parameters = Parameters.model_validate(tree)
        except ValidationError as error:
            raise InputError(explain(error, Parameters, defaults)) from error
        name = parameters.experiment.name
        if name.lower() in RESERVED or name.endswith(BORROWED):
            raise InputError(
                f"experiment.name = {name}: must not be {', '.join(RESERVED)} or end with {BORROWED}, whose folders "
                "hold other results; choose another with experiment.name=NAME"
            )
        return parameters.model_dump(mode="json")

    def _files(self) -> dict[str, list[str]]:
        """Find the experiments' files by name: base first, then the environment's."""
        found: dict[str, list[str]] = {}
        for env in dict.fromkeys((self.base_env, self.env or self.default_run_env)):
            here = Path(glob.escape(self._get_conf_env_path(env))).as_posix()
            files = [
                path for path in sorted(self._fs.glob(f"{here}/experiments/*")) if Path(path).suffix.lower() in ENDINGS
            ]
            for path, after in pairwise(files):
                if Path(path).stem == Path(after).stem:
                    raise InputError(f"{path}: must be the experiment's one file, and {after} is another; drop one")
            for path in files:
                found.setdefault(Path(path).stem, []).append(path)
        return found

    def _read_experiment(self, name: str, heirs: tuple[str, ...] = ()) -> Tree:
        """Read a set of parameters, laid over the one that it ``extends``."""
        files = self._files()
        if not files:
            raise InputError(
                f"{self.conf_source}: must hold base/experiments; stand in the project's folder, or give --conf-source"
            )
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
            content = OmegaConf.to_container(OmegaConf.create(self._read(Path(path))), resolve=True)
        except OmegaConfBaseException as error:
            raise _unresolved(path, error) from error
        assert isinstance(content, dict)
        return nest({str(key): value for key, value in content.items()})

    def _read(self, path: Path) -> Tree:
        """Return a file's content as it is written."""
        try:
            with self._fs.open(path.as_posix()) as file:
                return read_mapping(file.read(), str(path))
        except OSError as error:
            raise InputError(f"{path}: must be a file that can be read ({error.strerror}); correct it") from error

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
            "audited": self._audited,
            "scored": lambda: Score.model_validate(self["parameters"]["score"]).title,
            "fingerprint": lambda *paths: fingerprint(self["parameters"], *paths),
        }
        for name, resolver in resolvers.items():
            OmegaConf.register_new_resolver(name, resolver, replace=True)

    def _resume(self) -> bool:
        """Return whether earlier trainings may be gone on with."""
        return self["parameters"]["resume"] and not self["parameters"]["force"]

    def _audited(self) -> str:
        """Return the folder's name for what is audited: the file's without its ending, or the folder's."""
        path = Path(self["parameters"]["audit"]["input"] or "nothing").expanduser().resolve()
        name = path.stem if path.suffix.lower() in (".hdf5", ".h5") else path.name
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".") or "nothing"

    def _project(self) -> Path:
        source = Path(self.conf_source)
        return source.parent if source.is_dir() else Path.cwd()

    def data_root(self) -> str:
        """Return the absolute folder of all artefacts: ``data`` beside ``conf``, or where the environment says."""
        return str(places.data_root(self._project()))

    def _tracking_uri(self) -> str:
        return places.tracking_address(self._project())

    def _artifact_location(self) -> str | None:
        """Beside a local store; a server has its own place."""
        store = places.store_file(self._tracking_uri())
        return (store.parent / "artifacts").as_uri() if store else None


def _unresolved(where: str, error: OmegaConfBaseException) -> InputError:
    """Return what a resolver of ours has refused, which OmegaConf wraps, or what it refuses itself."""
    reason = " ".join(str(error).split())
    if refused := re.search(r"InputError raised while resolving interpolation: (.+?)(?: full_key: .*)?$", reason):
        return InputError(refused[1])
    return InputError(f"{where}: must hold values that can be resolved ({reason[:300]}); correct it")


def environment_variable(name: str) -> str:
    """Return what must be set."""
    if value := os.environ.get(name):
        return value
    raise InputError(f"{name} = unset: must be set in the environment; export {name}=… (docs/deploy.md has an example)")


def _unknown_experiment(name: str, known: list[str]) -> str:
    if name in parameter_paths(Parameters):
        return f"params = {name}: a parameter needs a value; write {name}=VALUE"
    guess = suggestion(name, known) or "a list of values must stand in brackets, key=[a,b]; "
    return f"experiment = {name}: no such experiment; {guess}known are {', '.join(sorted(known))}"
