"""What was measured: where, when, of which channel, and how well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Correlation
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError

KNOWN = ("time", "channel", "value", "sd", "variance", "width")
"""Columns of a table; any other is an axis, or the width along one."""


INDEPENDENT = Correlation()


@dataclass(frozen=True)
class Observations:
    """Measured numbers with Gaussian noise, independent unless a correlation is told, in the problem's units.

    Each is the value at a point, or the mean over a window: ``width`` is 0 or the window's extent along each axis,
    infinite for the whole domain. ``channels`` are names, empty for the only one. Raises ``InputError`` where a number
    is not finite, a standard deviation is not positive, or there are none.

    >>> one = Observations.sensors([0.25, 0.75], [0.1, 0.2, 0.3], [[1.0, 2.0]] * 3, sd=0.1)
    >>> len(one), one.axes
    (6, ('x',))
    """

    times: Float[Tensor, " observation"]
    where: Float[Tensor, "observation axis"]
    width: Float[Tensor, "observation axis"]
    channels: tuple[str, ...]
    values: Float[Tensor, " observation"]
    sd: Float[Tensor, " observation"]
    axes: tuple[str, ...] = ("x",)
    correlation: Correlation = INDEPENDENT
    """Of the noise, between observations of one channel."""

    def __post_init__(self) -> None:
        if not len(self.values):
            raise InputError("observations = none: must be at least one; give some")
        for name in ("times", "where", "values", "sd"):
            if not getattr(self, name).isfinite().all():
                raise InputError(f"observations.{name} = NaN or infinity in it: must be finite; remove what is missing")
        if not (self.width >= 0).all():
            raise InputError(f"observations.width = {self.width.min():g}: must not be negative; correct it")
        if not (self.sd > 0).all():
            raise InputError(f"observations.sd = {self.sd.min():g}: must be positive; give the noise's deviation")

    def __len__(self) -> int:
        """Return how many numbers were measured."""
        return len(self.values)

    def __add__(self, other: "Observations") -> "Observations":
        """Return both; raises ``InputError`` where their axes differ."""
        if self.axes != other.axes:
            raise InputError(f"observations = axes {self.axes} and {other.axes}: must be alike; name them alike")
        if self.correlation != other.correlation:
            raise InputError(
                f"observations = noise of {self.correlation} and {other.correlation}: must be alike; correlate the sum"
            )
        numbers = ("times", "where", "width", "values", "sd")
        joined: dict[str, Any] = {name: torch.cat((getattr(self, name), getattr(other, name))) for name in numbers}
        return replace(self, channels=self.channels + other.channels, **joined)

    def correlated(self, length: float = 0.0, time: float = 0.0) -> "Observations":
        """Return the same with noise whose correlation is ``exp(-|Δx|/length)`` along each axis, ``exp(-|Δt|/time)``.

        0 means none between different places, or different times.
        """
        return replace(self, correlation=Correlation(length=length, time=time))

    @classmethod
    def sensors(
        cls,
        where: Any,
        times: Any,
        values: Any,
        sd: Any,
        channel: str = "",
        width: float | Sequence[float] = 0.0,
        axes: Sequence[str] = ("x",),
    ) -> "Observations":
        """Return what fixed sensors said: ``values`` is ``(time, sensor)``, ``where`` ``(sensor,)`` or with an axis.

        ``sd`` is one number, or one that broadcasts against the values.
        """
        place = _numbers("where", where)
        place = place[:, None] if place.ndim == 1 else place
        moments, read = torch.atleast_1d(_numbers("times", times)), _numbers("values", values)
        if place.ndim != 2 or place.shape[1] != len(axes) or read.shape != (len(moments), len(place)):
            raise InputError(
                f"observations.values = an array of shape {tuple(read.shape)}: must be (time, sensor) = "
                f"({len(moments)}, {len(place)}) for places {tuple(place.shape)} on axes {', '.join(axes)}; correct it"
            )
        noise = _numbers("sd", sd).broadcast_to(read.shape)
        return cls(
            moments.repeat_interleave(len(place)),
            place.repeat(len(moments), 1),
            _numbers("width", width).broadcast_to(read.numel(), len(axes)),
            (channel,) * read.numel(),
            read.flatten(),
            noise.flatten(),
            tuple(axes),
        )

    @classmethod
    def snapshots(cls, values: Any, times: Any, grid: Grid, sd: Any, channel: str = "") -> "Observations":
        """Return whole fields ``(time, *space)`` on a grid's cell centres."""
        read = _numbers("values", values)
        if read.ndim != grid.dimensions + 1 or tuple(read.shape[1:]) != grid.shape:
            raise InputError(
                f"observations.values = an array of shape {tuple(read.shape)}: must be (time, *space) on the grid "
                f"{grid.shape}; correct it"
            )
        where = torch.stack(grid.centres(), -1).flatten(0, -2)
        noise = _numbers("sd", sd).broadcast_to(read.shape).flatten(1)
        return cls.sensors(where, times, read.flatten(1), noise, channel, axes=grid.names)

    @classmethod
    def means(cls, values: Any, times: Any, sd: Any, channel: str = "", axes: Sequence[str] = ("x",)) -> "Observations":
        """Return means over the whole domain, one at each time."""
        place = torch.zeros(1, len(axes))
        return cls.sensors(place, times, _numbers("values", values)[:, None], sd, channel, torch.inf, axes)

    @classmethod
    def read(cls, path: str | Path) -> "Observations":
        """Return what a table says: CSV, or netCDF by xarray, whose dimensions become columns.

        Columns ``time``, one for each axis, ``channel`` (may be left out where there is one), ``value``, ``sd`` or
        ``variance``; ``width`` or ``width_<axis>`` for windows. Raises ``InputError`` for anything else.
        """
        return cls.of(_table(Path(path).expanduser()), str(path))

    @classmethod
    def of(cls, table: Mapping[str, Any], source: str = "a table") -> "Observations":
        """Return what columns by name say, as of ``read``; ``source`` is what a refusal calls them."""
        missing = [name for name in ("time", "value") if name not in table]
        if not {"sd", "variance"} & set(table):
            missing.append("sd")
        if missing:
            raise InputError(
                f"observations = {source}: must have the column {missing[0]}, with the unit's plain numbers"
            )
        axes = tuple(name for name in table if name not in KNOWN and not name.startswith("width_"))
        column = {name: _numbers(name, values) for name, values in table.items() if name != "channel"}
        lengths = {name: tuple(np.shape(values)) for name, values in table.items()}
        if strange := [name for name, shape in lengths.items() if len(shape) != 1 or shape != lengths["value"]]:
            raise InputError(
                f"observations.{strange[0]} = an array of shape {lengths[strange[0]]}: must be as long as value, "
                f"{lengths['value']}; give one for each"
            )
        if "variance" in column and not (column["variance"] > 0).all():
            raise InputError(f"observations.variance = {column['variance'].min():g}: must be positive; correct it")
        count, none = len(column["value"]), torch.zeros(len(column["value"]), dtype=torch.float64)
        widths = [column.get(f"width_{axis}", column.get("width", none)) for axis in axes]
        return cls(
            column["time"],
            torch.stack([column[axis] for axis in axes], -1) if axes else none[:, None][:, :0],
            torch.stack(widths, -1) if axes else none[:, None][:, :0],
            tuple(str(name) for name in table.get("channel", [""] * count)),
            column["value"],
            column["sd"] if "sd" in column else column["variance"].sqrt(),
            axes,
        )


