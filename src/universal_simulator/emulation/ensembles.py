"""Several forecasts of one start: sampled, guided by physics, searched among.

How physical a step looks: a score from the equation alone, on decoded fields. No network was trained on it.

Test-time conditioning: every step is guided by physics, and a beam search goes on among sampled steps where needed.

Guidance replaces the longest waves of a step by what the equation's balance demands (``physics/balance.py``); the
operator's shorter waves stay. Every step of every beam is first taken by the operator and guided. Where its violation
of the equation still exceeds ``threshold`` and the trajectory's ``budget`` lasts, ``candidates - 1`` alternatives are
drawn from the residual's sampler, jittered by the noise schedule, and guided too; the best ``beam`` of all candidates
live on. A path's score is its reward plus ``discount`` times the score it had. With a ``horizon`` above one a candidate
also answers for the operator's next steps from it. Physics is judged in the co-moving frame, where the equation reads
the same. All of it needs a problem whose rate of change is known.

Several forecasts of one start: what may have gone wrong differs from member to member.

Every step of every member is the operator's plus a draw of the operator's error, from noise that remembers
(``emulator.py``). The noises of a sample's members add up to nothing, so that what they do to first order cancels in
the mean; independent ones would leave it ``1/members`` of the ensemble's variance. Each member's own noise is standard
normal still; any two have correlation ``-1 / (members - 1)``. Draws are then moved away from their mean, each
member's by its own factor.

Of a physics-corrected ensemble the equation's balance then prescribes the longest waves, as in test-time conditioning:
members spread around the best forecast there is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from universal_simulator.configuration import RewardWeights, TestTimeConditioning
from universal_simulator.diffusion.denoising import ar1_noise
from universal_simulator.emulation.emulator import Context, Emulator, RolloutState, Tuning
from universal_simulator.fields.trajectories import rollout
from universal_simulator.physics.balance import Balance, energy_growth, mass_change
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

WORST = 1e6
"""Violation of a step that is no field at all."""


def reward(
    balance: Balance,
    before: Float[Tensor, "sample channel *space"],
    after: Float[Tensor, "sample channel *space"],
    parameters: Float[Tensor, "sample parameter"],
    weights: RewardWeights,
) -> Float[Tensor, " sample"]:
    """Return minus the weighed violations: 0 for a perfect step, about -1 for one no better than standing still.

    Growing energy counts where the problem's can only fall, a change of mass where it is conserved.
    """
    violation = balance.residual(before, after, parameters)
    violation = violation + weights.mass * mass_change(before, after, balance.facts, balance.grid)
    if balance.facts.decays:
        violation = violation + weights.energy * energy_growth(before, after, balance.grid)
    return -violation.nan_to_num(nan=WORST, posinf=WORST).clamp(max=WORST).to(before.dtype)


NEVER = -float("inf")
"""Score of a beam that does not exist (yet)."""


@dataclass(frozen=True)
class Search:
    """Beams of every sample, and what they have cost."""

    z: Float[Tensor, "sample beam channel *space"]
    v: Float[Tensor, "sample beam channel *fine"]
    """The beams' fields in the co-moving frame."""
    score: Float[Tensor, "sample beam"]
    path: Float[Tensor, "sample beam time channel *space"]
    spent: Int[Tensor, " sample"]
    """Candidates drawn so far."""
    chosen: Int[Tensor, "sample time"]
    """Candidate behind the best beam at every step; 0 is the operator's own."""

    @property
    def alive(self) -> Bool[Tensor, "sample beam"]:
        """Return which beams exist."""
        return self.score > NEVER


