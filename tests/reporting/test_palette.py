"""Colours that nobody has to guess: told apart by those who see fewer, and never the only difference.

Dichromacies after Machado, Oliveira & Fernandes 2009 (IEEE Trans. Vis. Comput. Graph. 15, 1291, severity 1), distances in
CIELAB (CIE 1976), where 2.3 is just noticeable.
"""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from universal_simulator.catalog.records import LINES as LOSSES
from universal_simulator.reporting.baselines import MARKS as BASELINE_MARKS
from universal_simulator.reporting.baselines import PAINT
from universal_simulator.reporting.comparison_page import LINES, MARKS, PALETTE, _style
from universal_simulator.reporting.style import COLOURS
from universal_simulator.reporting.style import LINES as VARIANTS

VISION = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
CHIPS = dict(re.findall(r"--(good|bad): (#\w+)", (files("universal_simulator.reporting") / "page.css").read_text()))
FORECASTS = ("truth", "deterministic", "ensemble", "guided_ensemble", "ttc", "persistence", "mean", "nearest", "error")
TOGETHER = {
    "forecasts": [COLOURS[name] for name in FORECASTS],
    "losses": [COLOURS["train"], COLOURS["validation"]],
    "losses in Kedro-Viz": [colour for colour, _ in LOSSES],
    "runs": list(PALETTE),
    "baselines": [PAINT[name] for name in ("deterministic", "ttc", "unet", "fno", "solver")],
    "verdicts": list(CHIPS.values()),
}


def lab(colour: str, vision: str) -> np.ndarray:
    """Return CIELAB (D65) of an sRGB colour as that eye sees it."""
    seen = np.clip(np.array(VISION[vision]) @ _linear(np.array(to_rgb(colour))), 0, 1)
    xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]) @ seen  # fmt: skip
    ratio = xyz / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def closest(colours: list[str], vision: str) -> float:
    return min(float(np.linalg.norm(lab(a, vision) - lab(b, vision))) for a, b in combinations(colours, 2))


def test_the_distances_are_those_of_the_colour_space():
    assert np.linalg.norm(lab("#ffffff", "all cones") - lab("#000000", "all cones")) == pytest.approx(100, abs=0.01)
    assert lab("#ff0000", "all cones") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert closest(["#d62728", "#2ca02c"], "deuteranopia") < closest(["#d62728", "#2ca02c"], "all cones") / 3


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("drawn", TOGETHER)
def test_what_is_drawn_together_is_told_apart_by_every_eye(drawn, vision):
    assert closest(TOGETHER[drawn], vision) > 8


def test_colour_is_never_the_only_difference():
    dashes = [str(VARIANTS[name]) for name in FORECASTS[1:]]
    assert len(set(dashes)) == len(dashes)
    assert len({dash for _, dash in LOSSES}) == len(LOSSES)
    assert len({(_style(i)["color"], _style(i)["ls"]) for i in range(12)}) == 12
    assert len(set(MARKS)) >= len(PALETTE)
    assert len(set(BASELINE_MARKS.values())) == len(BASELINE_MARKS)
    assert len(LINES) == 4


def test_text_on_the_page_has_the_contrast_that_wcag_asks_for():
    for colour in CHIPS.values():
        light = float(np.array([0.2126, 0.7152, 0.0722]) @ _linear(np.array(to_rgb(colour))))
        assert 1.05 / (light + 0.05) >= 4.5
