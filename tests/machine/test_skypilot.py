"""The task for SkyPilot: against this project's own words here, against SkyPilot's in an environment of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from universal_simulator.machine.supervision import Settings, hourly_rate_usd

PROJECT = Path(__file__).parents[2]
TASK = PROJECT / "deploy/sky.yaml"
SKYPILOT = "skypilot==0.14.1"
GIVEN = {
    "EXPERIMENT": "sota_v1",
    "HOURLY_RATE_USD": "2.5",
    "MACHINE_BUCKET": "s3://bucket/runs/sota_v1",
    "MLFLOW_TRACKING_URI": "https://mlflow.example.org",
}
KEYS = {"B2_KEY": "key", "B2_SECRET": "secret", "B2_ENDPOINT": "https://s3.example.org"}
READ = """
import json, sys, sky
config, given, keys = json.load(sys.stdin)
task = sky.Task.from_yaml_config(config, list(given.items()), list(keys.items()))
[machine] = task.resources
print(json.dumps({"gpus": machine.accelerators, "spot": machine.use_spot, "down": machine.autostop_config.down,
    "recovery": machine.job_recovery["strategy"], "envs": task.envs, "secrets": sorted(task.secrets), "run": task.run}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return what SkyPilot reads in a task; it wants an older click than Kedro's, so it has an environment of its own."""
    folder = tmp_path_factory.mktemp("skypilot")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", SKYPILOT], check=True, capture_output=True)

    def run(task: dict) -> subprocess.CompletedProcess:
        return subprocess.run(
            [python, "-c", READ],
            input=json.dumps([task, GIVEN, KEYS]),
            env=os.environ | {"HOME": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_the_task_for_skypilot_sets_only_what_a_machine_knows_and_starts_a_command_that_runs(monkeypatch):
    task = yaml.safe_load(TASK.read_text())
    known = {f"MACHINE_{name.upper()}" for name in vars(Settings())}
    assert {name for name in task["envs"] if name.startswith("MACHINE_")} <= known
    asked = GIVEN | {"CHANGES": ",operator.training.epochs=3"}
    show = (
        task["run"].replace("python -m universal_simulator.machine", "printf '%s\\n'").replace("export PATH", "unused")
    )
    assert set(re.findall(r"\$(\w+)", task["run"])) <= {
        *task["envs"],
        *task["secrets"],
        "PWD",
        "PATH",
        "name",
        "SKYPILOT_TASK_ID",
    }
    words = subprocess.run(["sh", "-c", show], env=asked, capture_output=True, text=True).stdout.splitlines()
    assert words[:2] == ["kedro", "run"]
    monkeypatch.chdir(PROJECT)
    assert hourly_rate_usd(words) == 2.5
    assert task["resources"]["use_spot"]
    assert task["resources"]["autostop"]["down"]


@pytest.mark.long
def test_skypilot_itself_reads_the_task_as_it_is_meant(read):
    done = read(yaml.safe_load(TASK.read_text()))
    assert done.returncode == 0, done.stderr
    task = json.loads(done.stdout.splitlines()[-1])
    assert (task["gpus"], task["spot"], task["down"], task["recovery"]) == ({"H100": 1}, True, True, "FAILOVER")
    assert GIVEN.items() <= task["envs"].items()
    assert set(KEYS) <= set(task["secrets"])
    assert "universal_simulator.machine kedro run --pipeline=full" in task["run"]


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"resource": {}},
        {"resources": yaml.safe_load(TASK.read_text())["resources"] | {"spot": True}},
        {"run": ["kedro"]},
    ],
    ids=["a section misspelt", "a resource misspelt", "a command that is a list"],
)
def test_skypilot_would_refuse_a_task_with(read, change):
    done = read(yaml.safe_load(TASK.read_text()) | change)
    assert done.returncode != 0
    assert re.search(r"InvalidSkyPilotConfigError: Invalid (task|resources) YAML", done.stderr)
