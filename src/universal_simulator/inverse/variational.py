"""The initial state from observations over a window: strong-constraint 4D-Var, and an ensemble of it to say how sure.

The cost of whitened amplitudes c is ``½ |c - c_b|² + ½ (H M u(c) - y)ᵀ R⁻¹ (H M u(c) - y)`` (Le Dimet & Talagrand,
Tellus 38A (1986) 97): M is the forward model, H what observations show of a field, R the covariance of their noise and
the model's error. Members have backgrounds drawn from the prior and observations drawn about those given (randomised
maximum likelihood, an ensemble of 4D-Vars): where M is linear they are draws of the posterior.
"""

import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.inverse.forward import Forward
from universal_simulator.inverse.minimise import Minimum, minimise
from universal_simulator.inverse.noise import Noise
from universal_simulator.inverse.prior import GaussianPrior
from universal_simulator.inverse.sensing import Sensing

STEP = 1e-2
"""Of central differences along whitened amplitudes: far above float32's rounding, far below one standard deviation."""
LARGEST_HESSIAN = 512
"""Amplitudes beyond which no Hessian is made of them."""
AT_ONCE = 64
"""States that are run forward together without a gradient."""


@dataclass(frozen=True)
class Posed:
    """What is known, and what is asked."""

    forward: Forward
    sensing: Sensing
    prior: GaussianPrior
    noise: Noise

    def observed(
        self, whitened: Float[Tensor, "sample amplitude"], parameters: Float[Tensor, "sample parameter"]
    ) -> Float[Tensor, "sample observation"]:
        """Return what observations would be without noise."""
        return self.sensing(self.forward(self.prior.field(whitened), parameters)).double()

    @torch.no_grad()
    def jacobian(
        self, whitened: Float[Tensor, " amplitude"], parameters: Float[Tensor, " parameter"]
    ) -> Float[Tensor, "observation amplitude"]:
        """Return the derivative of the observations by central differences of step ``STEP``."""
        units = STEP * torch.eye(len(whitened), dtype=whitened.dtype)
        points = torch.cat((whitened + units, whitened - units))
        told = parameters.expand(len(points), -1)
        found = [self.observed(*part) for part in zip(points.split(AT_ONCE), told.split(AT_ONCE), strict=True)]
        above, below = torch.cat(found).chunk(2)
        return ((above - below) / (2 * STEP)).mT

    def covariance(
        self, whitened: Float[Tensor, " amplitude"], parameters: Float[Tensor, " parameter"]
    ) -> Float[Tensor, "amplitude amplitude"]:
        """Return the posterior covariance of whitened amplitudes, linearised about them (Laplace)."""
        slope = self.jacobian(whitened, parameters)
        return torch.linalg.inv(
            torch.eye(len(whitened), dtype=slope.dtype) + slope.mT @ self.noise.precise(slope.mT).mT
        )

    def with_noise(self, noise: Noise) -> "Posed":
        """Return the same with other noise."""
        return replace(self, noise=noise)


@dataclass(frozen=True)
class Cost:
    """Value and gradient of every sample's cost."""

    posed: Posed
    values: Float[Tensor, "sample observation"]
    background: Float[Tensor, "sample amplitude"]
    parameters: Float[Tensor, "sample parameter"]

    def __call__(
        self, whitened: Float[Tensor, "row amplitude"], rows: Int[Tensor, " row"]
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row amplitude"]]:
        """Return both at these points of these samples."""
        with torch.enable_grad():
            point = whitened.detach().requires_grad_()
            residual = self.posed.observed(point, self.parameters[rows]) - self.values[rows]
            apart = (point - self.background[rows]).square().sum(1)
            value = (apart + self.posed.noise.quadratic(residual)) / 2
            (gradient,) = torch.autograd.grad(value.sum(), point)
        return value.detach(), gradient


@dataclass(frozen=True)
class Analysis:
    """The state that explains the observations best, and members about it."""

    posed: Posed
    parameters: Float[Tensor, " parameter"]
    whitened: Float[Tensor, "state amplitude"]
    """Of the analysis, then of the members."""
    minimum: Minimum
    seconds: float
    """CPU seconds of this process."""

    @property
    def field(self) -> Float[Tensor, "channel *space"]:
        """Return the initial field that is most probable."""
        return self.posed.prior.field(self.whitened[:1])[0]

    @property
    def members(self) -> Float[Tensor, "member channel *space"]:
        """Return the members' initial fields."""
        return self.posed.prior.field(self.whitened[1:])

    @property
    def sd(self) -> Float[Tensor, "channel *space"]:
        """Return the members' standard deviation at each point."""
        return self.members.std(0)

    @property
    @torch.no_grad()
    def observed(self) -> Float[Tensor, " observation"]:
        """Return the observations of the analysis."""
        return self.posed.observed(self.whitened[:1], self.parameters[None])[0]


def analyse(
    posed: Posed,
    parameters: Float[Tensor, " parameter"],
    members: int,
    iterations: int,
    generator: torch.Generator,
    start: Float[Tensor, " amplitude"] | None = None,
) -> Analysis:
    """Return the analysis and its members.

    The cost of the analysis is minimised from the prior's mean, or ``start``; then all are in coordinates in which the
    cost linearised about it has a unit Hessian: few iterations are left there, along its flat valleys, too.
    """
    begun, values = time.process_time(), posed.sensing.observations.values
    first, count = torch.zeros(1, posed.prior.size, dtype=torch.float64) if start is None else start[None], 0.0
    before = None
    if start is None:
        found = minimise(Cost(posed, values[None], torch.zeros_like(first), parameters[None]), first, iterations)
        first, before, count = found.point, found.first, float(found.gradients)
    background = torch.cat((torch.zeros_like(first), posed.prior.draw(members, generator)))
    read = torch.cat((values[None], values + posed.noise.draw(members, generator).to(values)))
    cost = Cost(posed, read, background, parameters.expand(members + 1, -1))
    found = _refined(cost, first[0], iterations)
    found.gradients[0] += count
    if before is not None:
        found.first[0] = before[0]
    return Analysis(posed, parameters, found.point, found, time.process_time() - begun)


def _refined(cost: Cost, analysis: Float[Tensor, " amplitude"], iterations: int) -> Minimum:
    """Return the minima of the costs of the analysis and its members, these begun from their linearised costs' minima.

    Where there are too many amplitudes for a Hessian, members begin at their backgrounds moved by the analysis.
    """
    if len(analysis) > LARGEST_HESSIAN:
        return minimise(cost, cost.background + analysis, iterations)
    posed, told = cost.posed, cost.parameters[0]
    slope = posed.jacobian(analysis, told)
    hessian = torch.eye(len(analysis), dtype=slope.dtype) + slope.mT @ posed.noise.precise(slope.mT).mT
    covariance = torch.linalg.inv(hessian)
    factor = torch.linalg.cholesky(covariance)
    with torch.no_grad():
        missed = cost.values - posed.observed(analysis[None], told[None]) + analysis @ slope.mT
    begin = (cost.background + posed.noise.precise(missed) @ slope) @ covariance
    begin[0] = analysis

    def turned(point: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = cost(analysis + point @ factor.mT, rows)
        return value, gradient @ factor

    away = torch.linalg.solve_triangular(factor, (begin - analysis).mT, upper=False).mT
    found = minimise(turned, away, iterations)
    return replace(found, point=analysis + found.point @ factor.mT)
