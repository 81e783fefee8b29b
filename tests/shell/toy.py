"""The real shell around three toy stages, as a command: ``python toy.py --params=…``."""

import os
import signal
import sys
import time
from pathlib import Path

from kedro.framework.project import configure_project, pipelines
from kedro.pipeline import Pipeline, node

from universal_simulator.cli import run
from universal_simulator.support.errors import InputError


def score(seed: int) -> dict[str, float]:
    """Pretend to evaluate, then do as the environment says."""
    match os.environ.get("TOY_DOES"):
        case "refuse":
            raise InputError("shock = 3: must be resolved; take more points")
        case "fail":
            raise RuntimeError("a bug of ours")
        case "interrupt":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # `nohup`, `&` and pytest-xdist have it ignored
            os.kill(os.getpid(), signal.SIGINT)
        case "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        case "vanish":
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return {"rollout/deterministic/nrmse": 0.5 + seed}


def write_report(scores: dict[str, float]) -> str:
    """Pretend to report."""
    return f"<p>{scores}"


def register_pipelines() -> dict[str, Pipeline]:
    """Two stages, and both."""
    evaluation = Pipeline([node(score, "params:seed", "scores", tags="evaluation")])
    reporting = Pipeline([node(write_report, "scores", "report", tags="reporting")])
    full = evaluation + reporting
    return {"evaluation": evaluation, "reporting": reporting, "full": full, "__default__": full}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    configure_project("universal_simulator")
    pipelines.configure("toy")
    run.main(prog_name="kedro run")
