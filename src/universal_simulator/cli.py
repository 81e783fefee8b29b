"""``kedro run`` with experiments by name: Kedro's own command, with four of its options replaced.

``--params`` takes names beside ``key=value`` pairs, ``--pipelines``, ``--pipeline`` and ``-p`` are one option, and a
mistake of the user's ends in one line before any work. ``--config`` names a file that holds the same options.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from kedro.config import MissingConfigException
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines as registered
from kedro.framework.project import settings
from kedro.io import DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.utils import find_kedro_project

from universal_simulator.pipeline_registry import PIPELINES, plain_name
from universal_simulator.shell.command_line import merged_params, mlflow, parse_params, pipeline_names, read_config
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.support.errors import InputError, machine_refusal, suggestion, user_mistake

__all__ = ["cli", "parse_params", "run"]

EXAMPLES = """\b
kedro run --pipelines=full --params=sota_v1
kedro run --pipelines=full --params=sota_v1,operator.training.epochs=3
kedro run --pipelines=operator --params=golden,operator.network.depths=[2,2,2],seed=1
kedro run --pipelines=full --params=sota_v1,dry_run        (the later one wins)
kedro run --pipelines=full --params=from_run=ID            (a run in MLflow, repeated from its record)
"""


RUNNER = "universal_simulator.shell.runner.SequentialRunner"

FILTERS = {
    "tags": "tags",
    "node_names": "node_names",
    "from_nodes": "from_nodes",
    "to_nodes": "to_nodes",
    "from_inputs": "from_inputs",
    "to_outputs": "to_outputs",
    "namespaces": "node_namespaces",
}
"""Options of ``kedro run`` that choose nodes, and their names in ``Pipeline.filter``."""

NAMED_NODES = ("node_names", "from_nodes", "to_nodes")
"""Options that take the names of nodes."""


@click.group(name="universal_simulator")
def cli() -> None:
    """Commands of the project."""


class RunCommand(click.Command):
    """``kedro run``, whose help also lists the experiments."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the experiments with their purposes, if this is a project's folder, and examples."""
        with formatter.section("Experiments (--params)"):
            formatter.write_dl(_purposes())
        with formatter.section("Examples"):
            formatter.write_text(EXAMPLES)


def _params_option(_context: click.Context, _option: click.Parameter, given: Any) -> dict[str, Any]:
    with one_line_errors():
        return merged_params(given)


def _pipelines_option(_context: click.Context, _option: click.Parameter, given: Any) -> list[str]:
    with one_line_errors():
        return pipeline_names(given)


def _config_option(context: click.Context, _option: click.Parameter, path: str | None) -> str | None:
    """Take the options in a file for those that are not typed."""
    if path:
        options = [one for one in run.params if isinstance(one, click.Option) and one.name != "config"]
        spelt = {word.lstrip("-").replace("-", "_"): str(one.name) for one in options for word in [*one.opts, one.name]}
        known = {word: name for word, name in spelt.items() if len(word) > 2}
        with one_line_errors():
            context.default_map = read_config(path, known, {str(one.name) for one in options if one.is_flag})
    return path


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the command with one line and exit status 1 on a mistake of the user's; our own bugs keep their traceback."""
    try:
        yield
    except Exception as error:
        mistake = user_mistake(error) or _missing_file(error) or _odd_entry(error) or machine_refusal(error)
        if mistake is None:
            raise
        raise click.ClickException(str(mistake)) from error


