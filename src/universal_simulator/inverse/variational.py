"""The initial state from observations (4D-Var), and the minimisation under it.

Many small problems minimised side by side: limited-memory BFGS, each sample with its own history and step length.

Nocedal & Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5, with backtracking by quadratic interpolation.
torch's own takes a batch for one problem, whose samples then share a step length.

The initial state from observations over a window: strong-constraint 4D-Var, and an ensemble of it to say how sure.

The cost of whitened amplitudes c is ``½ |c - c_b|² + ½ (H M u(c) - y)ᵀ R⁻¹ (H M u(c) - y)`` (Le Dimet & Talagrand,
Tellus 38A (1986) 97): M is the forward model, H what observations show of a field, R the covariance of their noise and
the model's error. Members have backgrounds drawn from the prior and observations drawn about those given (randomised
maximum likelihood, an ensemble of 4D-Vars): where M is linear they are draws of the posterior.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.inverse.forward import Forward
from universal_simulator.inverse.prior import GaussianPrior, Noise
from universal_simulator.inverse.sensing import Sensing

Function = Callable[[Float[Tensor, "sample entry"], Int[Tensor, " sample"]], tuple[Tensor, Tensor]]
"""From points and which samples they belong to, to values ``(sample,)`` and gradients ``(sample, entry)``."""
HISTORY, TRIALS = 20, 6
SUFFICIENT = 1e-4
"""Of the decrease that the slope promises (Armijo's condition)."""


@dataclass(frozen=True)
class Minimum:
    """Where it ended, and at what cost."""

    point: Float[Tensor, "sample entry"]
    value: Float[Tensor, " sample"]
    first: Float[Tensor, " sample"]
    """Value at the beginning."""
    gradients: Float[Tensor, " sample"]
    """Evaluations of value and gradient, for each sample."""


def minimise(
    function: Function, start: Float[Tensor, "sample entry"], iterations: int, tolerance: float = 1e-7
) -> Minimum:
    """Return the minima; a sample is done when an iteration lowers it by less than ``tolerance`` of its value."""
    x, rows = start.clone(), torch.arange(len(start))
    value, slope = function(x, rows)
    first, count, active = value.clone(), torch.ones(len(start)), torch.ones(len(start), dtype=torch.bool)
    history: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=HISTORY)
    for number in range(iterations):
        direction = _direction(slope, history)
        downhill = (direction * slope).sum(1) < 0
        direction = torch.where(downhill[:, None], direction, -slope)
        length = torch.ones(len(x), dtype=x.dtype)
        if not number:
            length = 1 / torch.linalg.vector_norm(slope, dim=1).clamp(min=1)
        found = _search(function, (x, value, slope), direction, length, active, count)
        step, change = found[0] - x, found[2] - slope
        gained = value - found[1]
        x, value, slope = found
        product = (step * change).sum(1)
        sound = product > 1e-10 * (step * step).sum(1)
        history.append((step, change, torch.where(sound, 1 / product.where(sound, product.new_ones(())), 0)))
        active = active & (gained > tolerance * value.abs().clamp(min=1e-12))
        if not active.any():
            break
    return Minimum(x, value, first, count)


def _search(
    function: Function,
    here: tuple[Tensor, Tensor, Tensor],
    direction: Tensor,
    length: Tensor,
    active: Tensor,
    count: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return points, values and gradients after a step down; samples that find none stay where they are."""
    x, value, slope = (one.clone() for one in here)
    promised, length = (direction * slope).sum(1), length.clone()
    rows = active.nonzero().flatten()
    for _ in range(TRIALS):
        if not len(rows):
            break
        tried = here[0][rows] + length[rows, None] * direction[rows]
        new, gradient = function(tried, rows)
        count[rows] += 1
        fine = new.isfinite() & (new <= here[1][rows] + SUFFICIENT * length[rows] * promised[rows])
        done = rows[fine]
        x[done], value[done], slope[done] = tried[fine], new[fine], gradient[fine]
        bent = new - here[1][rows] - length[rows] * promised[rows]
        best = (-promised[rows] * length[rows].square() / (2 * bent)).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        length[rows] = torch.minimum(torch.maximum(best, 0.1 * length[rows]), 0.5 * length[rows])
        rows = rows[~fine]
    return x, value, slope


def _direction(slope: Tensor, history: deque[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Return minus the inverse Hessian times the gradient, as the history has it (the two loops of algorithm 7.4)."""
    q, weights = -slope, []
    for step, change, inverse in reversed(history):
        alpha = inverse * (step * q).sum(1)
        weights.append(alpha)
        q = q - alpha[:, None] * change
    if history:
        step, change, inverse = history[-1]
        square = (change * change).sum(1)
        scale = torch.where(inverse > 0, (step * change).sum(1) / square.clamp(min=1e-30), 1.0)
        q = scale[:, None] * q
    for (step, change, inverse), alpha in zip(history, reversed(weights), strict=True):
        q = q + (alpha - inverse * (change * q).sum(1))[:, None] * step
    return q


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
