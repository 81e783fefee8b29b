"""Commands of a user's, each in a process of its own that begins with the libraries loaded."""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LIBRARIES = [
    "kedro_mlflow.framework.hooks.mlflow_hook", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.db.utils",
    "kedro.framework.cli.cli", "scipy.stats", "torch", "torch._dynamo", "matplotlib.figure", "pandas",
    "universal_simulator.processes.team", "universal_simulator.pipelines.estimate",
    "universal_simulator.reporting.curves", "universal_simulator.pipelines.reporting.nodes",
]  # fmt: skip
"""What takes five to ten seconds of every command."""
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(LIBRARIES)


def run_command(
    words: list[str], environment: dict[str, str], said: Path, cwd: Path = PROJECT, seconds: float = 600
) -> subprocess.CompletedProcess:
    """Run ``python`` with these words (``-m MODULE …``, ``-c CODE …`` or ``FILE …``); return what it said and how it ended.

    What it says lies in files beside ``said``.
    """
    said.parent.mkdir(parents=True, exist_ok=True)
    files = [f"{said}.{stream}" for stream in ("stdout", "stderr")]
    process = SERVER.Process(target=_be, args=(words, environment, files, str(cwd)))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{words} ran for more than {seconds} s")
    stdout, stderr = (Path(path).read_text() for path in files)
    return subprocess.CompletedProcess(words, process.exitcode, stdout, stderr)


def _be(words: list[str], environment: dict[str, str], said: list[str], cwd: str) -> None:
    """Become ``python`` with these words."""
    for stream, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    try:
        match words:
            case ["-m", module, *arguments]:
                sys.argv = [module, *arguments]
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            case ["-c", code, *arguments]:
                sys.argv = ["-c", *arguments]
                exec(code, {"__name__": "__main__"})
            case [file, *arguments]:
                sys.argv = [file, *arguments]
                runpy.run_path(file, run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # as at the end of a command, which a process of multiprocessing leaves out
