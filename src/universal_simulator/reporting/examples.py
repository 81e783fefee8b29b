"""Example trajectories as the evaluation keeps them, with what their numbers mean.

In a file they are named arrays: ``truth`` and every forecast, ``initial``, ``time``, ``parameters``, and facts and grid
as JSON. Here one asks for a channel of a sample and gets ``(time, *space)``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid

DATA_UNITS = "units of the data"
"""What stands in brackets where a channel does not name its unit."""
ORDER = ("deterministic", "ensemble", "guided_ensemble", "ttc")
"""Forecasts as they are drawn, the plain one first; others follow."""
TRIVIAL = ("persistence", "mean", "nearest")
_NO_FORECASTS = ("truth", "initial", "time", "parameters", "facts", "grid", "chosen")


@dataclass(frozen=True)
class Examples:
    """A few test trajectories, their forecasts, and the facts and grid that say what they are."""

    facts: Facts
    grid: Grid
    time: Float[np.ndarray, " time"]
    parameters: Float[np.ndarray, "sample parameter"]
    fields: Mapping[str, np.ndarray]
    """``truth`` and forecasts by name, ``(sample, [member,] time, channel, *space)``."""
    violations: Mapping[str, np.ndarray] = field(default_factory=dict)
    """How far each step is from the equation, ``(sample, time)``; empty where no equation is known."""
    chosen: np.ndarray | None = None
    """Which candidate was taken at every step of test-time conditioning, ``(sample, time)``."""
    place: str = ""
    """Where a cut lies, such as ``y = 0.5``; empty for whole fields."""

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray]) -> "Examples | None":
        """Return what the arrays of a file say; nothing where no trajectory was kept."""
        if not len(arrays.get("truth", ())):
            return None
        violations = {k.removeprefix("violation_"): v for k, v in arrays.items() if k.startswith("violation_")}
        forecasts = {k: v for k, v in arrays.items() if k not in _NO_FORECASTS and not k.startswith("violation_")}
        return cls(
            facts=Facts.model_validate_json(str(arrays["facts"])),
            grid=Grid.model_validate_json(str(arrays["grid"])),
            time=arrays["time"],
            parameters=arrays["parameters"],
            fields={"truth": arrays["truth"], **forecasts},
            violations=violations,
            chosen=arrays.get("chosen"),
        )

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self.fields["truth"])

    @property
    def forecasts(self) -> list[str]:
        """Return the networks' forecasts, the plain one first."""
        found = [name for name in self.fields if name != "truth" and name not in TRIVIAL]
        return [name for name in ORDER if name in found] + [name for name in found if name not in ORDER]

    @property
    def ensembles(self) -> list[str]:
        """Return the forecasts that have members."""
        return [name for name in self.forecasts if self._has_members(name)]

    def point(self, name: str, sample: int, channel: int) -> Float[np.ndarray, "time *space"]:
        """Return truth or a forecast of one channel; of an ensemble its mean."""
        return self.members(name, sample, channel).mean(0)

    def members(self, name: str, sample: int, channel: int) -> Float[np.ndarray, "member time *space"]:
        """Return the members of a forecast of one channel; one where it has none."""
        values = self.fields[name][sample]
        return (values if self._has_members(name) else values[None])[:, :, channel]

    def error(self, name: str, sample: int, channel: int) -> Float[np.ndarray, "time *space"]:
        """Return forecast minus truth."""
        return self.point(name, sample, channel) - self.point("truth", sample, channel)

    def coordinates(self, axis: int) -> Float[np.ndarray, " points"]:
        """Return the cell centres along an axis."""
        return self.grid.axes[axis].centres().numpy()

    def cut(self, axis: int) -> "Examples":
        """Return the same trajectories on the plane or line through the middle of an axis, without that axis."""
        middle, kept = self.grid.axes[axis].points // 2, [i for i in range(self.grid.dimensions) if i != axis]
        walls = [replace_walls(channel, kept) for channel in self.facts.channels]
        at = f"{self.grid.axes[axis].name} = {self.coordinates(axis)[middle]:.3g}"
        return replace(
            self,
            facts=self.facts.model_copy(update={"channels": tuple(walls)}),
            grid=Grid(axes=tuple(self.grid.axes[i] for i in kept)),
            fields={name: values.take(middle, axis - self.grid.dimensions) for name, values in self.fields.items()},
            place=", ".join(filter(None, (self.place, at))),
        )

    def at(self, frame: int) -> str:
        """Say when, and where a cut lies."""
        return ", ".join(filter(None, (f"t = {self.time[frame]:.2f}", self.place)))

    def told(self, sample: int) -> str:
        """Return the parameters of a trajectory in words; nothing where there are none."""
        values = zip(self.facts.parameters, self.parameters[sample], strict=True)
        return ", ".join(f"{one.label} = {value:g}{f' {one.unit}' if one.unit else ''}" for one, value in values)

    def tag(self, channel: int) -> str:
        """Return what the names of a channel's figures end with; nothing where there is one channel only."""
        if self.facts.single:
            return ""
        words = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in self.facts.names]
        return f"-{words[channel]}" if all(words) and len({*words}) == len(words) else f"-{channel}"

    def title(self, words: str, channel: int) -> str:
        """Return a title, with the channel's name where there are several."""
        return words if self.facts.single else f"{self.facts.names[channel]}: {words[0].lower()}{words[1:]}"

    def _has_members(self, name: str) -> bool:
        return self.fields[name].ndim == self.grid.dimensions + 4


def replace_walls(channel: Channel, axes: list[int]) -> Channel:
    """Return the channel on some of the axes only."""
    walls = tuple(channel.wall(axis) for axis in axes) if channel.walls else ()
    return channel.model_copy(update={"walls": walls})


def labelled(channel: Channel) -> str:
    """Return a channel as it stands on an axis: name and unit."""
    return f"{channel.name} ({unit(channel)})"


def unit(channel: Channel, power: str = "") -> str:
    """Return what a channel is measured in."""
    return (channel.unit or DATA_UNITS) + power


def position(axis: Axis) -> str:
    """Return a coordinate as it stands on an axis of a figure."""
    return f"{axis.name} ({'domain lengths' if (axis.lower, axis.upper) == (0.0, 1.0) else 'units of length'})"


def named(parameters: tuple[Parameter, ...]) -> str:
    """Return the parameters of an equation in words, with their units."""
    told = [one.label + (f" ({one.unit})" if one.unit else "") for one in parameters]
    return ", ".join(told) or "parameter"
