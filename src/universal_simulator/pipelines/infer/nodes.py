"""Find which parameters explain observations."""

import logging
from functools import partial
from typing import Any

from universal_simulator.configuration import Infer
from universal_simulator.inverse.chains import Chains
from universal_simulator.pipelines.assimilate.nodes import fields, observed, with_warnings
from universal_simulator.reporting.inverse_page import inference_page, inference_pictures
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.inference import Found, Inference

log = logging.getLogger(__name__)


def infer_parameters(model: Emulator, asked: Infer, seed: int) -> tuple[dict[str, Any], dict[str, bytes], str]:
    """Return numbers, figures and the page."""
    told = (observed(asked.observations, "infer"), asked, fields(asked.initial), fields(asked.prior), seed)
    found, warned = with_warnings(partial(model.infer, *told))
    result, pictures = _result(found), inference_pictures(found)
    log.info("%s", found.cost.told)
    page = inference_page(model.card, asked, found, result, pictures, warned)
    return result, {one.name: one.data for one in pictures}, page


def _result(found: Inference) -> dict[str, Any]:
    """Return the numbers, by flat names; with several parameters each name ends with the parameter's."""
    each = {"posterior": found.posterior, "perfect_model": found.perfect, "exact": found.exact}
    result: dict[str, Any] = {}
    for name, one in each.items():
        result |= {f"{name}/{key}": value for key, value in _moments(found, one).items()}
    calibration, cost = found.calibration, found.cost
    return result | {
        "calibration/ks": None if calibration is None else calibration.ks,
        "calibration/p_value": None if calibration is None else calibration.p_value,
        "calibration/coverage_90": None if calibration is None else calibration.coverage,
        "model_error/over_noise": found.model_error,
        "cost/training_seconds": cost.training_seconds,
        "cost/seconds_per_query": cost.seconds_per_query,
        "cost/solver_seconds_per_query": cost.solver_seconds_per_query,
        "cost/break_even_queries": cost.break_even_queries,
    }


def _moments(found: Inference, one: Found | None) -> dict[str, Any]:
    names = [of.parameter.name for of in found.sought]
    if one is None:
        return dict.fromkeys(("mean", "sd")) if len(names) == 1 else {}
    if not isinstance(one, Chains):
        low, high = one.interval
        return {"mean": one.mean, "sd": one.sd, "low_90": low, "high_90": high}
    told: dict[str, Any] = {"converged": one.converged}
    for i, name in enumerate(names):
        columns = {"mean": one.mean, "sd": one.sd, "r_hat": one.r_hat, "effective": one.effective}
        told |= {f"{key}/{name}": float(values[i]) for key, values in columns.items()}
    return told
