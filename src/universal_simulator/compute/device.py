"""Where to compute, and with which numbers."""

import os

import torch

from universal_simulator.configuration import Compute
from universal_simulator.support.errors import InputError


def choose(device: str) -> torch.device:
    """Return the device of this name; ``auto`` is the GPU where there is one.

    >>> choose("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(asked: int | None, processes: int = 1) -> int:
    """Return the threads of each process: those asked for, or else ``OMP_NUM_THREADS``, or else its share of cores."""
    return asked or int(os.environ.get("OMP_NUM_THREADS") or 0) or max(1, cores() // processes)


def use_threads(count: int) -> None:
    """Let the numerical libraries of this process use so many threads, and take numbers next to nothing for zero.

    What a network no longer uses decays below the smallest normal number of float32, 1e-38, where an ordinary processor
    is a hundred times slower: a training slowed down fourfold by it.
    """
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)


def refuse_too_many(device: str, processes: int) -> None:
    """Refuse more processes than this machine has GPUs, if it has any that they are to use."""
    gpus = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else processes
    if processes > gpus:
        raise InputError(
            f"compute.processes = {processes}: must not exceed the GPUs of this machine, {gpus}; lower it, or set "
            "compute.device=cpu"
        )


def numbers(compute: Compute) -> dict[str, str]:
    """Return what a training's numbers depend on of where it runs; nothing where they are the usual ones."""
    return {} if compute.precision == "float32" else {"compute.precision": compute.precision}