def _missing_file(error: Exception) -> InputError | None:
    """Explain that an artefact of an earlier stage is not there, or return None where something else is wrong."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(error, DatasetError) and isinstance(cause, FileNotFoundError):
        name = str(error).partition(":")[0]
        return InputError(
            f"{name} = {cause.filename}: must exist; run the stages before this one, or the pipeline full"
        )
    return None


def _odd_entry(error: Exception) -> InputError | None:
    """Explain that an entry of the catalog is none, or return None where something else is wrong."""
    if isinstance(error, DatasetError) and "parsing config for dataset" in str(error):
        return InputError(f"catalog.yml: must have good entries; {' '.join(str(error).split())[:300]}: correct it")
    return None


def _loader(params: dict[str, Any], env: str | None = None, conf_source: str | None = None) -> ExperimentLoader:
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    source = conf_source or str(project / settings.CONF_SOURCE)
    return ExperimentLoader(source, env, params, **settings.CONFIG_LOADER_ARGS)


def _complete(given: list[str], nodes: list[Node]) -> list[str]:
    """Return full names of nodes: ``train_operator`` is enough, what one node alone makes, or how it alone begins."""
    known: dict[str, list[str]] = {}
    for node in nodes:
        plain = plain_name(node)
        for name in {plain, node.func.__name__, plain.partition("_")[0], *node.outputs}:
            known.setdefault(name, []).append(node.name)
    return [known[name][0] if len(known.get(name, ())) == 1 else name for name in given]


def _check(params: dict[str, Any], pipelines: list[str], options: dict[str, Any]) -> None:
    """Refuse every mistyped name or value before anything is opened or written."""
    for name in pipelines:
        if name not in PIPELINES:
            known = ", ".join(PIPELINES)
            raise InputError(f"pipeline = {name}: no such pipeline; {suggestion(name, PIPELINES)}known are {known}")
    env = options["env"] or os.environ.get("KEDRO_ENV") or None
    try:
        _loader(params, env, options["conf_source"])["parameters"]
    except MissingConfigException as error:
        raise InputError(
            f"env = {env}: its folder must exist in the configuration ({error}); stand in the project's folder, or "
            "correct --env, KEDRO_ENV or --conf-source"
        ) from error
    if any(options[option] for option in FILTERS):
        chosen = sum((registered[name] for name in pipelines or ["__default__"]), Pipeline([]))
        options |= {option: _complete(options[option], chosen.nodes) for option in NAMED_NODES}
        filters = {name: options[option] for option, name in FILTERS.items() if options[option]}
        try:
            chosen.filter(**filters)
        except ValueError as error:
            given = ", ".join(f"{name} = {','.join(value)}" for name, value in filters.items())
            reason = " ".join(str(error).split())
            raise InputError(f"{given}: must fit the pipeline; {reason} See `kedro registry describe`") from error


def _run(params: dict[str, Any], pipelines: list[str], **options: Any) -> Any:
    with one_line_errors():
        _check(params, pipelines, options)
        options["runner"] = options["runner"] or RUNNER
        try:
            return kedro_run.callback(params=params, pipeline=None, pipelines=pipelines, **options)  # type: ignore[misc]
        except KeyboardInterrupt:
            click.echo("Interrupted; the run is marked KILLED, and the same command goes on from here.", err=True)
            raise SystemExit(130) from None


def _purposes() -> list[tuple[str, str]]:
    try:
        experiments = _loader({}).experiments()
    except InputError as error:
        return [("none", str(error))]
    told = {name: tree.get("experiment") for name, tree in experiments.items()}
    purposes = [(name, str(one.get("purpose", "")) if isinstance(one, dict) else "") for name, one in told.items()]
    return purposes or [("none", "there is no conf/base/experiments here: stand in the project's folder")]


PARAMS_HELP = """Experiments by name, then single parameters: NAME[,NAME…][,key.path=value…]. Without a name: golden.
Every parameter stands in conf/base/parameters.yml; lists are written [1,2,3]."""
CONFIG_HELP = "A YAML file whose section `run` holds these options; those that are typed go before."
PIPELINES_HELP = "Names of the pipelines to run, separated by commas; full where none is given."

_replaced = {
    "params": click.Option(
        ["--params"], multiple=True, callback=_params_option, help=PARAMS_HELP, type=click.UNPROCESSED
    ),
    "pipelines": click.Option(
        ["--pipelines", "--pipeline", "-p", "pipelines"], multiple=True, callback=_pipelines_option, help=PIPELINES_HELP
    ),
    "config": click.Option(
        ["--config", "-c"], type=click.Path(exists=True, dir_okay=False, resolve_path=True), is_eager=True,
        callback=_config_option, help=CONFIG_HELP,
    ),
}  # fmt: skip
run = RunCommand(
    name="run",
    callback=_run,
    params=[_replaced.get(str(option.name), option) for option in kedro_run.params if option.name != "pipeline"],
    short_help="Run pipelines with an experiment's parameters.",
    help="Run pipelines with an experiment's parameters; every run is one run in MLflow.",
)
cli.add_command(run)
cli.add_command(mlflow)
