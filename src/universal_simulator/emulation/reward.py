"""How physical a step looks: a score from the equation alone, on decoded fields. No network was trained on it."""

from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import RewardWeights
from universal_simulator.physics.balance import Balance, energy_growth, mass_change

WORST = 1e6
"""Violation of a step that is no field at all."""


def reward(
    balance: Balance,
    before: Float[Tensor, "sample channel *space"],
    after: Float[Tensor, "sample channel *space"],
    parameters: Float[Tensor, "sample parameter"],
    weights: RewardWeights,
) -> Float[Tensor, " sample"]:
    """Return minus the weighed violations: 0 for a perfect step, about -1 for one no better than standing still.

    Growing energy counts where the problem's can only fall, a change of mass where it is conserved.
    """
    violation = balance.residual(before, after, parameters)
    violation = violation + weights.mass * mass_change(before, after, balance.facts, balance.grid)
    if balance.facts.decays:
        violation = violation + weights.energy * energy_growth(before, after, balance.grid)
    return -violation.nan_to_num(nan=WORST, posinf=WORST).clamp(max=WORST).to(before.dtype)
