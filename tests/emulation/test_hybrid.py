"""A coarse solver with a decoder: the solver is left alone, and only what is asked for is decoded."""

import pytest
import torch
from torch import Tensor

from together import BURGERS, normal
from universal_simulator.configuration import CoarseSolver, Latent, TrainedDecoder
from universal_simulator.emulation.forecasters import Hybrid, Numerical
from universal_simulator.emulation.protocols import Sample, make_task
from universal_simulator.fields.grid import Grid
from universal_simulator.networks.trained import Recipe
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

SETTING, GRID = CoarseSolver(points=64, courant=1.0), Grid.interval(128)


def hybrid(facts=BURGERS.facts, *, trained: bool = False) -> Hybrid:
    """Return one whose decoder draws nothing, or, as if trained, something."""
    recipe = Recipe(
        stage="fast", settings=TrainedDecoder(width=4, kernel=3), latent=Latent(tokens=1, dim=64), facts=facts,
        grid=GRID, statistics=normal(facts, GRID),
    )  # fmt: skip
    torch.manual_seed(0)
    codec = recipe.build().eval().requires_grad_(False)
    if trained:
        codec.synthesis.convolutions[-1].weight.normal_(std=0.1)
    return Hybrid(codec, SETTING)


def fields(u0: Tensor, one: Hybrid, steps: list[int]) -> Tensor:
    return one.fields(u0, torch.tensor([[0.05], [0.1], [0.2]]), 0.02, steps, GRID.shape)


def test_a_decoder_that_draws_nothing_leaves_the_solver_on_its_points(u0):
    truth = u0[:, None].expand(-1, 5, -1, -1)
    task = make_task("rollout", Sample(truth, torch.tensor([[0.05], [0.1], [0.2]]), _times(5), GRID), 1, 1)
    alone = Numerical("burgers", SETTING)(task, torch.Generator())
    torch.testing.assert_close(hybrid()(task, torch.Generator()), alone, rtol=0, atol=2e-6)


def test_decoding_some_times_changes_none_of_them_and_feeds_nothing_back(u0):
    one = hybrid(trained=True)
    every, some = fields(u0, one, [1, 2, 3, 4, 5]), fields(u0, one, [2, 5])
    torch.testing.assert_close(some, every[:, [1, 4]], rtol=0, atol=1e-6)
    assert (some - fields(u0, hybrid(), [2, 5])).abs().max() > 1e-3


def test_the_mean_stays_exact_whatever_is_drawn(u0):
    found = fields(u0, hybrid(trained=True), [1, 30])
    torch.testing.assert_close(found.mean(-1), u0.mean(-1)[:, None].expand(-1, 2, -1), rtol=0, atol=1e-6)


def test_a_conserved_mean_that_no_frame_takes_away_is_the_solver_s_whatever_is_drawn(u0):
    """Likewise where the facts say nothing of a frame: the decoder alone would move it."""
    bound = BURGERS.facts.model_copy(update={"symmetries": ()})
    found = fields(u0, hybrid(bound, trained=True), [1, 30])
    torch.testing.assert_close(found.mean(-1), u0.mean(-1)[:, None].expand(-1, 2, -1), rtol=0, atol=1e-6)
    free = bound.model_copy(update={"conserved": ()})
    moved = fields(u0, hybrid(free, trained=True), [1, 30]).mean(-1) - u0.mean(-1)[:, None]
    assert moved.abs().max() > 1e-5, "what is not conserved may move"


def test_a_problem_without_a_solver_is_refused(u0):
    without = find("data_only").facts.model_copy(
        update={"channels": BURGERS.facts.channels, "parameters": BURGERS.facts.parameters}
    )
    with pytest.raises(InputError, match=r"fast.solver = solver_64_c1: data_only must have a solver; leave"):
        fields(u0, hybrid(without), [1])


def _times(count: int):
    return 0.02 * torch.arange(count, dtype=torch.float64).numpy()
