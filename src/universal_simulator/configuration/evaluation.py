"""How a trained chain is used and scored, and what follows from its scores."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from universal_simulator.configuration.chaos import Chaos
from universal_simulator.configuration.section import (
    Count,
    Name,
    NonNegative,
    Positive,
    Probability,
    Section,
    Size,
    text,
)


class RewardWeights(Section):
    """Weights of the physical terms in a candidate's reward, relative to the equation's residual (1)."""

    mass: NonNegative = 1.2
    energy: NonNegative = 0.15


class Guidance(Section):
    """Correction of every step by the equation's balance, before it is scored."""

    modes: Annotated[int, Field(ge=0, le=10**4)] = 8
    """Longest waves that the balance prescribes; 0 switches guidance off."""
    iterations: Size = 3
    """Fixed-point iterations of the implicit balance."""


class TestTimeConditioning(Section):
    """Guide each step by physics the networks did not see, and search among candidate steps that physics scores."""

    candidates: Size = 8
    beam: Size = 3
    horizon: Size = 1
    threshold: NonNegative = 0.35
    discount: Positive = 1.0
    budget: Annotated[int, Field(ge=0, le=10**9)] = 150
    """Candidate evaluations (network calls) spent on one trajectory."""
    noise_std: NonNegative = 0.015
    noise_schedule: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.03, 0.015, 0.005)
    reward: RewardWeights = RewardWeights()
    guidance: Guidance = Guidance()
    max_batch: Count = 512
    """States in one network call, which bounds memory."""

    @model_validator(mode="after")
    def _beam_fits(self) -> "TestTimeConditioning":
        if self.beam > self.candidates:
            raise ValueError(f"beam = {self.beam} must not exceed candidates = {self.candidates}; lower it")
        return self


class Ensemble(Section):
    """How many members a probabilistic forecast has."""

    members: Annotated[int, Field(ge=2, le=10**4)] = 8


class Outside(Section):
    """What lies outside the training data, to see whether the spread of ensembles rises with their error there."""

    trajectories: Annotated[int, Field(ge=0, le=10**4)] = 16
    """Solved for each case; 0 leaves all of it out."""
    parameter: tuple[Positive, ...] = (0.25, 0.5, 2.0, 4.0)
    """Factors on the smallest of ``data.viscosities`` where below 1, on the largest where above."""
    amplitude: tuple[Positive, ...] = (0.25, 0.5, 2.0)
    """Factors on initial fields."""


class EnsembleCalibration(Section):
    """How the spread of ensembles is fitted, on validation trajectories alone."""

    trajectories: Count = 64
    memories: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0, 0.05, 0.1, 0.2)
    """Times, in time units, over which a member's noise may remember; the best one is kept."""


Protocol = Literal["one_step", "rollout", "pdebench", "ten_given"]
Variant = Literal["deterministic", "ensemble", "ttc", "guided_ensemble", "fast", "persistence", "mean", "nearest"]


class Evaluation(Section):
    """What is scored on the test split."""

    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("one_step", "rollout", "pdebench")
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = (
        "persistence",
        "mean",
        "nearest",
        "deterministic",
        "ensemble",
        "ttc",
    )
    ensemble: Ensemble = Ensemble()
    outside: Outside = Outside()
    chaos: Chaos | None = None
    """Scores of a chaotic problem (docs/metrics.md); null: none."""
    batch_size: Count = 50
    """Trajectories forecast at once."""
    one_step_every: Count = 10
    """``one_step`` starts from every so many steps of a trajectory: neighbours say almost the same."""
    examples: Count = 4
    """Test trajectories kept whole, for the report's pictures."""

    @model_validator(mode="after")
    def _different(self) -> "Evaluation":
        for name in ("protocols", "variants"):
            value = getattr(self, name)
            if len(set(value)) < len(value):
                raise ValueError(f"{name} = {','.join(value)} must differ from each other; drop the repeated one")
        return self


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
