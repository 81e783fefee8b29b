"""Whole trajectories, lazily: which of them there are is known, what they say is read when asked for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.support.errors import InputError


@runtime_checkable
class Snapshots(Protocol):
    """An array ``(sample, time, space)`` that is indexed point by point, as numpy does: ``a[rows, times]``.

    ``rows`` and ``times`` are integer arrays that broadcast against each other; the answer has their shape and a last
    axis of space. An ``ndarray`` and a ``memmap`` are one.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Return ``(sample, time, space)``."""
        ...

    def __getitem__(self, key: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Return the snapshots at these pairs."""
        ...


@dataclass(frozen=True)
class Source:
    """Some rows of one array, all of one parameter of the equation."""

    values: Snapshots
    rows: np.ndarray
    viscosity: float


class Trajectories:
    """Trajectories on one grid and one time axis, possibly of several sources and several viscosities.

    Source after source, in the order given. ``viscosity`` is the parameter of the equation, whatever its name there:
    the speed for linear advection.
    """

    def __init__(self, sources: Sequence[Source], times: np.ndarray) -> None:
        shapes = {tuple(source.values.shape[1:]) for source in sources}
        if len(shapes) != 1:
            raise InputError(
                f"trajectories = {len(sources)} arrays of (time, space) = {sorted(shapes)} must be one or more on one "
                "time axis and one grid; resample them, or make two data sets"
            )
        ((count, self.points),) = shapes
        if len(times) != count:
            raise InputError(f"times = {len(times)} entries must be as many as the {count} snapshots; trim or extend")
        self.times = np.asarray(times, np.float64)
        self._arrays = [source.values for source in sources]
        self._array = np.repeat(np.arange(len(sources)), [len(source.rows) for source in sources])
        self._row = np.concatenate([np.asarray(source.rows, np.int64) for source in sources])
        self.viscosity = np.asarray([source.viscosity for source in sources], np.float64)[self._array]

    @classmethod
    def of(
        cls, values: Float[np.ndarray, "sample time space"], viscosity: float | np.ndarray, times: np.ndarray
    ) -> "Trajectories":
        """Wrap one array; ``viscosity`` is one number for all, or one for each sample."""
        per_sample = np.broadcast_to(np.asarray(viscosity, np.float64), (len(values),))
        whole = cls([Source(values, np.arange(len(values)), 0.0)], times)
        whole.viscosity = per_sample.copy()
        return whole

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self._row)

    def interleave_by_parameter(self, count: int | None = None) -> "Trajectories":
        """Return the first ``count``, or all, in an order in which viscosities follow each other.

        So the first or last share of them holds each alike. Those of one viscosity keep their order.
        """
        turn = np.empty(len(self), np.int64)
        for value in np.unique(self.viscosity):
            alike = self.viscosity == value
            turn[alike] = np.arange(alike.sum())
        return self.subset(np.argsort(turn, kind="stable")[:count])

    def subset(self, indices: np.ndarray | Sequence[int] | slice) -> "Trajectories":
        """Return these trajectories, in this order."""
        chosen = np.arange(len(self))[indices if isinstance(indices, slice) else np.asarray(indices, np.int64)]
        part = object.__new__(Trajectories)
        part.points, part.times, part._arrays = self.points, self.times, self._arrays
        part._array, part._row, part.viscosity = self._array[chosen], self._row[chosen], self.viscosity[chosen]
        return part

    def read(
        self, samples: np.ndarray | Sequence[int] | slice, times: np.ndarray | Sequence[int] | slice = slice(None)
    ) -> Float[Tensor, "sample time space"]:
        """Return every one of these snapshots of every one of these samples, in the order asked."""
        rows = np.arange(len(self))[samples if isinstance(samples, slice) else np.asarray(samples, np.int64)]
        moments = np.arange(len(self.times))[times if isinstance(times, slice) else np.asarray(times, np.int64)]
        return self._gather(np.broadcast_to(rows[:, None], (len(rows), len(moments))), moments)

    def windows(self, samples: np.ndarray | Sequence[int], times: np.ndarray) -> Float[Tensor, "sample time space"]:
        """Return, for each sample, snapshots of its own: ``times`` is ``(sample, time)``."""
        moments = np.arange(len(self.times))[np.asarray(times, np.int64)]
        return self._gather(np.broadcast_to(np.asarray(samples, np.int64)[:, None], moments.shape), moments)

    @cached_property
    def fingerprint(self) -> str:
        """Name the content in 16 hex digits: what every trajectory begins and ends with, and its parameter.

        Reads two snapshots per trajectory, so it notices other data behind the same file name at little cost.
        """
        digest = hashlib.sha256(self.times.tobytes() + self.viscosity.tobytes())
        for start in range(0, len(self), 256):
            ends = self.read(slice(start, start + 256), [0, len(self.times) - 1])
            digest.update(ends.numpy().tobytes())
        return digest.hexdigest()[:16]

    def _gather(self, samples: np.ndarray, times: np.ndarray) -> Float[Tensor, "sample time space"]:
        times = np.broadcast_to(times, samples.shape)
        out = np.empty((*samples.shape, self.points), np.float32)
        array = self._array[samples[:, 0]] if samples.size else np.empty(0, np.int64)
        for number in np.unique(array):
            mine = array == number
            out[mine] = self._arrays[number][self._row[samples[mine]], times[mine]]
        return torch.from_numpy(out)
