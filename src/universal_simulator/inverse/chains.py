"""Posteriors of two or three parameters, and of the initial state with them: Hamiltonian Monte Carlo by Pyro.

The No-U-Turn sampler (Hoffman & Gelman, JMLR 15 (2014) 1593) on coordinates without bounds: logits of where a parameter
lies between its bounds, and whitened amplitudes. Gradients are those of the rollout. Needs the extra ``inference``.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.inverse.posterior import Range
from universal_simulator.inverse.variational import Posed
from universal_simulator.support.errors import InputError

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
            "inference = missing: two or more parameters need Pyro; pip install 'universal_simulator[inference]'"
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
