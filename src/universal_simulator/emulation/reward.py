"""How physical a step looks: a score from the equation alone, on decoded fields. No network was trained on it."""

from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import RewardWeights
from universal_simulator.physics.balance import energy_growth, integrated_residual, mass_change
from universal_simulator.physics.equations import Equation

WORST = 1e6
"""Violation of a step that is no field at all."""


def reward(
    equation: Equation,
    before: Float[Tensor, "*batch space"],
    after: Float[Tensor, "*batch space"],
    time_step: float,
    weights: RewardWeights,
) -> Float[Tensor, "*batch"]:
    """Return minus the weighed violations: 0 for a perfect step, about -1 for one no better than standing still."""
    violation = (
        integrated_residual(equation, before, after, time_step)
        + weights.mass * mass_change(before, after)
        + weights.energy * energy_growth(before, after)
    )
    return -violation.nan_to_num(nan=WORST, posinf=WORST).clamp(max=WORST).to(before.dtype)
