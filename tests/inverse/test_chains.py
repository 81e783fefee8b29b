"""Hamiltonian Monte Carlo beside the posterior on a grid, and what says that chains agree."""

import random
import sys

import numpy as np
import pytest
import torch

from inverse_cases import VALUE, VALUES, posed, prior
from universal_simulator.inverse.posterior import GivenState, Range, Sampled, marginal, on_grid, sample, seen_from
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

HEAT = find("heat").facts
SOUGHT = Range(HEAT.parameters[0], 0.01, 1.0)
STATE = torch.randn(9, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


@pytest.fixture(scope="module")
def problem():
    pytest.importorskip("pyro")
    first = posed("closed form", "heat", VALUES)
    u = first.prior.field(STATE[None])
    told = torch.tensor([[VALUE["heat"]]], dtype=torch.float64)
    read = first.sensing(first.forward(u, told)) + first.noise.draw(1, torch.Generator().manual_seed(9))
    return posed("closed form", "heat", read.view(2, 5))


def test_with_a_given_state_chains_have_the_grid_s_mean_and_width(problem):
    u = prior(HEAT).field(STATE[None])
    see = seen_from(problem, u, lambda values: values[:, None])
    exact = GivenState.of(see, SOUGHT, torch.tensor(1e-3)).posterior(problem.sensing.observations.values, problem.noise)
    chains = sample(Sampled(problem, [SOUGHT], u), chains=2, draws=120, warm_up=60, seed=1)
    assert chains.converged
    error = exact.sd / chains.effective.item() ** 0.5
    assert chains.mean.item() == pytest.approx(exact.mean, abs=4 * error)
    assert chains.sd.item() == pytest.approx(exact.sd, rel=0.3)
    assert chains.whitened.shape == (2, 120, 0)


@pytest.mark.long
def test_with_the_state_sought_too_they_have_that_of_the_marginal(problem):
    exact = on_grid(marginal(problem, lambda values: values[:, None], 200), SOUGHT, 17)
    chains = sample(Sampled(problem, [SOUGHT], None), chains=2, draws=400, warm_up=200, seed=1)
    assert chains.converged
    error = exact.sd / chains.effective.item() ** 0.5
    assert chains.mean.item() == pytest.approx(exact.mean, abs=4 * error)
    assert chains.sd.item() == pytest.approx(exact.sd, rel=0.3)


def test_chains_that_did_not_meet_are_not_believed(problem):
    """Three draws each, no warm-up: whatever they are, they are too few to agree."""
    u = prior(HEAT).field(STATE[None])
    chains = sample(Sampled(problem, [SOUGHT], u), chains=2, draws=4, warm_up=0, seed=1)
    assert not chains.converged


def test_without_pyro_it_is_refused_in_one_line(problem, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyro", None)
    with pytest.raises(InputError, match=r"two or more parameters need Pyro; pip install"):
        sample(Sampled(problem, [SOUGHT], None), 1, 1, 1, 0)


@pytest.mark.usefixtures("unchecked")  # whoever checks annotations draws of Python's random numbers
def test_the_caller_s_random_numbers_stay_as_they_were(problem):
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    sample(Sampled(problem, [SOUGHT], prior(HEAT).field(STATE[None])), chains=1, draws=4, warm_up=0, seed=1)
    assert states() == before
