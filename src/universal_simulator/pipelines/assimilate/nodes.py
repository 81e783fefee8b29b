"""Find the initial field that explains observations."""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Assimilate
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.variational import Analysis
from universal_simulator.reporting.inverse_page import assimilation_page, assimilation_pictures
from universal_simulator.serving import files
from universal_simulator.serving.cautions import OutsideTrainingWarning
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.inversion import Assimilation, initial_field
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)
T = TypeVar("T")


def observed(path: str | None, section: str) -> Observations:
    """Return the observations of a file; refuse none."""
    if not path:
        raise InputError(f"{section}.observations = null: must name a table; add {section}.observations=FILE")
    return Observations.read(path)


def fields(path: str | None) -> Any:
    """Return the fields of a file, or none where none is named."""
    return files.read(Path(path).expanduser()).u0 if path else None


def with_warnings(work: Callable[[], T]) -> tuple[T, list[str]]:
    """Return what some work returns and what it warned of, which is logged, too."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = work()
    lines = [str(one.message) for one in told if issubclass(one.category, OutsideTrainingWarning)]
    for line in lines:
        log.warning("%s", line)
    return found, lines


def assimilate_observations(
    model: Emulator, asked: Assimilate, seed: int
) -> tuple[dict[str, Any], dict[str, Any], dict[str, bytes], str]:
    """Return numbers, fields, figures and the page."""
    observations, given = observed(asked.observations, "assimilate"), fields(asked.truth)
    truth = None if given is None else initial_field(model, given)[0]
    prior, solver = fields(asked.prior), asked.with_solver
    told = (observations, asked.parameters, prior, asked.variational, solver, seed)
    found, warned = with_warnings(partial(model.assimilate, *told))
    result, pictures = _result(found, truth), assimilation_pictures(model.card, found, truth)
    log.info("%s", found.cost.told)
    state = {"analysis": found.analysis.field.numpy(), "members": found.analysis.members.numpy()}
    if found.solver is not None:
        state["solver"] = found.solver.field.numpy()
    page = assimilation_page(model.card, asked, found, result, pictures, warned)
    return result, state, {one.name: one.data for one in pictures}, page


def _result(found: Assimilation, truth: Float[Tensor, "channel *space"] | None) -> dict[str, Any]:
    """Return the numbers, by flat names."""
    each = {"analysis": found.analysis, "perfect_model": found.perfect, "solver": found.solver}
    result: dict[str, Any] = {}
    for name, one in each.items():
        if one is not None:
            result |= {f"{name}/{key}": value for key, value in _of(one, truth).items()}
    equal = found.equal
    return result | {
        "model_error/over_noise": found.model_error,
        "cost/training_seconds": found.cost.training_seconds,
        "cost/seconds_per_query": found.cost.seconds_per_query,
        "cost/solver_seconds_per_query": found.cost.solver_seconds_per_query,
        "cost/equal_solver": None if equal is None else equal.name,
        "cost/break_even_queries": found.cost.break_even_queries,
    }


def _of(one: Analysis, truth: Tensor | None) -> dict[str, float]:
    count = len(one.posed.sensing.observations)
    found = {
        "cost_before": float(one.minimum.first[0]),
        "cost_after": float(one.minimum.value[0]),
        "misfit": float(one.posed.noise.quadratic(one.observed - one.posed.sensing.observations.values)) / count,
        "gradients": float(one.minimum.gradients[0]),
        "cpu_seconds": one.seconds,
    }
    if len(one.whitened) > 2:
        found["spread"] = float(one.sd.square().mean().sqrt())
    if truth is None:
        return found
    wrong = one.field - truth
    found["error"] = float(torch.linalg.vector_norm(wrong) / torch.linalg.vector_norm(truth))
    if len(one.whitened) > 2:
        found["coverage_90"] = float((wrong.abs() < 1.645 * one.sd).double().mean())
    return found
