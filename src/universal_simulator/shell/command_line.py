"""What is typed beside a command of Kedro's: ``--params`` and ``--config``, and ``kedro mlflow``.

What is typed: ``--params``, and the file of ``--config``, which is another place for the same.

``kedro mlflow``: the plugin's commands, imported when one is typed, and working where nothing is activated.

The plugin's module imports mlflow, which takes seconds, and Kedro imports every plugin before it reads what was typed.
So a stand-in lies in its place until somebody asks it for something.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from kedro.framework.project import settings
from kedro.utils import find_kedro_project

from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.support.errors import InputError, suggestion
from universal_simulator.support.files import read_mapping, read_value, read_word
from universal_simulator.tracking.provenance import without_credentials
from universal_simulator.tracking.store import make, reachable

OPEN, CLOSE, QUOTES, BEFORE_QUOTE = "[{(", "]})", "'\"", "=[{(,: "
CONFIG_SECTION = "run"


def parse_params(text: str) -> dict[str, Any]:
    """Read ``name,name,key.path=value,…``: bare words name experiments, values are YAML.

    A comma inside brackets, braces or quotes belongs to the value.
    """
    params: dict[str, Any] = {}
    names: list[str] = []
    before = ""
    for item in _items(text):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            names.append(_name(item, before))
        elif not key:
            raise InputError(f"params = {item}: a parameter needs a name before the '='; write name=value")
        elif key in ("experiment", "from_run") and not value:
            raise InputError(f"{key} = nothing: must have a value; write {key}=NAME, or drop it")
        elif key == "experiment":
            names += _items(value.strip("[]"))
        else:  # a run's id is of hexadecimal digits, which YAML may take for a number
            params[key] = value if key == "from_run" else read_value(key, value)
        before = item if equals else before
    return {"experiment": names, **params} if names else params


def _name(word: str, before: str) -> str:
    """Return the name of an experiment; refuse what looks like one and is a value."""
    if before and not isinstance(read_word("params", word), str):
        key, _, value = before.partition("=")
        raise InputError(f"params = {before},{word}: a list must stand in brackets; write {key}=[{value},{word}]")
    if ":" in word:
        key, _, value = word.partition(":")
        raise InputError(f"params = {word}: name and value must be joined by '='; write {key.strip()}={value.strip()}")
    return word


def _items(text: str) -> list[str]:
    """Split at the commas outside brackets, braces and quotes; a quote within a word is a letter."""
    pieces, closing, quote, last = [""], 0, "", "="
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in QUOTES and last in BEFORE_QUOTE:
            quote = letter
        else:
            closing = max(0, closing + (letter in OPEN) - (letter in CLOSE))
        if letter == "," and not closing and not quote:
            pieces.append("")
        else:
            pieces[-1] += letter
        last = letter
    return [piece.strip() for piece in pieces if piece.strip()]


def read_config(path: str, options: Mapping[str, str], flags: set[str]) -> dict[str, Any]:
    """Read the section ``run`` of a file; ``options`` has the names that may stand there, and ours for them."""
    try:
        content = read_mapping(Path(path).read_bytes(), path)
    except OSError as error:
        raise InputError(f"config = {path}: must be readable ({error.strerror}); correct it") from error
    section = content.get(CONFIG_SECTION)
    if content.keys() != {CONFIG_SECTION} or not isinstance(section, dict):
        raise InputError(f"config = {path}: must hold one section, `run:`, with the options of kedro run; correct it")
    found: dict[str, Any] = {}
    for key, value in section.items():
        name = options.get(key.replace("-", "_"))
        if name is None:
            guess = suggestion(key, options)
            raise InputError(f"{path}: run.{key}: no such option; {guess}known are {', '.join(sorted(options))}")
        if name in found:
            raise InputError(f"{path}: run.{key}: must stand once; drop its other spelling")
        found[name] = _option(path, key, value, name in flags, name)
    return found


def _option(path: str, key: str, value: Any, flag: bool, name: str) -> Any:
    """Return an option's value as if it had been typed."""
    if flag != isinstance(value, bool) or value is None:
        rule = "true or false" if flag else "a text"
        raise InputError(f"{path}: run.{key} = {value}: must be {rule}; correct it")
    if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        value = ",".join(map(str, value))
    if isinstance(value, dict | list) and not (isinstance(value, dict) and name.endswith("params")):
        raise InputError(f"{path}: run.{key} = {value}: must be a text or a list of words; correct it")
    if name in ("params", "pipelines"):  # which may be typed several times
        return [value if isinstance(value, dict) else str(value)]
    return value if flag or isinstance(value, dict) else str(value)


