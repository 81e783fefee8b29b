"""Find the initial field that explains observations."""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from universal_simulator.configuration import Assimilate, Inverse
from universal_simulator.inverse.observations import Observations
from universal_simulator.reporting.question_pages import assimilation_page, assimilation_pictures
from universal_simulator.serving import files
from universal_simulator.serving.cautions import OutsideTrainingWarning
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.inversion import initial_field
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)
T = TypeVar("T")


def observed(asked: Inverse, section: str) -> Observations:
    """Return the observations of a file, their noise correlated as is asked; refuse none."""
    if not asked.observations:
        raise InputError(f"{section}.observations = null: must name a table; add {section}.observations=FILE")
    return Observations.read(asked.observations).correlated(asked.noise.length, asked.noise.time)


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
    observations, given = observed(asked, "assimilate"), fields(asked.truth)
    truth = None if given is None else initial_field(model, given)[0]
    prior, solver = fields(asked.prior), asked.with_solver
    told = (observations, asked.parameters, prior, asked.variational, solver, seed)
    found, warned = with_warnings(partial(model.assimilate, *told))
    result, pictures = found.numbers(truth), assimilation_pictures(model.card, found, truth)
    log.info("%s", found.cost.told)
    state = {"analysis": found.analysis.field.numpy(), "members": found.analysis.members.numpy()}
    if found.solver is not None:
        state["solver"] = found.solver.field.numpy()
    page = assimilation_page(model.card, asked, found, result, pictures, warned)
    return result, state, {one.name: one.data for one in pictures}, page
