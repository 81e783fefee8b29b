"""How much one request may cost, so that none computes for ever."""

import math
import os

from universal_simulator.support.errors import InputError

SETTING = "UNIVERSAL_SIMULATOR_LARGEST_FORECAST"
LARGEST = 1e9
"""Numbers: an hour or two of one core."""
LARGEST_SERVED = 2e7
"""Of one request over HTTP: about a minute, after which MLflow's server gives up by default."""
LARGEST_QUESTION = 2e8
"""Of one question that is answered by many forecasts, as an assimilation: some minutes."""
FEWEST_POINTS = 1024
"""A step costs no less for fewer points: the networks' latent grid is the same."""
GUIDED = 5
"""Times as long takes a guided step."""


def cost(samples: int, members: int, steps: float, points: int) -> float:
    """Return what a forecast costs, in numbers that are computed."""
    return float(samples) * members * steps * max(points, FEWEST_POINTS)


def refuse_beyond(usual: float, samples: int, members: int, steps: float, points: int, guided: bool = False) -> None:
    """Refuse a forecast that costs more than the setting allows, or than what is usual without it."""
    asked, largest = cost(samples, members, steps, points) * (GUIDED if guided else 1), limit(usual)
    if asked > largest:
        raise InputError(
            f"forecast = {samples} fields × {members} members × {steps:.15g} steps × {points} points"
            f"{', guided,' if guided else ''} costs {asked:.2g}: must cost at most {largest:.2g}; "
            f"ask for fewer or earlier, in several requests, or set {SETTING}"
        )


def refuse_question(runs: float, steps: float, points: int) -> None:
    """Refuse what needs more forecasts than the setting allows, or than what is usual without it."""
    asked, largest = cost(1, 1, runs * steps, points), limit(LARGEST_QUESTION)
    if asked > largest:
        raise InputError(
            f"question = about {runs:.3g} forecasts × {steps:.3g} steps × {points} points costs {asked:.2g}: must cost "
            f"at most {largest:.2g}; ask for fewer iterations, members, nodes or draws, or set {SETTING}"
        )


def limit(usual: float) -> float:
    """Return the largest cost: of the environment's setting, or else what is usual."""
    text = os.environ.get(SETTING, "").strip() or str(usual)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not found > 0:
        raise InputError(f"{SETTING} = {text}: must be a positive number, as {usual:g}; correct or unset it")
    return found
