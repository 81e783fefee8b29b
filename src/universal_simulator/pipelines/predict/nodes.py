"""Forecast the fields in a file."""

import logging
import warnings

import numpy as np

from universal_simulator.configuration import Predict
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.files import Forecasts, InitialFields
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


def forecast_file(model: Emulator, fields: InitialFields, predict: Predict, seed: int) -> Forecasts:
    """Return the forecast; what is outside of the model's training is told in the log."""
    viscosity = _viscosity(fields.viscosity, predict.viscosity)
    times = predict.times or (model.card.horizon,)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        u = model.rollout(fields.u0, viscosity, times, predict.members, predict.guided, seed)
    for warning in told:
        log.warning("%s", warning.message)
    log.info("%s forecast %d fields at %d times", model.card.experiment, len(u), len(times))
    return Forecasts(
        u, np.asarray(times, np.float64), np.broadcast_to(np.ravel(viscosity), (len(u),)).astype(np.float64)
    )


def _viscosity(said: np.ndarray | None, asked: float | None) -> np.ndarray | float:
    """Return the file's viscosity, or the one asked for; refuse two that differ, and none."""
    if said is None and asked is None:
        raise InputError(
            "predict.viscosity = null: must be given, the file does not say it; add predict.viscosity=0.01"
        )
    if said is None or asked is None:
        return asked if asked is not None else np.asarray(said)
    if not np.allclose(said, asked, rtol=1e-5):
        own = ", ".join(f"{one:g}" for one in np.unique(said)[:4])
        raise InputError(
            f"predict.viscosity = {asked:g}: must be the file's own {own}; leave it out, or correct the file"
        )
    return said
