"""Fields with named dimensions, in zarr and netCDF: read by xarray, a slice at a time, in the order that is asked for.

Dimensions are ``sample``, ``member``, ``time`` and those of space; a variable is a channel, or ``u0`` is all of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from universal_simulator.acquisition.axes import TOLERANCE
from universal_simulator.acquisition.container import demand
from universal_simulator.acquisition.initial import INITIAL, Sliced, agreed, demand_fields
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError

if TYPE_CHECKING:
    import xarray

SAMPLE, MEMBER, TIME, CHANNEL = "sample", "member", "time", "channel"
ALARM = "alarm"
"""Variable with the alarm's score of each sample; no parameter."""
LABELS = (SAMPLE, MEMBER, TIME, CHANNEL)
"""Dimensions that are none of space."""
ENDINGS = (".zarr", ".nc")


@dataclass(frozen=True)
class Labels:
    """What a file calls its fields: variables, and dimensions with their sizes and coordinates."""

    path: Path
    names: tuple[str, ...]
    """Variables that are channels."""
    dimensions: tuple[str, ...]
    """Of each of them."""
    sizes: dict[str, int]
    coordinates: dict[str, np.ndarray] = field(default_factory=dict)
    parameters: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def space(self) -> tuple[str, ...]:
        """Return the dimensions of space."""
        return tuple(name for name in self.dimensions if name not in LABELS)

    @property
    def samples(self) -> int:
        """Return how many there are; a file without that dimension holds one."""
        return self.sizes.get(SAMPLE, 1)

    def initial(self, facts: Facts | None = None, grid: Grid | None = None) -> Sliced:
        """Return the first snapshots, ``(sample, [channel,] *space)``, in the order of what they must fit."""
        names, space = self.fitted(facts, grid)
        if MEMBER in self.dimensions:
            raise InputError(f"{self.path}: dimension member = {self.sizes[MEMBER]}, must be left out; select a member")
        channels = (self.sizes[CHANNEL],) if CHANNEL in self.dimensions else (len(names),) if len(names) > 1 else ()
        shape = (self.samples, *channels, *(self.sizes[name] for name in space))

        def read(rows: slice) -> np.ndarray:
            values = self.values(names, (SAMPLE, CHANNEL, *space), {SAMPLE: rows, TIME: 0})
            return demand_fields(self.path, values.reshape(-1, *shape[1:]), first=rows.start)

        return Sliced(self.path, shape, read)

    def values(self, names: tuple[str, ...], order: tuple[str, ...], chosen: dict[str, slice | int]) -> np.ndarray:
        """Return chosen rows of some variables, their dimensions in this order, several of them along ``channel``."""
        with opened(self.path) as data:
            each = [data[name].isel(chosen, missing_dims="ignore") for name in names]
            found = [one.transpose(*(d for d in order if d in one.dims)).values for one in each]
        if len(found) == 1:
            return found[0]
        return np.stack(found, order.index(CHANNEL) - sum(d not in each[0].dims for d in order[: order.index(CHANNEL)]))

    def fitted(self, facts: Facts | None, grid: Grid | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return variables and dimensions of space in order; refuse others than those of the model."""
        if facts is None or grid is None:
            return self.names, self.space
        told = f"{self.path}: variables {', '.join(self.names)}"
        wanted, plain = facts.names, self.names == (INITIAL,)
        if not plain and sorted(self.names) != sorted(wanted):
            raise InputError(f"{told}, must be {', '.join(wanted)}; rename them, drop others")
        demand_space_of(self, grid)
        return (self.names if plain else wanted), grid.names


def demand_space_of(labels: Labels, grid: Grid) -> None:
    """Refuse other dimensions of space than the grid's, and coordinates that are not cell centres of its domain."""
    if sorted(labels.space) != sorted(grid.names):
        told, wanted = ", ".join(labels.space), ", ".join(grid.names)
        raise InputError(f"{labels.path}: dimensions of space = {told}, must be {wanted}; rename them")
    for axis in grid.resized(tuple(labels.sizes[name] for name in grid.names)).axes:
        there = labels.coordinates.get(axis.name)
        if there is not None and np.abs(there - axis.centres().numpy()).max() > TOLERANCE * axis.length / axis.points:
            raise InputError(
                f"{labels.path}: {axis.name} from {there[0]:g} to {there[-1]:g}, must be the {axis.points} cell "
                f"centres of ({axis.lower:g}, {axis.upper:g}); resample"
            )


def read_labels(path: Path) -> Labels:
    """Return what is in a file, without reading any field."""
    with opened(path) as data:
        names = _channels(path, data)
        of = data[names[0]]
        known = (*of.dims, *LABELS, ALARM)
        coordinates = {str(d): data[d].values.astype(np.float64) for d in of.dims if d in data.coords}
        sizes = {str(d): size for d, size in of.sizes.items()}
        demand(path, all(sizes.values()), f"dimensions = {sizes}", "be none of them empty")
        said = {
            str(name): np.ravel(one.values)
            for name, one in data.variables.items()
            if name not in known and one.dims in ((), (SAMPLE,)) and one.dtype.kind in "fiu"
        }
    parameters = agreed(path, {name: v.astype(np.float64) for name, v in said.items()}, sizes.get(SAMPLE, 1))
    return Labels(path, names, tuple(map(str, of.dims)), sizes, coordinates, parameters)


@contextmanager
def opened(path: Path) -> Iterator["xarray.Dataset"]:
    """Open a file to read it; whatever fails meanwhile is told in one line."""
    import xarray  # a second, which only this pays

    if not path.exists():
        raise InputError(f"{path} is not there; check its name")
    engine = "zarr" if path.is_dir() else None
    try:
        with xarray.open_dataset(path, engine=engine, decode_times=False, cache=False, chunks=None) as data:
            yield data
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes xarray raise
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(f"{path} = unreadable ({reason}): must be whole zarr or netCDF; make it again") from error


def _channels(path: Path, data: "xarray.Dataset") -> tuple[str, ...]:
    """Return the variables that are fields; refuse a file without any, and fields of different dimensions."""
    fields = [str(name) for name, one in data.data_vars.items() if set(one.dims) - {*LABELS}]
    names = (INITIAL,) if INITIAL in data.data_vars else tuple(fields)
    if not names:
        there = ", ".join(map(str, data.variables)) or "nothing"
        raise InputError(f"{path}: holds {there}, must hold fields over named dimensions of space; name them so")
    for name in names[1:]:
        if dict(data[name].sizes) != dict(data[names[0]].sizes):
            told = f"{dict(data[name].sizes)} of {name} and {dict(data[names[0]].sizes)} of {names[0]}"
            raise InputError(f"{path}: dimensions = {told}, must be alike; drop variables that are no channels")
    return names
