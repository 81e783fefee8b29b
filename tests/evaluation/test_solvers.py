"""The benchmark of solvers says what one of equal error costs."""

import math

import pytest
from benchmarks.solvers import equal

SOLVERS = [(0.4, 2.0), (0.1, 4.0), (0.001, 64.0)]
"""Errors and costs."""


def test_between_two_solvers_cost_follows_error_on_logarithmic_scales():
    assert equal(SOLVERS, 0.2) == pytest.approx(2 * math.sqrt(2))
    assert equal(SOLVERS[::-1], 0.01) == pytest.approx(16)


def test_outside_of_them_the_cheapest_is_enough_or_none():
    assert equal(SOLVERS, 3.0) == 2
    assert math.isnan(equal(SOLVERS, 1e-4))
    assert math.isnan(equal([], 0.1))
