"""The exact solution of the Riemann problem of an ideal gas (Toro 2009, chapter 4), and Toro's seven tests."""

import numpy as np
from scipy.optimize import brentq

TORO = {  # left and right (ρ, v, p), place of the jump on the unit interval, time (Toro 2009, section 10.8; the last two shorter)
    1: ((1, 0.75, 1), (0.125, 0, 0.1), 0.3, 0.2),
    2: ((1, -2, 0.4), (1, 2, 0.4), 0.5, 0.15),
    3: ((1, 0, 1000), (1, 0, 0.01), 0.5, 0.012),
    4: ((5.99924, 19.5975, 460.894), (5.99242, -6.19633, 46.095), 0.4, 0.035),
    5: ((1, -19.59745, 1000), (1, -19.59745, 0.01), 0.8, 0.012),
    6: ((1.4, 0, 1), (1, 0, 1), 0.5, 0.25),
    7: ((1.4, 0.1, 1), (1, 0.1, 1), 0.5, 0.25),
}


def _rise(p: float, side: tuple[float, ...], gamma: float) -> float:
    """Return how much the velocity changes across the wave that takes a side to the pressure p (eqs. 4.6, 4.7)."""
    rho, _, own = side
    if p > own:
        return (p - own) * np.sqrt(2 / ((gamma + 1) * rho) / (p + (gamma - 1) / (gamma + 1) * own))
    sound = np.sqrt(gamma * own / rho)
    return 2 * sound / (gamma - 1) * ((p / own) ** ((gamma - 1) / (2 * gamma)) - 1)


def _wave(s: np.ndarray, side: tuple[float, ...], p: float, v: float, gamma: float) -> tuple[np.ndarray, ...]:
    """Return the solution at the speeds s left of the contact, for the left side and the middle's p and v."""
    rho, u, own = side
    sound, g = np.sqrt(gamma * own / rho), (gamma - 1) / (gamma + 1)
    if p > own:
        front = u - sound * np.sqrt((gamma + 1) / (2 * gamma) * p / own + (gamma - 1) / (2 * gamma))
        middle = rho * (p / own + g) / (g * p / own + 1)
        return tuple(np.where(s < front, a, b) for a, b in zip(side, (middle, v, p), strict=True))
    middle = rho * (p / own) ** (1 / gamma)
    head, tail = u - sound, v - np.sqrt(gamma * p / middle)
    fan_v = 2 / (gamma + 1) * (sound + (gamma - 1) / 2 * u + s)
    fan_c = np.maximum(fan_v - s, 0)
    ratio = (fan_c / sound) ** (2 / (gamma - 1))
    fan = (rho * ratio, fan_v, own * ratio**gamma)
    states = zip(side, fan, (middle, v, p), strict=True)
    return tuple(np.where(s < head, a, np.where(s > tail, c, b)) for a, b, c in states)


def exact(s: np.ndarray, left: tuple[float, ...], right: tuple[float, ...], gamma: float = 1.4) -> np.ndarray:
    """Return (ρ, v, p) at the speeds s = x/t."""

    def gap(p: float) -> float:
        return _rise(p, left, gamma) + _rise(p, right, gamma) + right[1] - left[1]

    p = brentq(gap, 1e-12, 1e5, xtol=1e-14)
    v = (left[1] + right[1] + _rise(p, right, gamma) - _rise(p, left, gamma)) / 2
    before = _wave(s, left, p, v, gamma)
    mirrored = (right[0], -right[1], right[2])
    after = _wave(-s, mirrored, p, -v, gamma)
    return np.where(s < v, before, (after[0], -after[1], after[2]))
