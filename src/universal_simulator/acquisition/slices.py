"""Fields of a file that are read, and checked, a slice at a time: however many there are, few are in memory."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS_AT_ONCE = 2**22
"""Numbers that are read together where all of them are looked at."""


@dataclass(frozen=True)
class Sliced:
    """Rows of a file: ``fields[2:5]`` reads three of them. As an array, it is all of them."""

    path: Path
    shape: tuple[int, ...]
    """``(sample, *rest)``."""
    read: Callable[[slice], np.ndarray]
    """From ascending neighbours to their values; raises ``InputError`` for what is no field."""

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return these rows."""
        first, last, _ = rows.indices(len(self))
        return self.read(slice(first, last))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all of it."""
        return np.asarray(self[:], dtype)

    def parts(self) -> Iterator[np.ndarray]:
        """Yield all rows, as many at once as fit into little memory."""
        size = max(1, NUMBERS_AT_ONCE // max(1, int(np.prod(self.shape[1:]))))
        for first in range(0, len(self), size):
            yield self[first : first + size]


def checksum(fields: "Sliced | np.ndarray") -> int:
    """Return a checksum of all values; those of a file are checked meanwhile."""
    total = 0
    for part in fields.parts() if isinstance(fields, Sliced) else (fields,):
        total = zlib.crc32(np.ascontiguousarray(part).view(np.uint8).data, total)
    return total
