"""What is said aloud beside an answer that is given all the same."""

import warnings
from collections.abc import Sequence

from universal_simulator.fields.statistics import MARGIN, Statistics


class OutsideTrainingWarning(UserWarning):
    """Something was asked for that the model was not trained on: its error there is unknown."""


class GuidanceWarning(UserWarning):
    """Guidance made this model's forecasts worse where they were scored."""


class DivergedWarning(UserWarning):
    """Some forecasts hold values that are no numbers."""


def warn_outside(statistics: Statistics, parameters: Sequence[float]) -> None:
    """Warn of parameters that a model was not trained on, of each by name."""
    for known, value in zip(statistics.parameters, parameters, strict=True):
        if line := known.outside(value, MARGIN):
            warnings.warn(OutsideTrainingWarning(f"{line}: the error there is unknown"), stacklevel=3)
