"""The shipped model of many equations: it forecasts each of them, says which it knows, and does linear ones exactly."""

import math
import warnings

import numpy as np
import pytest

from universal_simulator.configuration import Propagate
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.serving import propagation
from universal_simulator.serving.cautions import OutsideTrainingWarning
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.payloads import inputs, requested

PROBLEM, LINE, TIMES = find("semilinear"), Grid.interval(256), np.arange(11) * 0.02
KNOWN = {
    "burgers": ("sines", {"convection": 1.0, "diffusion": 0.02}, 1e-3),
    "reaction_diffusion": ("levelled", {"growth": 5.0, "reaction": 5.0, "diffusion": 0.004}, 1e-3),
    "kuramoto_sivashinsky": (
        "ten_waves", {"convection": 1.0, "diffusion": -25 / 64**2, "hyperdiffusion": 25 / 56**4}, 2e-2,
    ),
    "korteweg_de_vries": ("waves", {"convection": 1.0, "dispersion": 4e-4}, 2e-2),
}  # fmt: skip
"""Initial fields, coefficients, and what it may err by over ten steps: a multiple of what the page says."""


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator.load("shipped:universal", "cpu")


@pytest.mark.parametrize("name", KNOWN)
def test_it_forecasts_each_equation_better_than_no_change(emulator, name):
    family, told, bound = KNOWN[name]

    def initial(grid: Grid):
        return PROBLEM.family(family).batch(grid, 2**31 + 5, range(2))

    truth = PROBLEM.solver.solve(PROBLEM.facts.vector(told), initial, TIMES, LINE).values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two fields the alarm may know one
        warnings.filterwarnings("error", "parameters of no equation", OutsideTrainingWarning)
        found = emulator.rollout(truth[:, 0], parameters=told, times=TIMES[1:])
    size = LINE.rms(truth[:, 1:])
    error = (LINE.rms(found - truth[:, 1:]) / size).mean()
    still = (LINE.rms(truth[:, :1] - truth[:, 1:]) / size).mean()
    assert error < min(bound, still / 10), (error, still)


def test_a_wave_is_carried_and_fades_as_the_closed_form_says(emulator):
    x = LINE.axes[0].centres().numpy()
    told = {"speed": 0.4, "diffusion": 0.01}
    with pytest.warns(OutsideTrainingWarning, match=r"parameters of no equation that was trained on \(advection, heat"):
        found = emulator.rollout(np.sin(4 * math.pi * x), parameters=told, times=[0.5, 1.0])
    exact = [math.exp(-0.01 * (4 * math.pi) ** 2 * t) * np.sin(4 * math.pi * (x - 0.4 * t)) for t in (0.5, 1.0)]
    np.testing.assert_allclose(found, np.stack(exact), atol=1e-5)


def test_terms_that_are_not_named_are_absent_wherever_parameters_are_given(emulator):
    u0 = np.sin(2 * math.pi * LINE.axes[0].centres().numpy())
    request = requested(emulator, inputs({"u0": u0[None].tolist(), "speed": [0.5]}, emulator.card), {"times": [0.02]})
    assert request.parameters.tolist() == [[0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]]
    asked = Propagate(parameters={"diffusion": 0.01, "speed": {"first": 0.1, "second": 0.2}})
    assert propagation.inputs(emulator, u0, asked, 0).known["growth"] == 0.0


def test_its_card_names_the_equations_and_their_scores(emulator):
    names = [one.name for one in emulator.card.members]
    assert names == ["advection", "heat", "burgers", "reaction_diffusion", "kuramoto_sivashinsky", "korteweg_de_vries"]
    assert len(emulator.card.sets) == 6
    for name in names:
        assert emulator.card.scores[f"rollout/deterministic/nrmse_at_{name}"] < 0.5
