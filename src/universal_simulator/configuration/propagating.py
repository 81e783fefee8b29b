"""From distributions of initial fields and parameters to those of forecasts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from universal_simulator.configuration.others import CoarseSolver
from universal_simulator.configuration.section import Count, Name, NonNegative, Positive, Probability, Section


class Uncertain(Section):
    """The distribution of a parameter."""

    kind: Literal["uniform", "normal", "lognormal"] = "uniform"
    """Of a log-normal one, ``first`` is the median and ``second`` the standard deviation of the logarithm."""
    first: float
    """Lower end, or mean, or median."""
    second: Positive
    """Upper end, or standard deviation."""

    @model_validator(mode="after")
    def _sound(self) -> "Uncertain":
        if self.kind == "uniform" and not self.first < self.second:
            raise ValueError(f"first = {self.first:g} must be below second = {self.second:g}; swap them")
        if self.kind == "lognormal" and self.first <= 0:
            raise ValueError(f"first = {self.first:g} must be positive, as the median of a log-normal; correct it")
        return self


class Propagate(Section):
    """How uncertain a forecast is whose initial field and parameters are; ``--pipeline=propagate``."""

    name: Name = "result"
    """Folder of the results."""
    model: Annotated[str, Field(min_length=1)] = "models:/universal-simulator@champion"
    """Address: a version in MLflow's registry, ``shipped:<experiment>``, or a folder."""
    initial: str | None = None
    """File whose first field is the mean of the initial ones."""
    spread: NonNegative = 0.0
    """Standard deviation of the initial field at a point, in its units."""
    modes: Count = 3
    """Longest waves along each axis that it differs by, all of one variance."""
    parameters: dict[str, Uncertain | float] = Field(default_factory=dict)
    """Distributions, or numbers, by name."""
    times: tuple[Positive, ...] = ()
    """By default the longest that the model was scored on."""
    members: Annotated[int, Field(ge=2, le=10**4)] | None = 4
    """Of the model's ensemble for each input: its own error; null: it is taken to be perfect."""
    samples: Count = 128
    """Points of a Sobol' sequence, a power of two; there are (groups + 2) times as many forecasts."""
    at: tuple[float, ...] = ()
    """Where the quantity of interest is taken; by default it is the maximum over space."""
    quantiles: Annotated[tuple[Probability, ...], Field(min_length=1)] = (0.05, 0.5, 0.95)
    exceeds: tuple[float, ...] = ()
    """Values whose probability to be exceeded is wanted."""
    solver: CoarseSolver = CoarseSolver(points=256, courant=3.0)
    solver_samples: Annotated[int, Field(ge=0, le=10**6)] = 32
    """Inputs that the solver is given, too; 0: none."""

    @model_validator(mode="after")
    def _balanced(self) -> "Propagate":
        if self.samples & (self.samples - 1):
            raise ValueError(f"samples = {self.samples} must be a power of two; take {1 << self.samples.bit_length()}")
        return self
