"""The posterior of one parameter, exactly: its density on a grid that closes in on where the mass is.

The initial field is given, or only its prior is known: it is then integrated out by Laplace's method about its
analysis for each value of the parameter (``-J - ½ log det`` of the cost's Hessian; exact where the model is linear in
the state).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.stats import kstest
from torch import Tensor

from universal_simulator.fields.facts import Parameter
from universal_simulator.inverse.minimise import minimise
from universal_simulator.inverse.noise import Noise
from universal_simulator.inverse.variational import AT_ONCE, Cost, Posed

FINE = 2001
"""Points that a density is looked at on, by a spline through its nodes."""
DEPTH = 20.0
"""Below the largest logarithm of a density: what lies lower has no mass (6 standard deviations of a Gaussian)."""
ZOOMS, NODES = 8, 65
LEVELS = (0.05, 0.95)


@dataclass(frozen=True)
class Range:
    """A parameter that is sought between two bounds; flat a priori, in its logarithm where factors count."""

    parameter: Parameter
    low: float
    high: float

    def scaled(self, values: Tensor) -> Tensor:
        """Return values where the prior is flat."""
        return values.log() if self.parameter.scale == "log" else values

    def natural(self, scaled: Tensor) -> Tensor:
        """Return what ``scaled`` was given."""
        return scaled.exp() if self.parameter.scale == "log" else scaled

    @property
    def ends(self) -> tuple[float, float]:
        """Return the bounds, scaled."""
        low, high = self.scaled(torch.tensor([self.low, self.high], dtype=torch.float64)).tolist()
        return low, high


@dataclass(frozen=True)
class Posterior:
    """A density of one parameter."""

    values: Float[Tensor, " value"]
    """Of the parameter, in its own units, ascending."""
    mass: Float[Tensor, " value"]
    """Of each value; they add up to one."""

    @property
    def mean(self) -> float:
        """Return the mean of the parameter."""
        return float((self.values * self.mass).sum())

    @property
    def sd(self) -> float:
        """Return the standard deviation of the parameter."""
        return float(((self.values - self.mean).square() * self.mass).sum().sqrt())

    def level(self, value: float) -> float:
        """Return the probability of less than this."""
        middle = self.mass.cumsum(0) - self.mass / 2
        return float(np.interp(value, self.values.numpy(), middle.numpy(), 0.0, 1.0))

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 90 % interval."""
        middle = (self.mass.cumsum(0) - self.mass / 2).numpy()
        low, high = np.interp(LEVELS, middle, self.values.numpy())
        return float(low), float(high)


def on_grid(log_density: Callable[[Tensor], Tensor], sought: Range, nodes: int) -> Posterior:
    """Return the posterior of a logarithm of the likelihood, told parameter values, as many as ``nodes`` at a time.

    Nodes are laid between the bounds, then between those that enclose the mass, until half of them lie in it.
    """
    low, high = sought.ends
    for _ in range(ZOOMS):
        places = torch.linspace(low, high, nodes, dtype=torch.float64)
        found = log_density(sought.natural(places)).double()
        found = torch.where(found.isfinite(), found, found[found.isfinite()].min() if found.isfinite().any() else 0.0)
        inside = (found > found.max() - DEPTH).nonzero().flatten()
        if len(inside) >= nodes // 2:
            break
        first, last = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, nodes - 1)
        low, high = float(places[first]), float(places[last])
    fine = torch.linspace(low, high, FINE, dtype=torch.float64)
    density = torch.from_numpy(CubicSpline(places.numpy(), (found - found.max()).numpy())(fine.numpy()))
    return Posterior(sought.natural(fine), torch.softmax(density, 0))


