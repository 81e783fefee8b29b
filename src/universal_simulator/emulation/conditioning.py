"""Test-time conditioning: a beam search among sampled steps, scored by physics.

Every step of every beam is first taken by the operator. Where its violation of the equation exceeds ``threshold`` and
the trajectory's ``budget`` lasts, ``candidates - 1`` alternatives are drawn from the residual's sampler, jittered by
the noise schedule; the best ``beam`` of all candidates live on. A path's score is its reward plus ``discount`` times
the score it had. With a ``horizon`` above one a candidate also answers for the operator's next steps from it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from universal_simulator.configuration import TestTimeConditioning
from universal_simulator.emulation.emulator import Emulator, Start
from universal_simulator.emulation.reward import reward
from universal_simulator.physics.equations import equation

NEVER = -1e9
"""Score of a beam that does not exist yet."""


@dataclass
class Search:
    """Beams of every sample, and what they have cost."""

    z: Float[Tensor, "sample beam token dim"]
    score: Float[Tensor, "sample beam"]
    path: Float[Tensor, "sample beam time token dim"]
    spent: Int[Tensor, " sample"]
    chosen: Int[Tensor, "sample time"]
    """Candidate behind the best beam at every step; 0 is the operator's own."""


@torch.inference_mode()
def conditioned(
    emulator: Emulator,
    start: Start,
    steps: int,
    settings: TestTimeConditioning,
    points: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "sample 1 time token dim"], Search]:
    """Return the states of the best path of every sample, and the search that found it."""
    samples = len(start.z)
    beams = start.z[:, None].repeat(1, settings.beam, 1, 1)
    beams[:, 1:] += _jitter(beams[:, 1:], settings.noise_std, emulator, generator)
    score = torch.full((samples, settings.beam), NEVER)
    score[:, 0] = 0.0
    search = Search(
        beams, score, beams[:, :, None][:, :, :0], torch.zeros(samples, dtype=torch.long),
        torch.zeros(samples, 0, dtype=torch.long),
    )  # fmt: skip
    for _ in range(steps):
        search = _advance(search, emulator, start, settings, points, generator)
    best = search.score.argmax(1)
    return search.path[torch.arange(samples), best][:, None], search


def _advance(
    search: Search,
    emulator: Emulator,
    start: Start,
    settings: TestTimeConditioning,
    points: int,
    generator: torch.Generator,
) -> Search:
    samples, beam = search.score.shape
    wide = start.repeat(beam)
    z = search.z.flatten(0, 1)
    after = _batched(lambda part, rows: emulator.step(part, _rows(wide, rows)), z, settings.max_batch)
    own = _score(emulator, z, after, wide, settings, points).view(samples, beam)

    best_own = torch.where(search.score > NEVER / 2, own, NEVER).amax(1)
    price = beam * (settings.candidates - 1)
    searched = (-best_own > settings.threshold) & (search.spent + price <= settings.budget)

    candidates = after.view(samples, beam, 1, *after.shape[1:]).repeat(1, 1, settings.candidates, 1, 1)
    rewards = torch.full((samples, beam, settings.candidates), NEVER)
    rewards[:, :, 0] = own
    if searched.any() and settings.candidates > 1:
        candidates[searched, :, 1:], rewards[searched, :, 1:] = _alternatives(
            emulator,
            search.z[searched],
            candidates[searched, :, 0],
            _rows(start, searched),
            settings,
            points,
            generator,
        )
    return _select(search, candidates, rewards, searched, price, settings)


