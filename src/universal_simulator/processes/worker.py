"""One of the processes: takes one job after the other until there are no more. Started by torch's elastic launcher."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as processes

from universal_simulator.catalog.writing import replace
from universal_simulator.errors import InputError
from universal_simulator.processes.job import Job
from universal_simulator.refusals import user_mistake
from universal_simulator.training.sharing import Share

FOLDER, PARENT = "UNIVERSAL_SIMULATOR_JOBS", "UNIVERSAL_SIMULATOR_JOBS_OF"
"""Environment variables of the processes beside Kedro's own: where jobs lie, and the number of Kedro's process."""
JOB, DONE, FAILED, KEPT = "job.json", "done", "failed", "kept"
"""Files: the job at hand (empty: no more), the number of the last one done, why one failed, how many results it has."""

LONGEST = timedelta(days=1)
"""A process may wait so long for the others: while Kedro works alone, they have nothing to do."""
POLL_S = 0.1


def main() -> None:
    """Take part in every job; the first process keeps the results."""
    processes.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=LONGEST)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    share = Share.here()
    logging.basicConfig(level=logging.INFO if share.rank == 0 else logging.WARNING, format="%(message)s")
    if share.rank:  # the first one, told to end, takes a last step and saves it: the others must take it too
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _leave_with_parent()
    folder = _folder(share)
    try:
        for job in _jobs(folder, share):
            torch.set_num_threads(job.threads)
            _work(job, folder, share)
    except Exception as error:
        if mistake := user_mistake(error):
            _write(folder / FAILED, str(mistake))
        raise
    processes.destroy_process_group()


def _work(job: Job, folder: Path, share: Share) -> None:
    made = job.call.run()
    for one in made if isinstance(made, Iterator) else [made]:
        if share.rank == 0:
            job.keep(one)
            _write(folder / KEPT, str(time.time_ns()))
    if share.rank == 0:
        _write(folder / DONE, str(job.number))


def _jobs(folder: Path, share: Share) -> Iterator[Job]:
    """Yield every job that is not done, in all processes at once."""
    while True:
        text: list[str] = [""]
        if share.rank == 0:
            text[0] = _next(folder)
        processes.broadcast_object_list(text)
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


def _folder(share: Share) -> Path:
    """Return where the jobs lie, which the processes beside Kedro's know, and which all must see."""
    known = [name for name in share.gather(os.environ.get(FOLDER, "")) if name]
    if not known:
        raise InputError(f"{FOLDER} = unset: no process knows the jobs; start `kedro run` with compute.nodes")
    folder = Path(known[0])
    if not all(share.gather((folder / JOB).is_file())):
        message = f"{folder} = not seen by all machines: they must share the data's folder, at the same path; mount it"
        if (folder / JOB).is_file():
            _write(folder / FAILED, message)
        raise InputError(message)
    return folder


def _leave_with_parent() -> None:
    """End when Kedro's process is gone, whatever ended it."""
    if not (number := os.environ.get(PARENT)):
        return

    def watch() -> None:
        while os.path.exists(f"/proc/{number}") or not os.path.exists("/proc"):  # noqa: PTH110
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write(path: Path, text: str) -> None:
    replace(path, lambda part: part.write_text(text))


if __name__ == "__main__":
    main()
