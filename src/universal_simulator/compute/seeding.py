"""One seed, many independent streams, each named after what it is for."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """Return a seed that differs for every purpose: ``derive(17, "operator", "batches")``."""
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a generator of its own for this purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def fresh_weights(seed: int, *purpose: str | int) -> Iterator[None]:
    """Make modules built inside start from weights that depend on the seed alone; torch's own state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, *purpose))
        yield
