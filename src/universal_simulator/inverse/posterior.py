"""Posteriors of parameters: of one on a grid, of two or three by chains.

The posterior of one parameter, exactly: its density on a grid that closes in on where the mass is.

The initial field is given, or only its prior is known: it is then integrated out by Laplace's method about its
analysis for each value of the parameter (``-J - ½ log det`` of the cost's Hessian; exact where the model is linear in
the state).

Posteriors of two or three parameters, and of the initial state with them: Hamiltonian Monte Carlo by Pyro.

The No-U-Turn sampler (Hoffman & Gelman, JMLR 15 (2014) 1593) on coordinates without bounds: logits of where a parameter
lies between its bounds, and whitened amplitudes. Gradients are those of the rollout. Needs the extra ``inference``.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.stats import kstest
from torch import Tensor

from universal_simulator.fields.facts import Parameter
from universal_simulator.inverse.prior import Noise
from universal_simulator.inverse.variational import AT_ONCE, Cost, Posed, minimise
from universal_simulator.support.errors import InputError

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


CONVERGED, FEWEST = 1.05, 50
"""Split R-hat below which chains agree, and effective draws below which they say nothing (Vehtari et al., Bayesian
Analysis 16 (2021) 667, demand 1.01 and 400 of long ones)."""


@dataclass(frozen=True)
class Chains:
    """Draws, and whether they can be believed."""

    parameters: Float[Tensor, "chain draw parameter"]
    whitened: Float[Tensor, "chain draw amplitude"]
    """Of the initial state; without amplitudes where it was given."""
    r_hat: Float[Tensor, " parameter"]
    """Split R-hat: 1 where chains agree."""
    effective: Float[Tensor, " parameter"]
    """Independent draws that these are worth."""

    @property
    def converged(self) -> bool:
        """Return whether chains agree on every parameter, and are long enough to tell."""
        return bool((self.r_hat < CONVERGED).all() and (self.effective > FEWEST).all())

    @property
    def mean(self) -> Float[Tensor, " parameter"]:
        """Return the mean of the parameters."""
        return self.parameters.flatten(0, 1).mean(0)

    @property
    def sd(self) -> Float[Tensor, " parameter"]:
        """Return their standard deviation."""
        return self.parameters.flatten(0, 1).std(0)


@dataclass(frozen=True)
class Sampled:
    """What chains walk on: minus the logarithm of the posterior, of coordinates without bounds."""

    posed: Posed
    sought: Sequence[Range]
    given: Float[Tensor, "1 channel *space"] | None
    """The initial field, or none where it is sought, too."""
    rows: Callable[[Tensor], Tensor] = lambda values: values
    """From ``(value, sought)`` to whole rows of the equation's parameters."""

    @property
    def size(self) -> int:
        """Return how many coordinates there are."""
        return len(self.sought) + (0 if self.given is not None else self.posed.prior.size)

    def parameters(self, z: Float[Tensor, "*batch coordinate"]) -> Float[Tensor, "*batch parameter"]:
        """Return the parameters of coordinates."""
        ends = [one.ends for one in self.sought]
        share = torch.sigmoid(z[..., : len(ends)]).unbind(-1)
        each = zip(self.sought, ends, share, strict=True)
        return torch.stack([one.natural(low + (high - low) * part) for one, (low, high), part in each], -1)

    def __call__(self, coordinates: dict[str, Tensor]) -> Tensor:
        """Return the potential of one point, ``{"z": (coordinate,)}``."""
        z = coordinates["z"].double()
        count, state = len(self.sought), z[len(self.sought) :]
        u = self.given if self.given is not None else self.posed.prior.field(state[None])
        seen = self.posed.sensing(self.posed.forward(u, self.rows(self.parameters(z)[None]))).double()[0]
        misfit = self.posed.noise.quadratic(seen - self.posed.sensing.observations.values) / 2
        flat = torch.nn.functional.logsigmoid(z[:count]) + torch.nn.functional.logsigmoid(-z[:count])
        return misfit + state.square().sum() / 2 - flat.sum()


def sample(target: Sampled, chains: int, draws: int, warm_up: int, seed: int) -> Chains:
    """Return chains that begin anywhere between the bounds; raises ``InputError`` without Pyro."""
    try:
        import pyro
        from pyro.infer import MCMC, NUTS
        from pyro.ops.stats import effective_sample_size, split_gelman_rubin
    except ImportError as error:
        raise InputError(
            "inference = missing: two or more parameters need Pyro; pip install -e '.[inference]'"
        ) from error
    found = []
    for number in range(chains):
        with _own_numbers():
            pyro.set_rng_seed(seed + number)
            start = torch.randn(target.size, dtype=torch.float64) * 0.5
            run = MCMC(
                NUTS(potential_fn=target, max_tree_depth=6),
                draws,
                warmup_steps=warm_up,
                initial_params={"z": start},
                disable_progbar=True,
            )
            run.run()
        found.append(run.get_samples()["z"].detach())
    z = torch.stack(found)
    told = target.parameters(z)
    walked = z[..., : len(target.sought)]
    return Chains(told, z[..., len(target.sought) :], split_gelman_rubin(walked), effective_sample_size(walked))


@contextmanager
def _own_numbers() -> Iterator[None]:
    """Leave the process's random numbers as they were: Pyro seeds those of Python, NumPy and torch."""
    words, numbers = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(words)
        np.random.set_state(numbers)
