"""How a trained chain is used, and what is scored."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from universal_simulator.configuration.chaos import Chaos
from universal_simulator.configuration.section import Count, NonNegative, Positive, Section, Size


class RewardWeights(Section):
    """Weights of the physical terms in a candidate's reward, relative to the equation's residual (1)."""

    mass: NonNegative = 1.2
    energy: NonNegative = 0.15


class Guidance(Section):
    """Correction of every step by the equation's balance, before it is scored."""

    modes: Annotated[int, Field(ge=0, le=10**4)] = 8
    """Longest waves that the balance prescribes; 0 switches guidance off."""
    iterations: Size = 3
    """Fixed-point iterations of the implicit balance."""


class TestTimeConditioning(Section):
    """Guide each step by physics the networks did not see, and search among candidate steps that physics scores."""

    candidates: Size = 8
    beam: Size = 3
    horizon: Size = 1
    threshold: NonNegative = 0.35
    discount: Positive = 1.0
    budget: Annotated[int, Field(ge=0, le=10**9)] = 150
    """Candidate evaluations (network calls) spent on one trajectory."""
    noise_std: NonNegative = 0.015
    noise_schedule: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.03, 0.015, 0.005)
    reward: RewardWeights = RewardWeights()
    guidance: Guidance = Guidance()
    max_batch: Count = 512
    """States in one network call, which bounds memory."""

    @model_validator(mode="after")
    def _beam_fits(self) -> "TestTimeConditioning":
        if self.beam > self.candidates:
            raise ValueError(f"beam = {self.beam} must not exceed candidates = {self.candidates}; lower it")
        return self


class Ensemble(Section):
    """How many members a probabilistic forecast has."""

    members: Annotated[int, Field(ge=2, le=10**4)] = 8


class Outside(Section):
    """What lies outside the training data, to see whether the spread of ensembles rises with their error there."""

    trajectories: Annotated[int, Field(ge=0, le=10**4)] = 16
    """Solved for each case; 0 leaves all of it out."""
    parameter: tuple[Positive, ...] = (0.25, 0.5, 2.0, 4.0)
    """Factors on the smallest of ``data.viscosities`` where below 1, on the largest where above."""
    amplitude: tuple[Positive, ...] = (0.25, 0.5, 2.0)
    """Factors on initial fields."""


class EnsembleCalibration(Section):
    """How the spread of ensembles is fitted, on validation trajectories alone."""

    trajectories: Count = 64
    memories: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0, 0.05, 0.1, 0.2)
    """Times, in time units, over which a member's noise may remember; the best one is kept."""


Protocol = Literal["one_step", "rollout", "pdebench", "ten_given"]
Variant = Literal["deterministic", "ensemble", "ttc", "guided_ensemble", "persistence", "mean", "nearest"]


class Evaluation(Section):
    """What is scored on the test split."""

    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("one_step", "rollout", "pdebench")
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = (
        "persistence",
        "mean",
        "nearest",
        "deterministic",
        "ensemble",
        "ttc",
    )
    ensemble: Ensemble = Ensemble()
    outside: Outside = Outside()
    chaos: Chaos | None = None
    """Scores of a chaotic problem (docs/metrics.md); null: none."""
    batch_size: Count = 50
    """Trajectories forecast at once."""
    one_step_every: Count = 10
    """``one_step`` starts from every so many steps of a trajectory: neighbours say almost the same."""
    examples: Count = 4
    """Test trajectories kept whole, for the report's pictures."""

    @model_validator(mode="after")
    def _different(self) -> "Evaluation":
        for name in ("protocols", "variants"):
            value = getattr(self, name)
            if len(set(value)) < len(value):
                raise ValueError(f"{name} = {','.join(value)} must differ from each other; drop the repeated one")
        return self
