"""Everything that a finished experiment left behind, example trajectories among it.

Example trajectories as the evaluation keeps them, with what their numbers mean.

In a file they are named arrays: ``truth`` and every forecast, ``initial``, ``time``, ``parameters``, and facts and grid
as JSON. Here one asks for a channel of a sample and gets ``(time, *space)``.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from universal_simulator.evaluation.scores import Interval, score_intervals
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid

DATA_UNITS = "units of the data"
"""What stands in brackets where a channel does not name its unit."""
ORDER = ("deterministic", "ensemble", "guided_ensemble", "ttc", "fast")
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
    """Return what a channel is measured in, or a power of it."""
    compound = power and re.search(r"[^A-Za-z]", channel.unit)
    return (f"({channel.unit})" if compound else channel.unit or DATA_UNITS) + power


def position(axis: Axis) -> str:
    """Return a coordinate as it stands on an axis of a figure."""
    return f"{axis.name} ({'domain lengths' if (axis.lower, axis.upper) == (0.0, 1.0) else 'units of length'})"


def named(parameters: tuple[Parameter, ...]) -> str:
    """Return the parameters of an equation in words, with their units."""
    told = [one.label + (f" ({one.unit})" if one.unit else "") for one in parameters]
    return ", ".join(told) or "parameter"


HEADLINE = ("rollout", "one_step", "pdebench")
"""Protocols in the order of their weight; the first that was scored gives the headline."""


@dataclass(frozen=True)
class Results:
    """Tables as the scoreboard makes them, example trajectories, histories, and where all of it came from."""

    parameters: Mapping[str, Any]
    facts: Facts
    scores: Mapping[str, float]
    trajectory_scores: pd.DataFrame
    error_growth: pd.DataFrame
    calibration: pd.DataFrame
    gates: pd.DataFrame
    """One row per gate, the fields of ``gates.Outcome``; empty where the experiment has none."""
    examples: Examples | None
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Epochs of each stage: a column ``step`` or ``epoch``, and the losses."""
    timings: Mapping[str, Any] = field(default_factory=dict)
    """``seconds`` by stage, ``total_seconds``, ``cost_usd``, ``hourly_rate_usd``."""
    data_card: str = ""
    outside: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row per parameter and amplitude that ensembles were tried on outside training; may be empty."""
    chaos: pd.DataFrame = field(default_factory=pd.DataFrame)
    """Curves of chaotic motion in long form (``pipelines.evaluation.chaos.COLUMNS``); may be empty."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Sentences that say which forecasts are missing, and why."""

    @property
    def name(self) -> str:
        """Return the experiment's name."""
        return str(self.parameters["experiment"]["name"])

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Return the bootstrap interval of every score that has one."""
        return score_intervals(self.trajectory_scores)

    @cached_property
    def protocols(self) -> list[str]:
        """Return the protocols whose forecasts were scored, the weightiest first."""
        found = set(self.trajectory_scores["protocol"])
        return [protocol for protocol in HEADLINE if protocol in found] + sorted(found - set(HEADLINE))

    def variants(self, protocol: str) -> list[str]:
        """Return the scored variants of a protocol: the plain one first, those that need no network last."""
        frame = self.trajectory_scores
        found = set(frame.loc[frame["protocol"] == protocol, "variant"])
        others = sorted(found - {*ORDER, *TRIVIAL})
        return [variant for variant in (*ORDER, *others, *TRIVIAL) if variant in found]

    @property
    def parameter_words(self) -> str:
        """Return what the equation's parameters are called."""
        return named(self.facts.parameters)

    def label(self, name: str) -> str:
        """Return what one of the parameters is called on figures; ``parameter`` is the first."""
        known = self.facts.parameters
        chosen = known[:1] if name == "parameter" else tuple(one for one in known if one.name == name)
        return chosen[0].label if chosen else name

    @cached_property
    def several(self) -> list[str]:
        """Return the sets of parameters as scores are named after them, in rising order; none where there is but one.

        The scores of each stand beside those of all, as ``<metric>_at_<set>``.
        """
        metrics = {name.split("/")[2] for name in self.scores if name.count("/") > 1}
        return sorted({metric.partition("_at_")[2] for metric in metrics if "_at_" in metric}, key=_ascending)

    def told(self, several: str) -> str:
        """Return one of several sets of parameters in words."""
        values, labels = several.split("_"), [one.label for one in self.facts.parameters]
        if len(values) != len(labels):
            return f"{self.parameter_words} = {several}" if several[:1] in "-.0123456789" else several.replace("_", " ")
        return ", ".join(f"{label} = {value}" for label, value in zip(labels, values, strict=True))

    def channels(self, protocol: str) -> list[str]:
        """Return the channels that have scores of their own; none where there is but one channel."""
        own = [name.split("/")[3] for name in self.scores if name.startswith(f"{protocol}/") and name.count("/") == 3]
        return list(dict.fromkeys(own))

    @property
    def other_scores(self) -> dict[str, float]:
        """Return the scores that belong to no forecast, as those of the autoencoder alone; chaos has its own table."""
        return {
            name: value for name, value in self.scores.items() if name.split("/")[0] not in (*self.protocols, "chaos")
        }

    def score(self, name: str) -> float | None:
        """Return a score by its flat name, or nothing."""
        return self.scores.get(name)

    def errors(self, protocol: str, variant: str) -> np.ndarray:
        """Return each trajectory's nRMSE, empty where that was not scored."""
        frame = self.trajectory_scores
        chosen = (frame["protocol"] == protocol) & (frame["variant"] == variant)
        return frame.loc[chosen, "nrmse"].to_numpy(np.float64)

    def growth(self, protocol: str, variant: str) -> pd.DataFrame:
        """Return the error over time of one variant."""
        frame = self.error_growth
        return frame[(frame["protocol"] == protocol) & (frame["variant"] == variant)]

    def calibration_table(self, protocol: str, table: str) -> pd.DataFrame:
        """Return ``reliability`` or ``rank`` of a protocol's ensemble."""
        frame = self.calibration
        return frame[(frame["protocol"] == protocol) & (frame["table"] == table)]


def _ascending(words: str) -> tuple[list[float], str]:
    """Order sets of numbers by their size; what is none by its letters, behind them."""
    try:
        return [float(value) for value in words.split("_")], words
    except ValueError:
        return [math.inf], words
