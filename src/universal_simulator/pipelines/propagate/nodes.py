"""Let distributions of inputs become those of forecasts."""

import logging
from typing import Any

import numpy as np

from universal_simulator.configuration import Propagate
from universal_simulator.reporting.question_pages import propagation_page
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.files import InitialFields

log = logging.getLogger(__name__)


def propagate_inputs(
    model: Emulator, initial: InitialFields, propagate: Propagate, seed: int
) -> tuple[dict[str, Any], str]:
    """Return numbers and the page."""
    u0 = np.asarray(initial.of(model.card.facts, model.card.grid))[:1]
    made = model.propagate(u0, propagate, seed)
    result = {
        **made.numbers,
        "cost/training_seconds": made.cost.training_seconds,
        "cost/seconds_per_query": made.cost.seconds_per_query,
        "cost/solver_seconds_per_query": made.cost.solver_seconds_per_query,
        "cost/break_even_queries": made.cost.break_even_queries,
    }
    log.info("%s", made.cost.told)
    return result, propagation_page(model.card, propagate, made, result)
