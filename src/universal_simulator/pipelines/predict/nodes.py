"""Forecast the fields in a file."""

import logging
import warnings
from pathlib import Path

import numpy as np

from universal_simulator.configuration import Predict
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.files import Forecasts, InitialFields
from universal_simulator.serving.labelled import ENDINGS
from universal_simulator.serving.streams import Asked, Stream
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


def forecast_file(model: Emulator, fields: InitialFields, predict: Predict, seed: int) -> Forecasts | Stream:
    """Return the forecast; what is outside of the model's training is told in the log.

    One that goes to zarr or netCDF is computed while it is written.
    """
    facts, grid = model.card.facts, model.card.grid
    parameters = {one.name: _value(one, facts, fields, predict) for one in facts.parameters}
    times = predict.times or (model.card.horizon,)
    u0 = fields.of(facts, grid)
    columns = {name: _column(value, len(u0)) for name, value in parameters.items()}
    if Path(predict.output or predict.input or "").suffix.lower() in ENDINGS:
        return Stream(model, u0, columns, Asked(times, predict.members, predict.guided, seed))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        u = model.rollout(np.asarray(u0), None, times, predict.members, predict.guided, seed, parameters=parameters)
    for warning in told:
        log.warning("%s", warning.message)
    log.info("%s forecast %d fields at %d times", model.card.experiment, len(u), len(times))
    alarm = None if model.parts.calibration.alarm is None else model.judge(np.asarray(u0), u, times, parameters)
    return Forecasts(u, np.asarray(times, np.float64), columns, grid, facts.names, alarm)


def _column(value: np.ndarray | float, samples: int) -> np.ndarray:
    return np.broadcast_to(np.ravel(value), (samples,)).astype(np.float64)


def _value(of: Parameter, facts: Facts, fields: InitialFields, predict: Predict) -> np.ndarray | float:
    """Return what the file says of a parameter, or what is asked for; refuse two that differ, and none."""
    known = [fields.parameters[name] for name in (of.name.lower(), of.label.lower()) if name in fields.parameters]
    alone = len(facts.parameters) == 1
    if not known and alone and "viscosity" in fields.parameters:
        known = [fields.parameters["viscosity"]]
    asked = predict.parameters.get(of.name, predict.viscosity if alone else None)
    name = "predict.viscosity" if alone and of.name not in predict.parameters else f"predict.parameters.{of.name}"
    if not known and asked is None and of.optional:
        return 0.0
    if not known and asked is None:
        raise InputError(f"{name} = null: must be given, the file does not say it; add {name}=0.01")
    if not known or asked is None:
        return known[0] if known else float(asked)  # type: ignore[arg-type]
    if not np.allclose(known[0], asked, rtol=1e-5):
        own = ", ".join(f"{one:g}" for one in np.unique(known[0])[:4])
        raise InputError(f"{name} = {asked:g}: must be the file's own {own}; leave it out, or correct the file")
    return known[0]
