"""Do to a small experiment what rented machines do, and compare with one that was left alone.

``python -m benchmarks.faults FOLDER`` runs everything (half an hour on two cores); ``--kills 5 --only kills`` a part.
Each run is a process of its own, forked from one that has imported the libraries, and works in FOLDER.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.small_runs import TINY, Run, calm, differences, import_everything

ORDER = (
    "data_engineering", "autoencoder", "latents", "operator", "diffusion_residual", "consistency_distillation",
    "calibration", "evaluation", "reporting",
)  # fmt: skip
ROOM, PAGE = 1 << 30, 1 << 12
"""Bytes of the small file system while it has room, and the fewest that it can be told to have."""
console = Console(width=140, highlight=False)


def kills(folder: Path, count: int, seed: int = 0) -> tuple[str, str, str]:
    """Kill in one stage after the other, at a random time of it, over as many experiments as ``count`` kills take."""
    expected, chance, where, experiments, bad = calm(folder), random.Random(seed), Counter[str](), 0, []
    lengths = json.loads((expected / "08_reporting/dry_run/timings.json").read_text())["seconds"]
    data, stride = folder / "killed", max(1, len(ORDER) // count)  # a few kills are spread over the stages, too
    while sum(where.values()) < count or data.exists():
        run, stage = Run.start(data), ORDER[sum(where.values()) * stride % len(ORDER)]
        if sum(where.values()) < count:
            run.wait(until=lambda text, stage=stage: f": {stage}: " in text)  # a stage that is done is not reached
            run.wait(chance.uniform(0, lengths[stage]), until=lambda text: False)
        code = run.wait() if sum(where.values()) >= count else run.ended()
        if code is None:
            where[run.at()] += 1
            console.print(f"{time.strftime('%H:%M:%S')} kill {sum(where.values())}: {run.at()}")
            os.kill(run.pid, signal.SIGKILL)
            os.waitpid(run.pid, 0)
            continue
        if code:
            raise SystemExit(f"A run that was to go on ended with {code}: {run.text()[-2000:]}")
        experiments += 1
        bad += differences(expected, data)
        shutil.rmtree(data)
    stages = ", ".join(f"{stage} {times}" for stage, times in where.most_common())
    outcome = "weights, scores, tables and histories equal those of an undisturbed run"
    return (
        f"`kill -9`, {sum(where.values())} times at random ({stages})",
        f"the same command goes on; {experiments} experiments finished: {outcome if not bad else 'WRONG: ' + str(bad)}",
        "lost or wrong" if bad else "as promised",
    )


def stops(folder: Path) -> list[tuple[str, str, str]]:
    """Ask politely, in a training and in the evaluation."""
    expected, found = calm(folder), []
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        data = folder / "stopped"
        for place in ("operator: train operator", "evaluation: evaluate"):
            run = Run.start(data)
            run.wait(until=lambda text, place=place: place in text)
            time.sleep(0.5)
            begun = time.monotonic()
            os.kill(run.pid, number)
            status, took = run.wait(60), time.monotonic() - begun
            good = status == code and took < 5 and _statuses(data)[0] == "KILLED"
            said = f"exit status {status} after {took:.1f} s, run {_statuses(data)[0]}"
            found.append(
                (f"{number.name} in {place.split(':')[0]}", said, "as promised" if good else "not as promised")
            )
        last = Run.start(data).wait()
        bad = differences(expected, data) if last == 0 else ["unfinished"]
        found.append(
            (f"the same command after {number.name}", f"finished, {bad or 'equal'}", "lost" if bad else "as promised")
        )
        shutil.rmtree(data)
    return found


def threads(folder: Path) -> list[tuple[str, str, str]]:
    """Run with two threads; say what differs from one, which is told and not promised."""
    expected, data = calm(folder), folder / "threads"
    shutil.rmtree(data, ignore_errors=True)
    run = Run.start(data, f"{TINY},compute.threads=2")
    status = run.wait()
    good = status == 0 and ", 2 threads" in run.text()
    differing = ", ".join(differences(expected, data)) if good else run.text()[-300:]
    return [("two threads instead of one", f"other bits in: {differing or 'nothing'}", _verdict(good))]


def disk(folder: Path) -> list[tuple[str, str, str]]:
    """Let the disk be full at each stage in turn, on a small file system of its own; needs the right to mount one."""
    expected, place, found = calm(folder), folder / "small", []
    place.mkdir(exist_ok=True)
    records = {"MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'records.db').resolve()}"}  # else it would refuse first
    _mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place))
    try:
        for stage in ORDER:
            used = shutil.disk_usage(place).used
            _mount("-o", f"remount,size={max(used, PAGE)}", str(place))
            full = Run.start(place, pipeline=stage, environment=records)
            code, said = full.wait(), full.text()
            _mount("-o", f"remount,size={ROOM}", str(place))
            status = Run.start(place, pipeline=stage, environment=records).wait()
            good = code == 1 and "Traceback" not in said and "free some" in said and status == 0
            line = said[said.rfind("Error: ") :].replace(str(place.resolve()), "…")
            found.append((f"disk full in {stage}", f"{line}; with room: exit status {status}", _verdict(good)))
        _mount("-o", f"remount,size={shutil.disk_usage(place).used}", str(place))
        full = Run.start(place, f"{TINY},force=true")
        good = (
            full.wait() == 1
            and "Traceback" not in full.text()
            and ("database or disk is full" in full.text() or "free some" in full.text())
        )
        _mount("-o", f"remount,size={ROOM}", str(place))
        found.append(("disk full, and MLflow's file is on it", full.text()[-200:], _verdict(good)))
        bad = differences(expected, place)
        found.append(("all of it, after a full disk in every stage", f"{bad or 'equal'}", _verdict(not bad)))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
    return found


def _mount(*words: str) -> None:
    if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
        raise SystemExit(f"mount {' '.join(words)} is not permitted here; run as root, or leave out --only disk")


def _verdict(good: bool) -> str:
    return "as promised" if good else "not as promised"


def _statuses(data: Path) -> list[str]:
    """Return how the runs ended, the newest first."""
    import sqlite3

    with sqlite3.connect(data / "mlflow/mlflow.db") as store:
        return [row[0] for row in store.execute("select status from runs order by start_time desc")]


def main() -> None:
    """Print a table of faults and outcomes; exit status 1 if one is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--only", default="kills,stops,threads,disk")
    arguments = parser.parse_args()
    import_everything()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    makers: dict[str, Callable[[Path], list[tuple[str, str, str]]]] = {
        "kills": lambda folder: [kills(folder, arguments.kills)],
        "stops": stops,
        "threads": threads,
        "disk": disk,
    }
    table, failed = Table("fault", "outcome", ""), False
    for name in arguments.only.split(","):
        for row in makers[name](arguments.folder):
            console.print(" | ".join(row))
            table.add_row(*row)
            failed |= row[2] != "as promised"
    console.print(table)
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
