"""The layers of the U-shaped networks against torch's own, which take channels before positions."""

import math

import pytest
import torch
from torch import nn

from universal_simulator.networks.blocks import (
    Coarsening,
    Continued,
    Convolution,
    ModulatedNorm,
    Pointwise,
    Refinement,
    apart,
    together,
)
from universal_simulator.support.errors import InputError


def alike(layer: nn.Module, other: nn.Module) -> None:
    """Hold both against each other, and their gradients: of equal weights, on equal input."""
    other.load_state_dict(layer.state_dict())
    x = torch.randn(3, 12, 6, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    one, two = layer(x), other(y.mT).mT
    torch.testing.assert_close(one, two)
    weighing = torch.randn_like(two)
    (one * weighing).sum().backward()
    (two * weighing).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for own, known in zip(layer.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own.grad, known.grad)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_is_torchs_circular_one(kernel: int, bias: bool) -> None:
    known = nn.Conv1d(6, 4, kernel, padding="same", padding_mode="circular", bias=bias).double()
    alike(Convolution(6, 4, kernel, ("periodic",), bias=bias).double(), known)


@pytest.mark.parametrize(("kernel", "positions"), [(3, 1), (5, 2)])
def test_a_convolution_may_reach_once_round(kernel: int, positions: int) -> None:
    own, known = (
        Convolution(6, 4, kernel, ("periodic",)),
        nn.Conv1d(6, 4, kernel, padding="same", padding_mode="circular"),
    )
    known.load_state_dict(own.state_dict())
    x = torch.randn(3, positions, 6)
    torch.testing.assert_close(own(x), known(x.mT).mT)


def test_a_kernel_without_a_centre_is_refused() -> None:
    with pytest.raises(InputError, match="kernel = 4 must be odd, to be centred; take 5"):
        Convolution(6, 4, 4, ("periodic",))


def test_pointwise_is_torchs_convolution_of_one_point() -> None:
    alike(Pointwise(6, 4, 1).double(), nn.Conv1d(6, 4, 1).double())


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_coarsening_and_refinement_are_torchs_strided_convolutions(factor: int) -> None:
    alike(Coarsening(6, 4, factor, 1).double(), nn.Conv1d(6, 4, factor, factor).double())
    alike(Refinement(6, 4, factor, 1).double(), nn.ConvTranspose1d(6, 4, factor, factor).double())


def test_a_norm_is_torchs_group_norm_scaled_and_shifted() -> None:
    norm = ModulatedNorm(6, 2, 5).double()
    x, embedding = (torch.randn(shape, dtype=torch.float64) for shape in ((3, 12, 6), (3, 5)))
    scale, shift = norm.modulation(embedding)[..., None].chunk(2, dim=1)
    known = nn.functional.group_norm(x.mT, 3) * (1 + scale) + shift
    torch.testing.assert_close(norm(x, embedding), known.mT)


@pytest.mark.parametrize("kind", ["periodic", "wall", "open"])
@pytest.mark.parametrize("dim", [1, 2])
def test_what_goes_on_beyond_the_sides_has_the_gradient_of_finite_differences(kind: str, dim: int) -> None:
    x = torch.randn(2, 5, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: Continued.apply(x, dim, 2, kind), x)
    assert torch.autograd.gradgradcheck(lambda x: Continued.apply(x, dim, 2, kind), x)


@pytest.mark.parametrize("shape", [(12,), (6, 12), (4, 2, 6)])
def test_apart_takes_back_what_together_did_and_a_patch_lies_in_one_place(shape: tuple[int, ...]) -> None:
    x = torch.arange(2.0 * 3 * math.prod(shape)).view(2, *shape, 3)
    patches = together(x, 2)
    assert patches.shape == (2, *(n // 2 for n in shape), 3 * 2 ** len(shape))
    assert torch.equal(apart(patches, 2), x)
    first = x[(0, *[slice(2)] * len(shape))]
    assert torch.equal(patches[(0, *[0] * len(shape))], first.flatten())


@pytest.mark.parametrize("kind", ["periodic", "wall", "open"])
def test_a_convolution_of_a_plane_constant_in_y_is_that_of_a_line_with_the_kernel_summed_over_y(kind: str) -> None:
    plane, line = Convolution(3, 4, 3, (kind, kind)).double(), Convolution(3, 4, 3, (kind,)).double()
    line.load_state_dict({"weight": plane.weight.sum(2), "bias": plane.bias})
    x = torch.randn(2, 1, 8, 3, dtype=torch.float64)
    torch.testing.assert_close(plane(x.expand(-1, 5, -1, -1)), line(x[:, 0])[:, None].expand(-1, 5, -1, -1))


@pytest.mark.parametrize("factor", [2, 3])
def test_a_plane_is_made_coarser_and_finer_as_torch_does(factor: int) -> None:
    x = torch.randn(2, 6, 12, 3, dtype=torch.float64)
    pairs = [
        (Coarsening(3, 4, factor, 2).double(), nn.Conv2d(3, 4, factor, factor).double()),
        (Refinement(3, 4, factor, 2).double(), nn.ConvTranspose2d(3, 4, factor, factor).double()),
    ]
    for own, known in pairs:
        known.load_state_dict(own.state_dict())
        torch.testing.assert_close(own(x), known(x.movedim(-1, 1)).movedim(1, -1))
