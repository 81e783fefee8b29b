"""Every command of Makefile, README and the page of commands works from a shell in which no environment was ever activated."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from markdown_it import MarkdownIt
from mlflow import MlflowClient

from browsing import needs_browser, opened, serving
from universal_simulator.cli import _check, mlflow, run
from universal_simulator.shell.command_line import place_of_runs

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PLAIN = "/usr/local/bin:/usr/bin:/bin"
"""A PATH without the environment."""
PAGES = [(PROJECT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/commands.md")]
TARGETS = re.findall(r"^([a-z]+):.*##", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def commands(text: str) -> list[str]:
    """Return what a reader is told to type: code in sentences and tables, and the lines of blocks in no language."""
    parts = MarkdownIt("commonmark").enable("table").parse(text)
    blocks = [part.content for part in parts if part.type == "fence" and not part.info]
    lines = [line.partition(" # ")[0].strip() for block in blocks for line in block.splitlines()]
    spans = [inner.content for part in parts for inner in part.children or () if inner.type == "code_inline"]
    called = [span for span in spans if re.search(r"\b(kedro|python|mlflow|pytest|pip) ", span)]
    return [typed for line in lines for typed in line.split(" && ") if typed] + called


TYPED = list(dict.fromkeys(command for page in PAGES for command in commands(page)))


def program(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables that a command sets, and its words."""
    words = shlex.split(command)
    count = next(number for number, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


def test_there_are_commands_to_try():
    assert len([command for command in TYPED if "kedro run" in command]) > 8
    assert {"run", "test", "lint", "ui", "viz"} <= set(TARGETS)


@pytest.mark.parametrize("command", TYPED)
def test_a_line_of_the_pages_names_a_program_that_any_shell_finds(command):
    variables, (first, *_) = program(command)
    path = variables.get("PATH", "$PATH").replace("$PWD/.venv/bin", str(BIN)).replace("$PATH", PLAIN)
    if first.startswith(".venv/bin/"):
        assert (BIN / first.removeprefix(".venv/bin/")).exists()
    else:
        assert first in ("make", "python3") or shutil.which(first, path=path)


@pytest.mark.parametrize(
    "command", [command for command in TYPED if "kedro run" in command and "--help" not in command]
)
def test_a_line_of_the_pages_is_a_run_that_would_begin(command):
    configure_project("universal_simulator")
    _, (_, _, *arguments) = program(command)
    options = run.make_context("run", arguments).params
    _check(options.pop("params"), options.pop("pipelines"), options)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_of_the_makefile_calls_programs_that_any_shell_finds(target):
    told = subprocess.run(
        ["make", "-n", "-o", ".venv/installed", "-o", ".venv/developing", f"BIN={BIN}", target],
        cwd=PROJECT, env={"PATH": PLAIN}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    programs = [shlex.split(line)[0] for line in told.splitlines() if line.strip()]
    assert programs
    assert [name for name in programs if shutil.which(name, path=PLAIN) is None] == []


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a data folder in whose store one run lies."""
    data = tmp_path_factory.mktemp("data")
    (data / "mlflow").mkdir()
    client = MlflowClient(f"sqlite:///{data}/mlflow/mlflow.db")
    experiment = client.create_experiment("universal_simulator", artifact_location=str(data / "mlflow/artifacts"))
    client.create_run(experiment, run_name="golden seed 17")
    return data


def test_the_address_of_the_runs_asks_for_runs_and_not_for_language_models(store, tmp_path):
    known = f"sqlite:///{store}/mlflow/mlflow.db"
    assert place_of_runs(known, "universal_simulator") == "/#/experiments/1/runs?workflowType=machine_learning"
    assert place_of_runs(known, "of nobody") == "/#/experiments?workflowType=machine_learning"


def test_the_address_is_said_and_the_plugin_s_command_finds_mlflow(store, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(store))
    monkeypatch.setenv("PATH", PLAIN)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    configure_project("universal_simulator")
    called = []
    monkeypatch.setattr("subprocess.call", lambda words: called.append(shutil.which(words[0])))
    told = CliRunner().invoke(mlflow, ["ui", "--port", "5123"], catch_exceptions=False).output
    assert "The runs: http://127.0.0.1:5123/#/experiments/1/runs?workflowType=machine_learning\n" in told
    assert called == [str(BIN / "mlflow")]


def test_the_plugin_s_module_is_whole_for_whoever_asks_it_for_something():
    code = (
        "import sys, universal_simulator.settings; import kedro_mlflow.framework.cli.cli as late;"
        "print('mlflow' in sys.modules, late.commands.name, late.TEMPLATE_FOLDER_PATH.name, 'mlflow' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split("\n")[-2] == "False mlflow_plugin project True"


@pytest.mark.slow
@needs_browser[0]
@needs_browser[1]
def test_mlflow_opens_on_the_runs(store, tmp_path):
    given = {"UNIVERSAL_SIMULATOR_DATA": str(store), "PATH": PLAIN}
    with serving(str(BIN / "kedro"), "mlflow", "ui", "--port", "{port}", ready="/health", **given) as address:
        place = place_of_runs(f"sqlite:///{store}/mlflow/mlflow.db", "universal_simulator")
        opened(tmp_path, address + place, "golden seed 17")
