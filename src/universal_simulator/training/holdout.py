"""Training trajectories are shared out: most to the operator, the last ones to those who learn its errors.

Errors on what a network was fitted to are smaller than on anything else; a residual learned from them would be too.
"""

from universal_simulator.fields.latents import Latents


def fitted(train: Latents, holdout: float) -> Latents:
    """Return what the operator learns from."""
    return train.part(slice(0, _boundary(train, holdout)))


def held_out(train: Latents, holdout: float) -> Latents:
    """Return what the operator never sees."""
    return train.part(slice(_boundary(train, holdout), None))


def _boundary(train: Latents, holdout: float) -> int:
    """Leave at least one trajectory on either side."""
    return min(max(round(len(train) * (1 - holdout)), 1), len(train) - 1)