@dataclass(frozen=True)
class GivenState:
    """What is seen of a known initial field under parameters: a spline through nodes, which many posteriors share."""

    sought: Range
    spline: CubicSpline = field(repr=False)
    nodes: int
    """Parameter values at which the forward model ran."""

    @classmethod
    def of(
        cls, see: Callable[[Float[Tensor, " value"]], Float[Tensor, "value observation"]], sought: Range, near: Tensor
    ) -> "GivenState":
        """Run the forward model at 9, 17, 33 … values, until the spline of half of them errs by less than ``near``.

        ``near`` is what counts as little of each observation; one of them is 257.
        """
        low, high = sought.ends
        places = torch.linspace(low, high, 9, dtype=torch.float64)
        seen = see(sought.natural(places))
        while True:
            spline = CubicSpline(places.numpy(), seen.numpy())
            between = (places[1:] + places[:-1]) / 2
            more = see(sought.natural(between))
            wrong = (torch.from_numpy(spline(between.numpy())) - more).abs().amax(0)
            places, order = torch.cat((places, between)).sort()
            seen = torch.cat((seen, more))[order]
            if (wrong < near).all() or len(places) >= 257:
                return cls(sought, CubicSpline(places.numpy(), seen.numpy()), len(places))

    def posterior(self, values: Float[Tensor, " observation"], noise: Noise) -> Posterior:
        """Return the posterior given observed values."""

        def log_density(of: Tensor) -> Tensor:
            seen = torch.from_numpy(self.spline(self.sought.scaled(of).numpy()))
            return -noise.quadratic(seen - values) / 2

        return on_grid(log_density, self.sought, NODES)

    def seen(self, value: float) -> Float[Tensor, " observation"]:
        """Return the observations without noise under a value of the parameter."""
        place = self.sought.scaled(torch.tensor(value, dtype=torch.float64))
        return torch.from_numpy(self.spline(place.numpy()))


def seen_from(
    posed: Posed, u: Float[Tensor, "1 channel *space"], parameters: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Return what sees a given field under values of the sought parameter; ``parameters`` makes whole rows of them."""

    @torch.no_grad()
    def see(values: Tensor) -> Tensor:
        rows = parameters(values)
        parts = [posed.sensing(posed.forward(u.expand(len(one), *u.shape[1:]), one)) for one in rows.split(AT_ONCE)]
        return torch.cat(parts).double()

    return see


def marginal(posed: Posed, parameters: Callable[[Tensor], Tensor], iterations: int) -> Callable[[Tensor], Tensor]:
    """Return the log likelihood of values of the sought parameter, the initial state integrated out (Laplace)."""

    def log_density(values: Tensor) -> Tensor:
        rows, read = parameters(values), posed.sensing.observations.values
        zero = torch.zeros(len(rows), posed.prior.size, dtype=torch.float64)
        found = minimise(Cost(posed, read.expand(len(rows), -1), zero, rows), zero, iterations)
        widths = [torch.logdet(posed.covariance(c, row)) for c, row in zip(found.point, rows, strict=True)]
        return -found.value + torch.stack(widths) / 2

    return log_density


@dataclass(frozen=True)
class Calibration:
    """Where truths drawn from the prior lie in their posteriors (simulation-based calibration, arXiv 1804.06788)."""

    levels: tuple[float, ...]

    @property
    def ks(self) -> float:
        """Return the largest distance of their distribution from a uniform one (Kolmogorov-Smirnov)."""
        return float(kstest(self.levels, "uniform").statistic)

    @property
    def p_value(self) -> float:
        """Return how likely a larger distance would be by chance."""
        return float(kstest(self.levels, "uniform").pvalue)

    @property
    def coverage(self) -> float:
        """Return the share of truths in the 90 % interval."""
        return float(np.mean([LEVELS[0] <= level <= LEVELS[1] for level in self.levels]))


def calibrate(
    truth: GivenState, model: GivenState, noise: Callable[[float], Noise], own: Noise, count: int, seed: int
) -> Calibration:
    """Return it for ``count`` truths seen as ``truth`` has it and inferred by ``model``.

    ``own`` is the noise that is added, ``noise`` what the likelihood takes it for near a value of the parameter.
    """
    generator, sought = torch.Generator().manual_seed(seed), truth.sought
    low, high = sought.ends
    drawn = low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float64)
    levels = []
    for value in sought.natural(drawn).tolist():
        read = truth.seen(value) + own.draw(1, generator)[0]
        near = model.posterior(read, own).mean
        levels.append(model.posterior(read, noise(near)).level(value))
    return Calibration(tuple(levels))
