"""Whether a file of forecasts and one of the truth are about the same: each thing that is not, in one line."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from universal_simulator.serving.whole_fields import WholeFields
from universal_simulator.support.errors import InputError

NEAR = 1e-4
"""How far a time may lie from the truth's, in its steps."""


def refuse_other(forecast: WholeFields, truth: WholeFields) -> None:
    """Refuse a forecast of other samples, points, members or parameters than can be held against the truth."""
    if truth.members is not None:
        raise InputError(f"score.truth = {truth.members} members of each sample, must be one truth; select a member")
    if forecast.members == 1:
        raise InputError("score.forecast = an ensemble of 1 member, must have 2 at least; drop the axis of members")
    if forecast.samples != truth.samples:
        told = f"score.forecast = {forecast.samples} samples, must be the truth's {truth.samples}"
        raise InputError(f"{told}, in its order; select the same ones")
    if forecast.grid != truth.grid:
        shapes = [" × ".join(map(str, one.grid.shape)) for one in (forecast, truth)]
        told = f"score.forecast = {shapes[0]} points, must be the truth's {shapes[1]}"
        raise InputError(f"{told}; write the forecast on them")
    for name in sorted({*forecast.parameters} & {*truth.parameters}):
        ours, theirs = (np.broadcast_to(one.parameters[name], truth.samples) for one in (forecast, truth))
        if not np.allclose(ours, theirs, rtol=1e-5):
            at = int(np.argmax(~np.isclose(ours, theirs, rtol=1e-5)))
            told = f"score.forecast: {name} = {ours[at]:g} at sample {at}, must be the truth's {theirs[at]:g}"
            raise InputError(f"{told}; are the samples in the same order?")


def frames(forecast: WholeFields, truth: WholeFields) -> tuple[Int[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Return which frames of the forecast are scored, and which of the truth they are held against."""
    if abs(truth.times[0]) > NEAR * _step(truth.times):
        told = f"score.truth: times begin at {truth.times[0]:g}, must begin at 0"
        raise InputError(f"{told}, with the fields that the forecast was given; put them in front")
    found = np.abs(truth.times[None] - forecast.times[:, None]).argmin(1)
    off = np.abs(truth.times[found] - forecast.times) > NEAR * _step(truth.times)
    if off.any():
        near = f"{forecast.times[off][0]:g}, must be one of the truth's ({_range(truth.times)})"
        raise InputError(f"score.forecast: time {near}; leave it out, or write the truth at it")
    later = found > 0  # the start itself is given, not forecast
    if not later.any() or len(set(found.tolist())) < len(found):
        told = ", ".join(f"{time:g}" for time in forecast.times[:5])
        raise InputError(f"score.forecast: times = {told}, must be after 0 and differ; correct them")
    return np.flatnonzero(later), found[later]


def parameter_rows(truth: WholeFields, forecast: WholeFields) -> Float[np.ndarray, "sample parameter"]:
    """Return the parameters in the order of the facts, as the truth says them, or else the forecast."""
    said: Mapping[str, np.ndarray] = {**forecast.parameters, **truth.parameters}
    columns = []
    for one in truth.facts.parameters:
        known = next((said[name] for name in (one.name.lower(), one.label.lower()) if name in said), None)
        if known is None and one.default is not None:
            known = np.array(one.default)
        if known is None:
            raise InputError(
                f"score.truth: {one.name} = missing, must be there for {truth.facts.name}; add it, one number or one "
                "for each sample"
            )
        columns.append(np.broadcast_to(known, truth.samples))
    return np.stack(columns, 1).astype(np.float64) if columns else np.zeros((truth.samples, 0))


def _step(times: np.ndarray) -> float:
    return float(np.diff(times).min()) if len(times) > 1 else 1.0


def _range(times: np.ndarray) -> str:
    return f"{len(times)} from {times[0]:g} to {times[-1]:g}"