@dataclass(frozen=True)
class StepScorer:
    """Takes, corrects and scores steps in batches of at most ``settings.max_batch`` states."""

    emulator: Emulator
    settings: TestTimeConditioning
    shape: tuple[int, ...]
    """Points of the fields that are judged."""
    generator: torch.Generator

    def step(self, z: Tensor, v: Tensor, start: RolloutState) -> Float[Tensor, "state channel *space"]:
        """Let the operator advance states z with fields v, corrected; ``start`` has one row for each."""
        after = self._batched(lambda rows: self.emulator.step(z[rows], start.part(rows)), len(z))
        return self.correct(v, after, start)

    def correct(self, v: Tensor, after: Tensor, start: RolloutState) -> Float[Tensor, "state channel *space"]:
        """Correct a step from field v: let the balance of the equation prescribe the longest waves."""
        guidance = self.settings.guidance
        if not guidance.modes:
            return after
        encode, fields, told = self.emulator.encode, self.fields(after, start), start.parameters
        right = self.balance(start).corrected(v, fields, told, guidance.modes, guidance.iterations)
        return after + encode(right, told) - encode(fields, told)

    def balance(self, start: RolloutState) -> Balance:
        """Return the balance of the problem over a step."""
        return balance_of(self.emulator, start.time_step)

    def draw(self, before: Tensor, after: Tensor, start: RolloutState) -> Float[Tensor, "state channel *space"]:
        """Return alternatives to ``after``: a draw of the operator's error, and jitter by the noise schedule."""
        sampler = self.emulator.sampler
        assert sampler is not None, "test-time conditioning needs the residual's sampler"

        def residual(rows: slice) -> Tensor:
            time_step = torch.full((len(before[rows]),), start.time_step).to(before)
            noise = torch.randn(before[rows].shape, generator=self.generator).to(before)
            context = Context(before[rows], after[rows], start.parameters[rows], time_step)
            return sampler.draw(context, noise, self.generator)

        schedule = torch.tensor(self.settings.noise_schedule)
        level = schedule.repeat(-(-len(before) // len(schedule)))[: len(before)].to(before)
        level = level.view(-1, *[1] * (before.ndim - 1))
        change = self._batched(residual, len(before)) + level * self.noise(before, after)
        return after + self._conserving(change)

    def noise(self, before: Tensor, after: Tensor) -> Float[Tensor, "state channel *space"]:
        """Return white noise of one standard deviation of the operator's residual."""
        sampler = self.emulator.sampler
        assert sampler is not None, "test-time conditioning needs the residual's sampler"
        white = torch.randn(after.shape, generator=self.generator).to(after)
        return sampler.network.scale(before, after) * white

    def score(
        self, v: Float[Tensor, "state channel *fine"], z: Float[Tensor, "state channel *space"], start: RolloutState
    ) -> tuple[Float[Tensor, " state"], Float[Tensor, "state channel *fine"]]:
        """Return the reward of stepping from field ``v`` to state ``z``, averaged over the horizon, and z's field."""
        first = later = self.fields(z, start)
        total = self.reward(v, first, start)
        for _ in range(self.settings.horizon - 1):
            z = self.step(z, later, start)
            earlier, later = later, self.fields(z, start)
            total = total + self.reward(earlier, later, start)
        return total / self.settings.horizon, first

    def reward(self, before: Tensor, after: Tensor, start: RolloutState) -> Float[Tensor, " state"]:
        """Return the reward of every step by the equation of its own parameters."""
        return reward(self.balance(start), before, after, start.parameters, self.settings.reward)

    def fields(self, z: Tensor, start: RolloutState) -> Float[Tensor, "state channel *fine"]:
        """Decode."""
        return self.emulator.decode_comoving(z, start.parameters, self.shape)

    def _conserving(self, change: Tensor) -> Tensor:
        """Take away the mean of what is conserved."""
        grid, kept = self.emulator.grid, torch.tensor(self.emulator.facts.conserves())
        return change - grid.wide(grid.mean(change) * kept.to(change))

    def _batched(self, function: Callable[[slice], Tensor], count: int) -> Tensor:
        size = self.settings.max_batch
        return torch.cat([function(slice(i, i + size)) for i in range(0, count, size)])


def balance_of(emulator: Emulator, time_step: float) -> Balance:
    """Return the balance of an emulator's problem; raises ``InputError`` where its rate of change is not known."""
    rate = find(emulator.facts.name).rate
    if rate is None:
        raise InputError(
            f"problem = {emulator.facts.name}: has no rate of change, which physics-corrected forecasts need; "
            "leave out ttc and guided_ensemble"
        )
    return Balance(rate, rate.tangent, emulator.facts, emulator.grid, time_step)


@torch.inference_mode()
def conditioned(
    emulator: Emulator,
    start: RolloutState,
    steps: int,
    settings: TestTimeConditioning,
    shape: tuple[int, ...],
    generator: torch.Generator,
) -> tuple[Float[Tensor, "sample 1 time channel *space"], Search]:
    """Return the states of the best path of every sample, and the search that found it."""
    scorer = StepScorer(emulator, settings, shape, generator)
    search = _begin(scorer, start)
    for _ in range(steps):
        search = _advance(search, scorer, start)
    best = search.score.argmax(1)
    return search.path[torch.arange(len(best)), best][:, None], search


def _begin(scorer: StepScorer, start: RolloutState) -> Search:
    """Return one living beam per sample, and ``beam - 1`` slots for later."""
    samples, beam = len(start.z), scorer.settings.beam
    wide = start.repeat(beam)
    z = wide.z.unflatten(0, (samples, beam))
    score = z.new_full((samples, beam), NEVER)
    score[:, 0] = 0.0
    nothing = torch.zeros(samples, 0, dtype=torch.long, device=z.device)
    fields = scorer.fields(start.z, start).repeat_interleave(beam, 0).unflatten(0, (samples, beam))
    return Search(z, fields, score, z[:, :, None][:, :, :0], nothing.sum(1), nothing)


def _advance(search: Search, scorer: StepScorer, start: RolloutState) -> Search:
    """Step every living beam, look for better steps where the operator's is not good enough, keep the best."""
    settings, alive = scorer.settings, search.alive
    samples, beam = alive.shape
    count = settings.candidates
    row = torch.arange(samples, device=alive.device)[:, None].expand(-1, beam)
    z, v = (of[:, :, None].repeat(1, 1, count, *[1] * (of.ndim - 2)) for of in (search.z, search.v))
    rewards = search.score.new_full((samples, beam, count), NEVER)

    living = start.part(row[alive])
    own = scorer.step(search.z[alive], search.v[alive], living)
    z[alive, 0] = own
    rewards[alive, 0], v[alive, 0] = scorer.score(search.v[alive], own, living)

    price = alive.sum(1) * (count - 1)
    doubtful = -rewards[:, :, 0].amax(1) > settings.threshold
    searched = doubtful & (search.spent + price <= settings.budget) & (count > 1)
    asked = alive & searched[:, None]
    if asked.any():
        z[asked, 1:], v[asked, 1:], rewards[asked, 1:] = _alternatives(
            scorer, search.z[asked], search.v[asked], z[asked, 0], start.part(row[asked])
        )
    return _select(search, z, v, rewards, searched, price * searched, settings)


def _alternatives(
    scorer: StepScorer, before: Tensor, fields: Tensor, after: Tensor, start: RolloutState
) -> tuple[Tensor, Tensor, Tensor]:
    """Return states, fields and rewards of ``candidates - 1`` alternatives to every step ``before → after``."""
    drawn = scorer.settings.candidates - 1
    wide = start.repeat(drawn)
    old, new, v = (value.repeat_interleave(drawn, 0) for value in (before, after, fields))
    old = old + scorer.settings.noise_std * scorer.noise(old, new)
    z = scorer.correct(v, scorer.draw(old, new, wide), wide)
    rewards, v = scorer.score(v, z, wide)
    shape = (len(before), drawn)
    return z.unflatten(0, shape), v.unflatten(0, shape), rewards.unflatten(0, shape)


def _select(
    search: Search,
    z: Float[Tensor, "sample beam candidate channel *space"],
    v: Float[Tensor, "sample beam candidate channel *fine"],
    rewards: Float[Tensor, "sample beam candidate"],
    searched: Bool[Tensor, " sample"],
    price: Int[Tensor, " sample"],
    settings: TestTimeConditioning,
) -> Search:
    """Keep the best ``beam`` candidates where a search took place, every beam's own step elsewhere."""
    samples, beam, count = rewards.shape
    living = rewards > NEVER
    total = torch.where(living, settings.discount * search.score[:, :, None] + rewards, NEVER).flatten(1)
    own = torch.arange(beam, device=z.device) * count
    kept = torch.where(searched[:, None], total.topk(beam, dim=1).indices, own)
    row = torch.arange(samples, device=z.device)[:, None]
    score = total.gather(1, kept)
    best = (kept % count).gather(1, score.argmax(1, keepdim=True))
    z = z.flatten(1, 2)[row, kept]
    return Search(
        z,
        v.flatten(1, 2)[row, kept],
        score,
        torch.cat((search.path[row, kept // count], z[:, :, None]), dim=2),
        search.spent + price,
        torch.cat((search.chosen, best), dim=1),
    )


Correction = Callable[[Tensor, Tensor], Tensor]
"""From a state and the state after it to a better one after it."""


@torch.inference_mode()
def ensemble(
    emulator: Emulator, start: RolloutState, steps: int, members: int, generator: torch.Generator
) -> Float[Tensor, "sample member time channel *space"]:
    """Return the states of ``members`` forecasts per sample, each with residuals of its own."""
    drawing = _Drawing(emulator, members, emulator.calibration.ensemble, lambda _before, after: after)
    return drawing.states(start, steps, generator)


@torch.inference_mode()
def corrected_ensemble(
    emulator: Emulator,
    start: RolloutState,
    steps: int,
    members: int,
    scored: tuple[TestTimeConditioning, tuple[int, ...]],
    generator: torch.Generator,
) -> Float[Tensor, "sample member time channel *space"]:
    """Return the same, every step of every member corrected by the equation, on a grid of the ``scored`` shape."""
    scorer, wide = StepScorer(emulator, *scored, generator), start.repeat(members)

    def correct(before: Tensor, after: Tensor) -> Tensor:
        return scorer.correct(scorer.fields(before, wide), after, wide)

    return _Drawing(emulator, members, emulator.calibration.guided_ensemble, correct).states(start, steps, generator)


@dataclass(frozen=True)
class _Drawing:
    """How the members of one kind of ensemble are drawn."""

    emulator: Emulator
    members: int
    tuning: Tuning
    correct: Correction

    def states(
        self, start: RolloutState, steps: int, generator: torch.Generator
    ) -> Float[Tensor, "sample member time channel *space"]:
        wide, members = start.repeat(self.members), (-1, self.members)
        noises = ar1_noise(wide.z, self.tuning.correlation(start.time_step), generator)
        widths = self.tuning.widths(self.members).to(wide.z)

        def step(z: Tensor) -> Tensor:
            noise = balanced(next(noises).unflatten(0, members)).flatten(0, 1)
            after, draws = self.emulator.sampled_step(z, wide, noise, generator)
            return self.correct(z, after + inflate(draws.unflatten(0, members), widths).flatten(0, 1))

        return torch.stack(list(rollout(step, wide.z, steps)), dim=1).unflatten(0, members)


def balanced(noise: Float[Tensor, "sample member *entry"]) -> Float[Tensor, "sample member *entry"]:
    """Return standard normal noise that adds up to nothing over the members; that of one member stays as it is."""
    members = noise.shape[1]
    if members == 1:
        return noise
    return math.sqrt(members / (members - 1)) * (noise - noise.mean(1, keepdim=True))


def inflate(
    members: Float[Tensor, "sample member *entry"], factors: Float[Tensor, " member"]
) -> Float[Tensor, "sample member *entry"]:
    """Move each member away from the mean by its own factor; the mean stays. One alone is left as it is."""
    mean = members.mean(1, keepdim=True)
    moved = factors.view(-1, *[1] * (members.ndim - 2)) * (members - mean)
    return mean + moved - moved.mean(1, keepdim=True)
