"""One of the processes: takes one job after the other until there are no more. Started by torch's elastic launcher."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import rich
import torch
import torch.distributed as processes

from universal_simulator.compute.device import Share, use_threads
from universal_simulator.processes.agent import PARENT
from universal_simulator.processes.job import Job
from universal_simulator.support.errors import InputError, machine_refusal, user_mistake
from universal_simulator.support.files import replace
from universal_simulator.support.fingerprints import code_fingerprint

FOLDER = "UNIVERSAL_SIMULATOR_JOBS"
"""Environment variable of the processes on Kedro's machine: where jobs lie."""
JOB, DONE, FAILED, KEPT = "job.json", "done", "failed", "kept"
"""Files: the job at hand (empty: no more), the number of the last one done, why one failed, how many results it has."""

TRAINING = "universal_simulator.pipelines.training_stage"
"""Module whose code, and all that it imports, must be the same on all machines."""

LONGEST = timedelta(days=1)
"""A process may wait so long for the others: while Kedro works alone, they have nothing to do."""
POLL_S = 0.1


def main() -> None:
    """Take part in every job; one process keeps the results."""
    _leave_with_parent()
    processes.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=LONGEST)
    if torch.cuda.is_available():  # on a CPU there may be more of us than GPUs
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    share = Share.here()
    keeper, folder = keeper_and_folder(share)
    keeps = share.rank == keeper
    logging.basicConfig(level=logging.INFO if keeps else logging.WARNING, format="%(message)s")
    if not keeps:
        rich.reconfigure(quiet=True)  # one bar in the terminal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the keeper takes a last step and saves it: we must take it too
    try:
        for job in _jobs(folder, keeper, keeps):
            use_threads(job.threads)
            _work(job, folder, keeps)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # the next one may be for Kedro's process alone
    except Exception as error:
        if mistake := user_mistake(error) or machine_refusal(error):
            _write(folder / FAILED, str(mistake))
        raise
    processes.destroy_process_group()


def _work(job: Job, folder: Path, keeps: bool) -> None:
    made, keep = job.call.run(), job.keeper()
    for one in made if isinstance(made, Iterator) else [made]:
        if keeps:
            keep(one)
            _write(folder / KEPT, str(time.time_ns()))
    if keeps:
        _write(folder / DONE, str(job.number))


def _jobs(folder: Path, keeper: int, keeps: bool) -> Iterator[Job]:
    """Yield every job that is not done, in all processes at once."""
    while True:
        text = [_next(folder) if keeps else ""]
        processes.broadcast_object_list(text, src=keeper)
        if not text[0]:
            return
        yield Job.model_validate_json(text[0])


def _next(folder: Path) -> str:
    done = int((folder / DONE).read_text()) if (folder / DONE).is_file() else 0
    while True:
        text = (folder / JOB).read_text()
        if not text or Job.model_validate_json(text).number > done:
            return text
        time.sleep(POLL_S)


def keeper_and_folder(share: Share) -> tuple[int, Path]:
    """Return who keeps the results, and where the jobs lie, which only Kedro's machine knows and all must see.

    It is the first process of Kedro's machine, whatever the launcher numbers first: the signal to end comes there.
    """
    if len(set(share.gather(f"torch {torch.__version__}, code {code_fingerprint(TRAINING)}"))) > 1:
        raise InputError("code or torch = another on another machine: must be the same; bring all to one commit")
    known = {rank: name for rank, name in enumerate(share.gather(os.environ.get(FOLDER, ""))) if name}
    if not known:
        raise InputError(f"{FOLDER} = unset: no process knows the jobs; start `kedro run` with compute.nodes")
    keeper = min(known)
    folder = Path(known[keeper])
    if not all(share.gather((folder / JOB).is_file())):
        message = f"{folder} = not seen by all machines: they must share the data's folder, at the same path; mount it"
        if (folder / JOB).is_file():
            _write(folder / FAILED, message)
        raise InputError(message)
    return keeper, folder


def _leave_with_parent() -> None:
    """End when the process that we work for is gone, whatever ended it."""
    if not (number := os.environ.get(PARENT)):
        return

    def watch() -> None:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(int(number))
            while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
                time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write(path: Path, text: str) -> None:
    replace(path, lambda part: part.write_text(text))


if __name__ == "__main__":
    main()
