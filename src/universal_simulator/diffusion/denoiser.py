"""How a raw network becomes a denoiser: preconditioning around any callable ``F(scaled input, c_noise)``.

``D(x; σ) = c_skip(σ) x + c_out(σ) F(c_in(σ) x, c_noise(σ))``, EDM eq. 7. The network works on inputs and targets of
order one at every noise level.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]
Denoiser = Callable[[Tensor, Tensor], Tensor]


def diffusion_denoiser(network: Network) -> Denoiser:
    """Return EDM's denoiser (table 1), σ_data = 1."""

    def denoise(x: Float[Tensor, "sample ..."], sigma: Float[Tensor, " sample"]) -> Float[Tensor, "sample ..."]:
        s = _wide(sigma, x)
        total = (s**2 + 1).sqrt()
        return x / total**2 + s / total * network(x / total, sigma.log() / 4)

    return denoise


def consistency_function(network: Network, minimum: float) -> Denoiser:
    """Return the student: exactly the identity at σ = ``minimum`` (Consistency Models, appendix C)."""

    def denoise(x: Float[Tensor, "sample ..."], sigma: Float[Tensor, " sample"]) -> Float[Tensor, "sample ..."]:
        s = _wide(sigma, x)
        total = (s**2 + 1).sqrt()
        excess = s - minimum
        return x / (excess**2 + 1) + excess / total * network(x / total, sigma.log() / 4)

    return denoise


def _wide(sigma: Tensor, like: Tensor) -> Tensor:
    return sigma.view(-1, *(1 for _ in like.shape[1:]))
