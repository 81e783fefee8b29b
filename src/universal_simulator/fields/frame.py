"""The co-moving frame: ``u(x, t) = m + v(x - c t, t)`` with ``v`` of zero mean and ``c`` the equation's drift."""

from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.spectral import shift


def spatial_mean(u: Float[Tensor, "*batch space"]) -> Float[Tensor, "*batch"]:
    """Return the mean, summed in double precision."""
    return u.double().mean(-1).to(u.dtype)


def enter_frame(
    u: Float[Tensor, "sample time space"], drift: Float[Tensor, " sample"], times: Float[Tensor, " time"]
) -> Float[Tensor, "sample time space"]:
    """Return v: every snapshot without its mean, moved back by how far the frame has gone since time 0."""
    return shift(u - spatial_mean(u)[..., None], -drift[:, None] * times)


def leave_frame(
    v: Float[Tensor, "sample time space"],
    mean: Float[Tensor, " sample"],
    drift: Float[Tensor, " sample"],
    times: Float[Tensor, " time"],
) -> Float[Tensor, "sample time space"]:
    """Return u, of exactly the given mean."""
    moved = shift(v, drift[:, None] * times)
    return moved - spatial_mean(moved)[..., None] + mean[:, None, None]