def _numbers(name: str, values: Any) -> Tensor:
    """Return numbers in double precision; refuse what is none."""
    try:
        return torch.as_tensor(values if isinstance(values, Tensor) else np.array(values, np.float64)).double()
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:120]
        raise InputError(f"observations.{name} = no plain numbers ({reason}): must be numbers; correct it") from error


def _table(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a file by name."""
    if not path.is_file():
        raise InputError(f"observations = {path}: must be a file; check its name")
    try:
        if path.suffix.lower() in (".nc", ".nc4", ".cdf"):
            return _netcdf(path)
        import pandas as pd

        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan", "NaN"])
    except InputError:
        raise
    except Exception as error:  # whatever a reader raises
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"observations = {path}: must be a CSV or netCDF table ({reason}); correct it") from error
    return {str(name).strip(): _text_or_numbers(frame[name], str(name).strip()) for name in frame}


def _text_or_numbers(column: Any, name: str) -> np.ndarray:
    return column.fillna("").astype(str).to_numpy() if name == "channel" else column.to_numpy()


def _netcdf(path: Path) -> dict[str, np.ndarray]:
    try:
        import xarray
    except ImportError as error:
        raise InputError(f"observations = {path}: needs xarray to be read; install it, or give a CSV") from error
    with xarray.open_dataset(path, decode_times=False) as found:
        frame = found.to_dataframe().reset_index()
    known = {name: frame[name] for name in frame if name not in found.dims or name in found.coords}
    return {str(name): _text_or_numbers(column, str(name)) for name, column in known.items()}
