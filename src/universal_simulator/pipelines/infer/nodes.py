"""Find which parameters explain observations."""

import logging
from functools import partial
from typing import Any

from universal_simulator.configuration import Infer
from universal_simulator.pipelines.assimilate.nodes import fields, observed, with_warnings
from universal_simulator.reporting.question_pages import inference_page, inference_pictures
from universal_simulator.serving.emulator import Emulator

log = logging.getLogger(__name__)


def infer_parameters(model: Emulator, asked: Infer, seed: int) -> tuple[dict[str, Any], dict[str, bytes], str]:
    """Return numbers, figures and the page."""
    told = (observed(asked, "infer"), asked, fields(asked.initial), fields(asked.prior), seed)
    found, warned = with_warnings(partial(model.infer, *told))
    result, pictures = found.numbers(), inference_pictures(found)
    log.info("%s", found.cost.told)
    page = inference_page(model.card, asked, found, result, pictures, warned)
    return result, {one.name: one.data for one in pictures}, page
