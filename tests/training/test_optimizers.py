"""Muon is held against the singular value decomposition, and against torch's own for plain matrices."""

from copy import deepcopy

import pytest
import torch
from tests.training.test_loop import SETTINGS
from torch import nn

from universal_simulator.compute.device import fresh_weights, stream
from universal_simulator.training.loop import Stage, train
from universal_simulator.training.optimizers import CombinedOptimizer, Muon, is_matrix, optimizer_for, orthogonal

MUON = SETTINGS.model_copy(update={"optimizer": "muon", "learning_rate": 0.02})


@pytest.mark.parametrize("shape", [(16, 24), (16, 80), (80, 16)])
def test_what_is_orthogonal_keeps_the_singular_vectors_and_has_values_near_one(shape):
    matrix = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.mT @ orthogonal(matrix) @ vt.mT
    values = torch.diagonal(inner, dim1=-2, dim2=-1)
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(inner, torch.diag_embed(values), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [0.0, 1e-38, 1e-23, 1e-12])
def test_what_is_next_to_nothing_moves_next_to_nothing(size):
    matrix = size * torch.randn(1, 16, 24, generator=torch.Generator().manual_seed(3))
    assert orthogonal(matrix).abs().max() < 0.1


def test_plain_matrices_move_as_with_torchs_own():
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(20, 32, generator=generator)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = Muon([ours], 0.01, weight_decay=0.1)
    torchs = torch.optim.Muon([theirs], 0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        gradient = torch.randn(20, 32, generator=generator)
        for weight, optimizer in ((ours, mine), (theirs, torchs)):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = (ours - start).norm()
    assert (ours - theirs).norm() < 0.02 * moved  # torch's iterates in bfloat16


def test_kernels_of_convolutions_are_matrices_of_one_row_per_channel():
    gradient = torch.randn(16, 48, generator=torch.Generator().manual_seed(2))
    flat, kernel = nn.Parameter(torch.zeros(16, 48)), nn.Parameter(torch.zeros(16, 16, 3))
    flat.grad, kernel.grad = gradient.clone(), gradient.view(16, 16, 3).clone()
    alone, together = Muon([flat], 0.1, weight_decay=0.0), Muon([kernel, deepcopy(flat)], 0.1, weight_decay=0.0)
    for optimizer in (alone, together):
        optimizer.step()
    torch.testing.assert_close(kernel.flatten(1), flat, atol=1e-6, rtol=0)
    size = kernel.square().mean().sqrt()
    assert 0.8 * 0.02 < size < 1.2 * 0.02  # 0.2 times the rate, AdamW's


def test_only_real_weights_with_enough_rows_and_columns_are_matrices():
    assert is_matrix(torch.zeros(16, 4, 4))
    for other in (torch.zeros(64), torch.zeros(64, 1, 5), torch.zeros(1, 64, 5), torch.zeros(16, 16) * 1j):
        assert not is_matrix(other)


def test_every_weight_has_one_optimiser():
    network = _wide()
    parts = optimizer_for(network, MUON)
    assert isinstance(parts, CombinedOptimizer)
    taken = [id(weight) for group in parts.param_groups for weight in group["params"]]
    assert sorted(taken) == sorted(id(weight) for weight in network.parameters())
    assert [weight.ndim for weight in parts.parts["matrices"].param_groups[0]["params"]] == [2, 2]
    assert isinstance(optimizer_for(nn.Linear(3, 1), MUON), torch.optim.AdamW)
    assert isinstance(optimizer_for(network, SETTINGS), torch.optim.AdamW)


@pytest.mark.parametrize("settings", [MUON, MUON.model_copy(update={"epochs": 3, "save_every_s": 1e-9})])
def test_a_training_with_muon_goes_on_bit_identically_and_learns(settings):
    whole = list(train(_regression(), settings, stream(1)))
    begun = train(_regression(), settings, stream(1))
    state = [next(begun) for _ in range(3)][-1].state
    resumed = list(train(_regression(), settings, stream(99), deepcopy(state)))
    for name, weight in whole[-1].state["best"].items():
        assert torch.equal(resumed[-1].state["best"][name], weight)
    rows = [checkpoint.row for checkpoint in whole if checkpoint.row]
    assert rows[-1]["validation_loss"] < 0.3 * rows[0]["validation_loss"]


def _wide() -> nn.Sequential:
    with fresh_weights(0, "wide"):
        return nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 24))


def _regression() -> Stage:
    """Learn the sines of sums."""
    network = _wide()

    def draw(generator):
        x = torch.randn(8, 4, generator=generator)
        return x, torch.sin(x @ torch.linspace(-0.5, 0.5, 96).view(4, 24))

    def objective(network, batch, progress, generator):
        x, y = batch
        return (network(x) - y).square().mean()

    held_out = [draw(torch.Generator().manual_seed(5)) for _ in range(8)]
    return Stage(network, deepcopy(network), objective, draw, lambda: iter(held_out))


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_polynomials_on_the_short_side_are_the_plain_iteration_of_ill_conditioned_matrices_too(shape):
    """Silent channels leave rows of zeros, and momenta whose singular values differ by a million."""
    matrix = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = matrix * torch.logspace(0, -6, shape[0], dtype=torch.float64)[:, None]
    matrix[:, :3] = 0
    x = matrix / matrix.norm(dim=(-2, -1), keepdim=True)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    torch.testing.assert_close(orthogonal(matrix), x)
    torch.testing.assert_close(orthogonal(matrix.float()).double(), x, rtol=0, atol=5e-3)


def test_a_weight_without_a_gradient_stays():
    moved, still = (nn.Parameter(torch.ones(20, 20)) for _ in range(2))
    moved.grad = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    Muon([moved, still], 0.1, weight_decay=0.1).step()
    assert torch.equal(still, torch.ones(20, 20))
    assert not torch.equal(moved, torch.ones(20, 20))