def _alternatives(
    emulator: Emulator,
    before: Float[Tensor, "sample beam token dim"],
    after: Float[Tensor, "sample beam token dim"],
    start: Start,
    settings: TestTimeConditioning,
    points: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "sample beam candidate token dim"], Float[Tensor, "sample beam candidate"]]:
    """Draw and score all candidates but the operator's own."""
    assert emulator.sampler is not None, "test-time conditioning needs the residual's sampler"
    samples, beam = before.shape[:2]
    drawn = settings.candidates - 1
    wide = start.repeat(beam * drawn)
    old, new = (value.flatten(0, 1).repeat_interleave(drawn, 0) for value in (before, after))
    sampler = emulator.sampler

    def draw(part: Tensor, rows: slice) -> Tensor:
        time_step = torch.full((len(part),), start.time_step).to(part)
        return sampler.draw(part, new[rows], wide.viscosity[rows], time_step, generator)

    levels = torch.tensor(settings.noise_schedule).repeat(drawn)[:drawn].repeat(samples * beam)[:, None, None]
    unit = sampler.inflation * sampler.network.scale(old)
    noise = torch.randn(old.shape, generator=generator).to(old)
    new = new + _batched(draw, old, settings.max_batch) + levels.to(old) * unit * noise
    new = new - (new - old).mean((-2, -1), keepdim=True)
    rewards = _score(emulator, old, new, wide, settings, points)
    return new.unflatten(0, (samples, beam, drawn)), rewards.view(samples, beam, drawn)


def _score(
    emulator: Emulator, before: Tensor, after: Tensor, start: Start, settings: TestTimeConditioning, points: int
) -> Float[Tensor, " state"]:
    """Return the reward of a step, and of the operator's ``horizon - 1`` next steps from its end."""
    law = equation(emulator.equation, float(start.viscosity[0]))
    total = torch.zeros(len(before))
    for ahead in range(settings.horizon):
        if ahead:
            before, after = (
                after,
                _batched(lambda part, rows: emulator.step(part, _rows(start, rows)), after, settings.max_batch),
            )
        u0, u1 = (_fields(emulator, z, start, points, settings.max_batch) for z in (before, after))
        total = total + reward(law, u0, u1, start.time_step, settings.reward).cpu()
    return total / settings.horizon


def _select(
    search: Search,
    candidates: Float[Tensor, "sample beam candidate token dim"],
    rewards: Float[Tensor, "sample beam candidate"],
    searched: Tensor,
    price: int,
    settings: TestTimeConditioning,
) -> Search:
    """Keep the best ``beam`` candidates where a search took place, every beam's own step elsewhere."""
    samples, beam, count = rewards.shape
    total = (settings.discount * search.score.clamp(min=NEVER))[:, :, None] + rewards
    own = torch.arange(beam) * count
    kept = torch.where(searched[:, None], total.flatten(1).topk(beam, dim=1).indices, own)
    row = torch.arange(samples)[:, None]
    parent = kept // count
    z = candidates.flatten(1, 2)[row, kept]
    score = total.flatten(1).gather(1, kept).clamp(min=NEVER)
    best = (kept % count).gather(1, score.argmax(1, keepdim=True))
    return Search(
        z,
        score,
        torch.cat((search.path[row, parent], z[:, :, None]), dim=2),
        search.spent + searched * price,
        torch.cat((search.chosen, best), dim=1),
    )


def _fields(emulator: Emulator, z: Tensor, start: Start, points: int, at_once: int) -> Tensor:
    """Decode in the co-moving frame, where the equation reads the same; the mean it removed stays out."""
    return _batched(lambda part, rows: emulator.autoencoder.decode(part, start.viscosity[rows], points), z, at_once)


def _jitter(z: Tensor, std: float, emulator: Emulator, generator: torch.Generator) -> Tensor:
    """Return noise of ``std`` residual standard deviations, so that beams do not start alike."""
    assert emulator.sampler is not None
    unit = emulator.sampler.network.scale(z.flatten(0, 1)).view(*z.shape[:2], 1, 1)
    noise = torch.randn(z.shape, generator=generator).to(z)
    return std * unit * (noise - noise.mean((-2, -1), keepdim=True))


def _batched(function: Callable[[Tensor, slice], Tensor], states: Tensor, size: int) -> Tensor:
    """Apply ``function(states, rows)`` to at most ``size`` states at once."""
    starts = range(0, len(states), size)
    return torch.cat([function(states[i : i + size], slice(i, i + size)) for i in starts])


def _rows(start: Start, rows: slice | Tensor) -> Start:
    return Start(start.z[rows], start.mean[rows], start.viscosity[rows], start.time_step)
