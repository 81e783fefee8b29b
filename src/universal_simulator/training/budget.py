"""Train for a given time: the speed of real steps is measured, and the epochs are made as long as the time allows.

The loop stays as it is, counted in steps, so that a training is continued and repeated as any other.
"""

import statistics
import time

from universal_simulator.compute.device import stream
from universal_simulator.configuration import Training
from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import Stage, train

PROBE = 10
"""Steps between two looks at the clock."""
LEAST = 3
"""Looks of which the median is taken; the first one, which warms up, not counted."""
SHARE, LONGEST_S = 0.02, 15.0
"""Part of the time that measuring may take, and its limit."""
VALIDATION = 1 / 3
"""Cost of validating a batch, in steps: no gradient."""


def steps_per_second(stage: Stage, settings: Training, seconds: float) -> float:
    """Take real steps for about ``seconds``; ``stage`` is a throwaway one, whose weights change."""
    short = settings.model_copy(
        update={
            "epochs": 10**6,
            "patience": 10**6,
            "windows_per_epoch": PROBE * settings.batch_size,
            "learning_rate": 1e-9,
            "final_learning_rate": 0.0,
        }
    )
    begun, rates = time.monotonic(), []
    for checkpoint in train(stage, short, stream(0, "speed")):
        if not checkpoint.row:  # perhaps asked to stop by a signal, which is obeyed when the training has ended
            continue
        rates.append((PROBE + _validating(settings)) / checkpoint.row["seconds"])
        if time.monotonic() - begun > seconds and len(rates) > LEAST:
            break
    return statistics.median(rates[1:])


def fitted_to(settings: Training, rate: float, seconds: float, name: str) -> Training:
    """Return the settings with epochs that take ``seconds`` in all, validation included; ``name`` is the budget's."""
    steps = int(seconds * rate / settings.epochs - _validating(settings))
    if steps < 1:
        raise InputError(
            f"{name} = {seconds:g}: must leave each of {settings.epochs} epochs a step at {rate:.3g} steps per second, "
            "validation apart; raise it, or lower the number of epochs"
        )
    return settings.model_copy(update={"windows_per_epoch": steps * settings.batch_size})


def _validating(settings: Training) -> float:
    """Return what validating at the end of an epoch costs, in steps."""
    return max(1, settings.validation_windows // settings.batch_size) * VALIDATION


def measuring_time(seconds: float) -> float:
    """Return how long to measure before a training of ``seconds``."""
    return min(SHARE * seconds, LONGEST_S)
