"""Runs of ``shell/toy.py``, each in a process of its own that begins with the libraries loaded."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
TOY = PROJECT / "tests/shell/toy.py"
LIBRARIES = [
    "kedro_mlflow.framework.hooks.mlflow_hook", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.db.utils",
    "scipy.stats", "torch", "matplotlib.figure", "pandas", "universal_simulator.processes.team",
    "universal_simulator.pipelines.estimate", "universal_simulator.reporting.curves",
]  # fmt: skip
"""What takes ten seconds of every run."""
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(LIBRARIES)


def _be(words: tuple[str, ...], environment: dict[str, str], said: tuple[str, str]) -> None:
    for stream, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(PROJECT)
    sys.argv = [str(TOY), *words]
    try:
        runpy.run_path(str(TOY), run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # as at the end of a command, which a process of multiprocessing leaves out


def run_toy(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run the toy stages with a data folder, and return what it said and how it ended."""
    given = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    given |= {"UNIVERSAL_SIMULATOR_DATA": str(folder)} | environment
    said = tuple(str(folder.with_name(f"{folder.name}.{name}")) for name in ("stdout", "stderr"))
    process = SERVER.Process(target=_be, args=(words, given, said))
    process.start()
    process.join(300)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{words} ran for more than 300 s")
    stdout, stderr = (Path(path).read_text() for path in said)
    return subprocess.CompletedProcess(words, process.exitcode, stdout, stderr)
