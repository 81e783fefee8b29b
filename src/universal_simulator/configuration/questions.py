"""Questions to a finished model: where did it begin, which parameter was it, how uncertain is it.

From observations back: the initial state, or parameters of the equation.

From distributions of initial fields and parameters to those of forecasts.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from universal_simulator.configuration.others import CoarseSolver
from universal_simulator.configuration.section import Count, Name, NonNegative, Positive, Probability, Section, Size


class Variational(Section):
    """How an initial state is sought."""

    iterations: Size = 60
    """Of the minimisation, at most."""
    waves: Size = 24
    """Waves per domain, along each axis, that a state is made of."""
    prior_fields: Annotated[int, Field(ge=2, le=10**5)] = 400
    """Initial fields of the problem's family that the prior is estimated from, where no others are given."""
    members: Annotated[int, Field(ge=0, le=10**4)] = 16
    """Of the ensemble that says how sure the state is; 0: none."""
    error_members: Annotated[int, Field(ge=0, le=10**4)] = 32
    """Of the model's own ensemble, which its error is taken from; 0: the model is taken to be perfect."""
    solver: CoarseSolver = CoarseSolver(points=256, courant=3.0)
    """The solver that the same is done with."""


class Sampling(Section):
    """Hamiltonian Monte Carlo, where two or more parameters are sought."""

    chains: Annotated[int, Field(ge=2, le=64)] = 4
    draws: Annotated[int, Field(ge=4, le=10**6)] = 250
    warm_up: Annotated[int, Field(ge=0, le=10**6)] = 150


class Correlation(Section):
    """How noise is correlated between observations of one channel."""

    length: NonNegative = 0.0
    """``exp(-|Δx|/length)`` along each axis; 0: none between different places."""
    time: NonNegative = 0.0
    """``exp(-|Δt|/time)``; 0: none between different times."""


class Inverse(Section):
    """What both tasks are told."""

    name: Name = "result"
    """Folder of the results."""
    model: Annotated[str, Field(min_length=1)] = "models:/universal-simulator@champion"
    """Address: a version in MLflow's registry, ``shipped:<experiment>``, or a folder."""
    observations: str | None = None
    """Table of observations: ``.csv`` or netCDF."""
    parameters: dict[str, float] = Field(default_factory=dict)
    """Of the equation, by name: those that are known."""
    prior: str | None = None
    """File of initial fields that the prior is estimated from; by default the family that the model was trained on."""
    noise: Correlation = Correlation()
    """Of the observations."""
    with_solver: bool = True
    """Whether the same is done with the problem's solver, where there is one."""
    variational: Variational = Variational()


class Assimilate(Inverse):
    """The initial state from observations; ``--pipeline=assimilate``."""

    truth: str | None = None
    """File of the true initial field, where it is known, as in a twin experiment."""


class Infer(Inverse):
    """One to three parameters from observations; ``--pipeline=infer``."""

    sought: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Bounds by name; by default what the model was trained on, of every parameter that is not known."""
    initial: str | None = None
    """File of the initial field; by default only its prior is known."""
    calibration: Annotated[int, Field(ge=0, le=10**5)] = 0
    """Synthetic truths of a simulation-based calibration; 0: none."""
    nodes: Annotated[int, Field(ge=9, le=1001)] = 17
    """Values of the parameter that are looked at together where the initial field is integrated out."""
    sampling: Sampling = Sampling()

    @model_validator(mode="after")
    def _bounded(self) -> "Infer":
        for name, (low, high) in self.sought.items():
            if not low < high:
                raise ValueError(f"sought.{name} = {low:g}, {high:g} must be in ascending order; swap them")
        if both := sorted(set(self.sought) & set(self.parameters)):
            raise ValueError(f"sought.{both[0]} must not be in parameters, too; drop one")
        if len(self.sought) > 3:
            raise ValueError(f"sought = {', '.join(self.sought)} must be at most three parameters; fix the others")
        return self


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
