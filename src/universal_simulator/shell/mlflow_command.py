"""``kedro mlflow``: the plugin's commands, imported when one is typed, and working where nothing is activated.

The plugin's module imports mlflow, which takes seconds, and Kedro imports every plugin before it reads what was typed.
So a stand-in lies in its place until somebody asks it for something.
"""

import os
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from kedro.framework.project import settings
from kedro.utils import find_kedro_project

from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.tracking.provenance import without_credentials
from universal_simulator.tracking.store import make, reachable

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
