"""What turns gradients into steps: AdamW, or Muon for the matrices of a network and AdamW for the rest of it.

Muon (K. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) moves a weight matrix by the orthogonal factor
of its momentum, so that directions in which gradients are small are learned as fast as others. Where what is left to
learn is a ten-thousandth of the field, that pays (docs/design.md).
``torch.optim.Muon`` takes plain matrices only, one by one; here kernels of convolutions are matrices too, one row per
channel, and all of one shape are taken together.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import Training

SMALLEST = 16
"""Rows and columns that a weight must have to be a matrix to Muon; what enters, leaves or shifts has fewer."""
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5
"""Of the Newton-Schulz iteration, which trades exactness for few steps: singular values end between 0.7 and 1.2."""
NEGLIGIBLE = 1e-7
"""Norm below which a momentum is rounding and is not brought up to size: the square of much less is zero in float32."""
MOMENTUM = 0.95
SIZE = 0.2
"""Root mean square of a step in units of the rate: AdamW's, so that one rate serves both (arXiv 2502.16982, eq. 4)."""


def is_matrix(weight: Tensor) -> bool:
    """Return whether Muon takes this weight."""
    return weight.ndim > 1 and not weight.is_complex() and min(_shape(weight)) >= SMALLEST


class Muon(torch.optim.Optimizer):
    """Momentum of weights' gradients, made orthogonal; weights of more than two axes are rows of their first."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, *, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(_shape(weight), []).append(weight)
            for shape, weights in alike.items():
                ahead = torch.stack([way.reshape(shape) for way in self._ahead(weights)])
                directions = [way.view_as(weight) for way, weight in zip(orthogonal(ahead), weights, strict=True)]
                torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
                far = -SIZE * max(shape) ** 0.5 * group["lr"]
                if isinstance(far, Tensor):
                    torch._foreach_add_(weights, torch._foreach_mul(directions, far))
                else:
                    torch._foreach_add_(weights, directions, alpha=far)

    def _ahead(self, weights: list[Tensor]) -> tuple[Tensor, ...]:
        """Return Nesterov's momentum of every weight's gradient."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        momenta = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        return torch._foreach_lerp(gradients, momenta, MOMENTUM)


class CombinedOptimizer:
    """Two optimisers that share a network's weights out between them."""

    def __init__(self, matrices: torch.optim.Optimizer, rest: torch.optim.Optimizer) -> None:
        self.parts = {"matrices": matrices, "rest": rest}

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups of both."""
        return list(chain.from_iterable(part.param_groups for part in self.parts.values()))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of both."""
        for part in self.parts.values():
            part.zero_grad(set_to_none)

    def step(self) -> None:
        """Take a step with both."""
        for part in self.parts.values():
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both, by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` returned."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])


Optimizer = torch.optim.AdamW | CombinedOptimizer


def set_rate(optimizer: Optimizer, rate: float, device: torch.device | None) -> None:
    """Set the learning rate of all weights: a number, or, on a device whose graphs are to read it, a place there."""
    for group in optimizer.param_groups:
        if device is None:
            group["lr"] = rate
        elif isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = torch.tensor(rate, dtype=torch.float32, device=device)
        if "capturable" in group:
            group["capturable"] = device is not None


def optimizer_for(network: nn.Module, settings: Training) -> Optimizer:
    """Return the optimiser of these settings over the network's weights."""
    weights = list(network.parameters())
    if settings.optimizer == "adamw":
        return _adamw(weights, settings)
    matrices = [weight for weight in weights if is_matrix(weight)]
    rest = [weight for weight in weights if not is_matrix(weight)]
    if not matrices:
        return _adamw(rest, settings)
    return CombinedOptimizer(
        Muon(matrices, settings.learning_rate, weight_decay=settings.weight_decay), _adamw(rest, settings)
    )


def orthogonal(matrices: Float[Tensor, "batch row column"]) -> Float[Tensor, "batch row column"]:
    """Return nearly the orthogonal factor of each matrix's polar decomposition, by Newton-Schulz iterations.

    Every iteration multiplies x by a polynomial of its square ``x xᵀ``, and the square by it twice: the polynomials are
    gathered on the short side and meet the matrix once.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=NEGLIGIBLE)
    square = x @ x.mT
    factor = gathered = _polynomial(square)
    for _ in range(ITERATIONS - 1):
        square = factor @ square @ factor
        factor = _polynomial(square)
        gathered = factor @ gathered
    return (x.mT @ gathered if tall else gathered @ x).contiguous()


def _polynomial(square: Float[Tensor, "batch row row"]) -> Float[Tensor, "batch row row"]:
    a, b, c = COEFFICIENTS
    factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
    factor.diagonal(dim1=-2, dim2=-1).add_(a)
    return factor


def _shape(weight: Tensor) -> tuple[int, int]:
    return len(weight), weight[0].numel()


def _adamw(weights: list[nn.Parameter], settings: Training) -> torch.optim.AdamW:
    """Return AdamW, all weights in one pass; what is complex has no such pass."""
    fused = not any(weight.is_complex() for weight in weights)
    return torch.optim.AdamW(
        weights, settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=fused
    )
