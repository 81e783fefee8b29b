"""A request costs so much and no more: what would compute for ever is refused at once."""

import time

import numpy as np
import pytest

from universal_simulator.serving.request import LARGEST, SETTING, cost
from universal_simulator.support.errors import InputError

WAVE = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)


def test_cost_is_the_product_and_few_points_are_no_cheaper():
    assert cost(2, 3, 5, 2048) == 2 * 3 * 5 * 2048
    assert cost(1, 1, 1, 8) == cost(1, 1, 1, 1024)


@pytest.mark.parametrize(
    "change",
    [
        {"times": [1e9]},
        {"times": np.full(10**6, 0.02)},
        {"times": [2.0], "u0": np.broadcast_to(WAVE, (20_000, 64))},
        {"times": [2.0], "members": 10_000},
        {"times": [5000.0], "guided": True},
    ],
    ids=lambda change: "-".join(change),
)
def test_what_would_take_for_ever_is_refused_at_once(emulator, change):
    began = time.monotonic()
    given = {"u0": WAVE, "viscosity": 0.05} | change
    with pytest.raises(InputError, match=rf"costs .*: must cost at most 1e\+09; ask for fewer .* or set {SETTING}"):
        emulator.rollout(**given)
    assert time.monotonic() - began < 5


def test_the_line_says_what_was_asked_for(emulator):
    line = r"forecast = 2 fields × 8 members × 50000000 steps × 64 points, guided, costs 4.1e\+12: must cost at most"
    with pytest.raises(InputError, match=line):
        emulator.rollout(np.stack([WAVE, WAVE]), 0.05, [1e6], members=8, guided=True)


def test_the_environment_sets_the_limit(emulator, monkeypatch):
    monkeypatch.setenv(SETTING, str(cost(1, 1, 2, 64)))
    emulator.rollout(WAVE, 0.05, [0.04])
    with pytest.raises(InputError, match="1 fields × 1 members × 3 steps"):
        emulator.rollout(WAVE, 0.05, [0.06])
    assert cost(1, 1, 3, 64) < LARGEST


@pytest.mark.parametrize("text", ["much", "-1", "nan", "0"])
def test_a_limit_that_is_none_is_refused(emulator, monkeypatch, text):
    monkeypatch.setenv(SETTING, text)
    with pytest.raises(
        InputError, match=rf"{SETTING} = {text}: must be a positive number, as 1e\+09; correct or unset"
    ):
        emulator.rollout(WAVE, 0.05, [0.02])
