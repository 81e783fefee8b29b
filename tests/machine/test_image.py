"""The Dockerfile as `kedro docker` drives it, with a fake engine that writes down what it is asked for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOCKER = """#!/bin/sh
echo "$@" >> "$ASKED"
[ "$1" = images ] && echo 0123456789ab
exit 0
"""


@pytest.fixture
def kedro_docker(tmp_path):
    """Return the lines that the engine is asked for by ``kedro docker …``, in a copy of the project."""
    project = tmp_path / "simulator"
    shutil.copytree(PROJECT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "Dockerfile", ".dockerignore"):
        shutil.copy(PROJECT / name, project / name)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)

    def run(*words: str) -> list[str]:
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ASKED": str(tmp_path / "asked")}
        command = [sys.executable, "-m", "kedro", "docker", *words]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return (tmp_path / "asked").read_text().splitlines()

    run.project = project
    return run


def test_the_plugin_builds_our_file_with_arguments_that_it_declares(kedro_docker):
    line = kedro_docker("build", "--docker-args=--build-arg TORCH_BUILD=cu130 --build-arg GIT_COMMIT=abc")[-1]
    assert line.startswith(f"build --build-arg KEDRO_UID={os.getuid()} --build-arg KEDRO_GID=")
    assert line.endswith(
        f"-t simulator --build-arg TORCH_BUILD=cu130 --build-arg GIT_COMMIT=abc {kedro_docker.project}"
    )
    declared = set(re.findall(r"^ARG (\w+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE))
    assert set(re.findall(r"--build-arg (\w+)=", line)) <= declared
    for name in ("Dockerfile", ".dockerignore"):
        assert (kedro_docker.project / name).read_text() == (PROJECT / name).read_text()


def test_the_plugin_runs_an_experiment_with_results_on_the_host(kedro_docker):
    words = ("run", "--docker-args=--gpus=all --ipc=host", "--pipeline=full", "--params=sota_v1")
    line = kedro_docker(*words)[-1]
    assert line.endswith("--gpus=all --ipc=host simulator kedro run --pipeline=full --params=sota_v1")
    assert f"-v {kedro_docker.project}/data:/home/kedro_docker/data" in line
    assert "WORKDIR /home/kedro_docker\n" in (PROJECT / "Dockerfile").read_text()


def test_the_dockerfile_has_no_fault_that_hadolint_knows():
    hadolint = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(PROJECT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_commit_makes_the_layers_that_name_it_anew():
    """buildah 1.28 compares the values of arguments at a RUN only, and took ENV and LABEL from the cache."""
    text = (PROJECT / "Dockerfile").read_text()
    places = [text.index(words) for words in ("ARG GIT_COMMIT", "RUN pip install", "ENV UNIVERSAL_SIMULATOR_COMMIT")]
    assert places == sorted(places)


@pytest.mark.parametrize(("given", "used"), [("0", "999"), ("1000", "1000")])
def test_whoever_builds_the_user_is_not_root(given, used):
    line = next(line for line in (PROJECT / "Dockerfile").read_text().splitlines() if line.startswith("RUN uid="))
    script = line.removeprefix("RUN ").removesuffix("\\") + " echo ${uid}"
    done = subprocess.run(["sh", "-c", script], env={"KEDRO_UID": given}, capture_output=True, text=True)
    assert done.stdout.strip() == used


def test_no_key_and_no_data_enter_the_image():
    rules = (PROJECT / ".dockerignore").read_text().splitlines()
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert {"*", "conf/local"} <= set(rules)
    assert not {"data", "logs", ".git"} & set(kept)
    for source in re.findall(r"^COPY (?!--)(.+) \./$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE):
        assert set(source.split()) <= set(kept)
