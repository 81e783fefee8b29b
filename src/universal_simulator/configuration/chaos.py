"""How a chaotic problem is scored: no forecast follows the truth for ever, and its statistics count besides."""

from typing import Annotated

from pydantic import Field, model_validator

from universal_simulator.configuration.others import CoarseSolver
from universal_simulator.configuration.section import NonNegative, Positive, Section


class Chaos(Section):
    """Fresh trajectories on the attractor, how long they are followed, and who follows them besides."""

    starts: Annotated[int, Field(ge=2, le=10**4)] = 32
    """Trajectories solved for it, from initial fields of the family that no data set holds."""
    spin_up: NonNegative = 100.0
    """Time units before the start, in which the initial field is forgotten."""
    horizon: Positive = 150.0
    """Time units over which forecasts are held against the truth."""
    long_run: Positive = 1000.0
    """Time units of the run whose second half gives the statistics."""
    correlation: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """A forecast is valid as long as its correlation with the truth, over space, is no less."""
    members: Annotated[int, Field(ge=2, le=10**4)] = 16
    """Of the ensemble."""
    solvers: tuple[CoarseSolver, ...] = ()
    """Our solver at several costs, beside the network."""

    @model_validator(mode="after")
    def _long_enough(self) -> "Chaos":
        if self.long_run < 2 * self.horizon:
            raise ValueError(
                f"long_run = {self.long_run:g} must be at least twice horizon = {self.horizon:g}, so that its second "
                "half has forgotten the start; raise it"
            )
        return self