def merged_params(given: tuple[Any, ...]) -> dict[str, Any]:
    """Join all that was typed as ``--params``, the later winning; a file may have it as a mapping."""
    typed = parse_params(",".join(one for one in given if isinstance(one, str)))
    mappings = [one for one in given if isinstance(one, dict)]
    return {str(key): value for one in mappings for key, value in one.items()} | typed


def pipeline_names(given: tuple[str, ...]) -> list[str]:
    """Return the names of pipelines; refuse an option without any, as an unset variable makes it."""
    names = [name.strip() for one in given for name in re.split(",", one) if name.strip()]
    if given and not names:
        raise InputError("pipelines = nothing: must name a pipeline; write --pipelines=full for all of them")
    return names


PLUGIN = "kedro_mlflow.framework.cli.cli"
RUNS_FIRST = "workflowType=machine_learning"
"""In an address of MLflow's pages; without it they show what language models did, whatever the experiment's kind."""
DEFAULTS = {"host": "127.0.0.1", "port": "5000"}
"""Of the plugin."""


class StandIn(ModuleType):
    """The plugin's module, with the one name that Kedro takes from it; for any other the real one is imported."""

    commands = click.Group("mlflow_plugin")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # others look for such in every module
            raise AttributeError(name)
        return getattr(real(), name)


def put_off() -> None:
    """Keep the plugin's module from being imported until one of its commands is typed."""
    import_module(PLUGIN.rpartition(".")[0])  # which imports nothing
    sys.modules.setdefault(PLUGIN, StandIn(PLUGIN))


def real() -> ModuleType:
    """Import the plugin's module."""
    if isinstance(sys.modules.get(PLUGIN), StandIn):
        del sys.modules[PLUGIN]
    return import_module(PLUGIN)


class MlflowGroup(click.Group):
    """The plugin's own group of commands."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return their names."""
        return list(real().mlflow_commands.list_commands(context))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a command that finds ``mlflow`` beside this Python, whatever the shell's PATH."""
        places = os.environ.get("PATH", os.defpath).split(os.pathsep)
        here = str(Path(sys.executable).parent)
        if here not in places:
            os.environ["PATH"] = os.pathsep.join([here, *places])
        command: click.Command | None = real().mlflow_commands.get_command(context, name)
        if command is None or name != "ui":
            return command
        return click.Command("ui", callback=partial(_ui, command), params=command.params, help=command.help)


def _ui(command: click.Command, **options: Any) -> None:
    """Say where the runs are to be seen, then let the plugin serve them."""
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    source = str(project / settings.CONF_SOURCE)
    mlflow = ExperimentLoader(source, options["env"], {}, **settings.CONFIG_LOADER_ARGS)["mlflow"]
    uri, ui = mlflow["server"]["mlflow_tracking_uri"], mlflow.get("ui", {})
    with reachable(uri):
        make(uri)
        place = place_of_runs(uri, mlflow["tracking"]["experiment"]["name"])
    host, port = (options[name] or ui.get(name, default) for name, default in DEFAULTS.items())
    server = without_credentials(uri) if uri.startswith("http") else f"http://{host}:{port}"
    click.echo(f"The runs: {server}{place}")
    command.callback(**options)  # type: ignore[misc]


def place_of_runs(uri: str, experiment: str) -> str:
    """Return the path of the page that lists an experiment's runs; before the first run, that of all experiments."""
    from mlflow import MlflowClient

    known = MlflowClient(uri).get_experiment_by_name(experiment)
    return f"/#/experiments{f'/{known.experiment_id}/runs' if known else ''}?{RUNS_FIRST}"


mlflow = MlflowGroup("mlflow", help="Use MLflow with the project's settings: `kedro mlflow ui` shows the runs.")
