"""An ensemble Kalman filter: observations are taken in one after the other, and members say how sure the state is.

The ensemble transform filter (Bishop, Etherton & Majumdar, Mon. Weather Rev. 129 (2001) 420; symmetric square root of
Hunt, Kostelich & Szunyogh, Physica D 230 (2007) 112, eqs. 21 and 24), with random rotations that keep the mean (Sakov &
Oke, Mon. Weather Rev. 136 (2008) 1042) and inflated anomalies. No localisation: the members must be more than the
directions in which errors grow, about as many as positive Lyapunov exponents.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.inverse.prior import Noise
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.support.errors import InputError

Advance = Callable[[Tensor, int], Tensor]
"""From members ``(member, channel, *space)`` to the same so many time steps later."""


def filtered(
    advance: Advance,
    members: Float[Tensor, "member channel *space"],
    sensing: Sensing,
    inflation: float,
    generator: torch.Generator,
) -> Iterator[tuple[int, Float[Tensor, "member channel *space"], Float[Tensor, "member channel *space"]]]:
    """Yield, at each time of observations, its time step, the members before and after taking them in.

    ``members`` are draws of what is known at time 0. Anomalies are multiplied by ``inflation``, 1 or more, after each
    analysis. Raises ``InputError`` for fewer than two members, less inflation, or members that left all bounds.
    """
    if len(members) < 2:
        raise InputError(f"members = {len(members)}: must be at least 2, as they say how sure the state is; give more")
    if not inflation >= 1:
        raise InputError(f"inflation = {inflation:g}: must be at least 1, which leaves members as they are; raise it")
    if told := sensing.observations.correlation.time:
        raise InputError(
            f"observations.correlation.time = {told:g}: must be 0 in a filter, which takes each time by itself; use "
            "assimilate"
        )
    now = 0
    for moment in sensing.steps:
        before = advance(members, moment - now) if moment > now else members
        if not before.isfinite().all():
            raise InputError(
                f"members = not finite at step {moment}: must stay finite; start nearer the truth, or raise inflation"
            )
        members, now = _analysed(before, sensing, moment, inflation, generator), moment
        yield moment, before, members


def _analysed(
    members: Tensor, sensing: Sensing, moment: int, inflation: float, generator: torch.Generator
) -> Float[Tensor, "member channel *space"]:
    seen, rows = sensing.at(moment, members)
    given = sensing.observations
    known = sensing.correlation
    if known is None:
        values, sd = given.values[rows].to(seen), given.sd[rows].to(seen)
    else:  # in coordinates in which noise is independent, of deviation 1
        alone = Noise.of(given.sd[rows], correlation=known[rows][:, rows])
        root = torch.linalg.cholesky(alone.covariance).to(seen)
        both = torch.linalg.solve_triangular(root, torch.cat((seen, given.values[rows].to(seen)[None])).mT, upper=False)
        seen, values, sd = both.mT[:-1], both.mT[-1], torch.ones_like(both[:, 0])
    return transformed(members, seen, values, sd, inflation, rotation(len(members), generator).to(seen))


def transformed(
    members: Float[Tensor, "member channel *space"],
    seen: Float[Tensor, "member observation"],
    values: Float[Tensor, " observation"],
    sd: Float[Tensor, " observation"],
    inflation: float = 1.0,
    turn: Float[Tensor, "member member"] | None = None,
) -> Float[Tensor, "member channel *space"]:
    """Return members of the posterior; ``seen`` is what each would be observed as, without noise.

    Their mean and covariance are those of the Kalman filter, with the members' own covariance as the prior's.
    """
    count = len(members)
    mean, read = members.mean(0), seen.mean(0)
    scaled = (seen - read) / sd / (count - 1) ** 0.5
    strength, directions = torch.linalg.eigh(scaled @ scaled.mT)  # symmetric: the square root is, too
    kept = 1 / (1 + strength.clamp(min=0))
    shift = (directions * kept) @ (directions.mT @ (scaled @ ((values - read) / sd))) / (count - 1) ** 0.5
    root = (directions * kept.sqrt()) @ directions.mT
    root = root if turn is None else turn @ root
    anomalies = members - mean
    return mean + torch.tensordot(shift, anomalies, 1) + inflation * torch.tensordot(root, anomalies, 1)


def rotation(count: int, generator: torch.Generator) -> Float[Tensor, "member member"]:
    """Return a random orthogonal matrix that leaves equal numbers equal, so that members keep their mean."""
    basis = torch.linalg.qr(torch.cat((torch.ones(count, 1), torch.eye(count)[:, 1:]), 1).double())[0]
    drawn, upper = torch.linalg.qr(torch.randn(count - 1, count - 1, generator=generator, dtype=torch.float64))
    inner = torch.eye(count, dtype=torch.float64)
    inner[1:, 1:] = drawn * upper.diagonal().sign()  # uniform over all rotations
    return basis @ inner @ basis.mT
