"""What follows from scores: gates, promotion, forecasts for others, a search for better parameters."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from universal_simulator.configuration.section import Count, Name, NonNegative, Positive, Probability, Section, text


class Promotion(Section):
    """When a candidate replaces the champion."""

    min_gain: Probability = 0.01
    conservation_gap: Positive = 1.0
    boundary_violation: Positive = 1.0
    calibration_error: Positive = 1.25
    """Bounds, as factors on the champion's value."""
    negligible_gap: NonNegative = 1e-6
    """A conservation gap below this is rounding, and no worse than another."""
    budget_hours: Positive = 10.0
    """Longest wall-clock of the candidate's whole experiment."""
    demote: bool = False
    """Instead of promoting anything, take the alias from the champion and give it back to the one before."""


class Predict(Section):
    """Initial fields in a file, and what is asked of a model; ``--pipeline=predict``."""

    model: Annotated[str, Field(min_length=1)] = "models:/universal-simulator@champion"
    """Address: a version in MLflow's registry, ``shipped:<experiment>``, or a folder."""
    input: str | None = None
    """File of initial fields: ``.h5``/``.hdf5``, ``.zarr``, ``.nc``, ``.npy``, ``.npz`` or ``.csv``."""
    output: str | None = None
    """File of the forecast; by default ``data/07_model_output/predictions/<name of input>``. One that ends in ``.zarr``
    or ``.nc`` is written part by part, however many fields there are."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Of all fields by name, where the file does not say them."""
    viscosity: Positive | None = None
    """Short for the only parameter."""
    times: tuple[Positive, ...] = ()
    """Times after the initial fields; by default the longest that the model was scored on."""
    members: Annotated[int, Field(ge=2, le=10**4)] | None = None
    """Members of an ensemble; by default one forecast."""
    guided: bool = False
    """Whether the equation's balance corrects every step."""


class Audit(Section):
    """What ``--pipeline=audit`` looks at."""

    input: str | None = None
    """A file of trajectories in any layout, or a folder of such files."""
    strict: bool = False
    """Whether a finding of severity error ends the run with exit status 1, after everything has been saved."""
    trajectories: Annotated[int, Field(ge=2, le=10**6)] = 1000
    """Most training trajectories that trivial predictors look up in; everything else looks at all, or at a few."""


class Score(Section):
    """Forecasts of anybody's in a file, and the truth; ``--pipeline=score``."""

    forecast: str | None = None
    """File of the forecasts: ``.zarr``, ``.nc``, ``.h5``/``.hdf5`` or ``.npz``."""
    truth: str | None = None
    """File of true trajectories from time 0 on, of the same samples, points and times."""
    training: str | None = None
    """File of other trajectories: their mean and the nearest of them stand beside the forecast."""
    name: Name | None = None
    """What it is called; by default as the file of the forecast."""

    @property
    def title(self) -> str:
        """Return what the forecast is called."""
        return self.name or re.sub(r"[^A-Za-z0-9_.-]", "_", Path(self.forecast or "forecast").stem).lstrip(".-")


class Gate(Section):
    """One thing that a finished experiment must reach."""

    name: str
    """What is demanded, in words."""
    experiments: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Whom it binds."""
    metric: Annotated[str, text(r"[a-z_0-9]+/[a-z_0-9]+/[a-z_0-9.-]+(/[\w.\- ]+)?", "be protocol/variant/metric")]
    """Name of the score, ``<protocol>/<variant>/<metric>``; for one of several sets of parameters ``…_at_<values>``,
    for one of several channels ``…/<channel>``."""
    direction: Literal["at_most", "below", "at_least", "above"] = "at_most"
    bound: float | None = None
    """The bound itself, or:"""
    relative_to: Name | None = None
    """the experiment whose score of the same name, times ``factor``, is the bound."""
    factor: Positive = 1.0
    negligible: NonNegative = 0.0
    """A relative upper bound is never below this: where both are rounding, none is better."""
    level: Literal["minimum", "strong"] = "minimum"
    """Only ``minimum`` gates are enforced; ``strong`` ones are an ambition."""

    @model_validator(mode="after")
    def _one_bound(self) -> "Gate":
        if (self.bound is None) == (self.relative_to is None):
            raise ValueError(
                f"bound = {self.bound} and relative_to = {self.relative_to}: exactly one must be set; drop or add one"
            )
        return self


class Gates(Section):
    """Targets of all experiments, and whether missing one fails the run."""

    enforce: bool = False
    """Whether a missed ``minimum`` gate ends the run with exit status 1, after everything has been saved."""
    entries: tuple[Gate, ...] = ()


class Search(Section):
    """Values to search: between two ends (whole numbers where the parameter is one), or a few."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Whether factors count rather than differences."""
    choices: Annotated[tuple[bool | int | float | str, ...], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Search":
        told = f"low = {self.low}, high = {self.high}, choices = {self.choices}"
        if self.choices is not None and (self.low, self.high) == (None, None):
            return self
        if self.choices is not None or self.low is None or self.high is None:
            raise ValueError(f"{told}: must be low and high, or choices; set the others to null")
        if self.low >= self.high or (self.log and self.low <= 0):
            least = "0 < low < high, as log is true" if self.log else "low < high"
            raise ValueError(f"low = {self.low} and high = {self.high} must be {least}; change either")
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """Return the values that must be allowed, so that all between them are."""
        return self.choices or (self.low, self.high)


_RATE: dict[str, Search | None] = {"operator.training.learning_rate": Search(low=5e-4, high=1e-2, log=True)}


class Sweep(Section):
    """A search for better parameters of the operator around those of an experiment."""

    trials: Count | None = 20
    hours: Positive | None = None
    usd: Positive | None = None
    """Limits, over all runs of the sweep; the first that is reached ends it."""
    epochs: Count = 3
    """Of the operator, in one trial."""
    trajectories: Count = 50
    """Validation trajectories that are rolled out after every epoch."""
    space: dict[str, Search | None] = Field(default_factory=lambda: dict(_RATE))
    """What is searched: a parameter's path, and its range or choices; null leaves it as the experiment has it."""

    @model_validator(mode="after")
    def _ends(self) -> "Sweep":
        if self.trials is None and self.hours is None and self.usd is None:
            raise ValueError(
                "trials, hours and usd = null: one of them must be set, or the sweep never ends; set trials"
            )
        return self

    @property
    def searched(self) -> dict[str, Search]:
        """Return the parameters that are searched."""
        return {path: search for path, search in self.space.items() if search is not None}

    def identity(self) -> dict[str, Any]:
        """Return what makes trials comparable: everything but the budget."""
        return self.model_dump(mode="json", exclude={"trials", "hours", "usd"})
