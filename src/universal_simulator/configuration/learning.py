"""What is learned, and how: the shapes of networks and the training of each stage."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from universal_simulator.configuration.section import Count, NonNegative, Positive, Probability, Section, Size
from universal_simulator.support.errors import InputError


class Latent(Section):
    """Size of the latent state: ``tokens × dim`` points along each axis, whatever the number of points of the field."""

    tokens: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]
    """Positions along each axis: one number for all axes, or one for each."""
    dim: Size
    """Points of a token along each axis."""

    def shape(self, dimensions: int, points: int | None = None) -> tuple[int, ...]:
        """Return how many points there are along each axis, with ``dim`` or so many of each token."""
        tokens = (self.tokens,) * dimensions if isinstance(self.tokens, int) else self.tokens
        if len(tokens) != dimensions:
            raise InputError(
                f"latent.tokens = {list(tokens)}: must be one number, or one for each of {dimensions} axes; correct it"
            )
        return tuple(count * (points or self.dim) for count in tokens)

    @property
    def counts(self) -> tuple[int, ...]:
        """Return the different numbers of tokens."""
        return (self.tokens,) if isinstance(self.tokens, int) else self.tokens


OptimizerName = Literal["adamw", "muon"]
"""``muon`` is for the matrices of a network; its other weights get AdamW."""


class Training(Section):
    """One stage's optimisation: linear warm-up, cosine to the final rate, weight average, early stopping."""

    epochs: Count
    windows_per_epoch: Count
    """Training windows drawn in one epoch. Neighbouring snapshots say almost the same, so an epoch is a number of
    random windows, not all of them."""
    batch_size: Count = 32
    optimizer: OptimizerName = "adamw"
    learning_rate: Positive
    final_learning_rate: NonNegative = 0.0
    warmup_fraction: Probability = 0.03
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Of AdamW's two averages of gradients."""
    weight_decay: NonNegative = 0.01
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    gradient_clip: Positive = 1.0
    patience: Count = 10
    """Epochs without a better validation loss before the stage stops."""
    validation_windows: Count = 256
    save_every_s: Positive = 60.0
    """Seconds of training between saved states, from which it goes on after anything; one is saved at the end of every
    epoch, too. The result does not depend on it."""

    @model_validator(mode="after")
    def _decays(self) -> "Training":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate = {self.final_learning_rate} must not exceed "
                f"learning_rate = {self.learning_rate}; swap or lower it"
            )
        if self.batch_size > self.windows_per_epoch:
            raise ValueError(
                f"batch_size = {self.batch_size} must not exceed windows_per_epoch = {self.windows_per_epoch}; lower it"
            )
        return self


class ConvolutionalAutoencoder(Section):
    """Shape of a trained encoder and decoder."""

    kind: Literal["autoencoder"] = "autoencoder"
    width: Size = 16
    depth: Annotated[int, Field(ge=2, le=100)] = 3
    kernel: Annotated[int, Field(ge=3, le=1023)] = 5
    refinement: Annotated[int, Field(ge=1, le=64)] = 2
    """How much finer than the latent grid the decoder works, to draw fronts that fall between latent points."""

    @model_validator(mode="after")
    def _centred(self) -> "ConvolutionalAutoencoder":
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel = {self.kernel} must be odd, to be centred; take {self.kernel + 1}")
        return self


class TrainedDecoder(ConvolutionalAutoencoder):
    """Shape of a trained decoder of the field's own long waves: nothing is learned in encoding."""

    kind: Literal["decoder"] = "decoder"  # type: ignore[assignment]


class SpectralTruncation(Section):
    """No network: the field's long waves, cosines between walls. Nothing is trained."""

    kind: Literal["truncation"] = "truncation"


Depth = Annotated[int, Field(ge=1, le=100)]


class UTransformer(Section):
    """Shape of a U-shaped transformer over latent tokens."""

    kind: Literal["u_transformer"] = "u_transformer"
    points_per_token: Size
    """Of the ``latent.dim`` samples of a token along an axis: how many carry the waves that the network works on."""
    point_width: Annotated[int, Field(ge=0, le=10**4)]
    """Channels on the level of points; 0: there is none, half tokens enter as patches of their points."""
    point_kernel: Annotated[int, Field(ge=3, le=1023)] = 5
    """Points that a convolution on the level of points spans along each axis."""
    hidden_width: Size
    """Channels on the three levels of tokens: halves, whole ones, pairs."""
    depths: tuple[Depth, Depth, Depth]
    """Blocks on each level of tokens, down and again up; the first number holds for the level of points, too."""
    heads: Size
    """Of attention, on the level of pairs."""
    group_size: Size
    """Channels normalised together."""

    @model_validator(mode="after")
    def _divides(self) -> "UTransformer":
        for name in ("heads", "group_size"):
            if self.hidden_width % getattr(self, name):
                raise ValueError(
                    f"{name} = {getattr(self, name)} must divide hidden_width = {self.hidden_width}; change either"
                )
        if self.hidden_width // self.heads < 2:
            raise ValueError(
                f"heads = {self.heads} must leave each head 2 of hidden_width = {self.hidden_width} channels or more, "
                "a pair to turn with the position; lower heads"
            )
        if self.points_per_token % 2:
            raise ValueError(
                f"points_per_token = {self.points_per_token} must be even, as the network cuts tokens in halves; "
                f"take {self.points_per_token + 1}"
            )
        return self


class UShapedDecoder(Section):
    """Shape of a trained decoder of the field's own long waves that looks far: a U of convolutions."""

    kind: Literal["u_decoder"] = "u_decoder"
    refinement: Annotated[int, Field(ge=1, le=64)] = 2
    """Points along each axis that are drawn for each one that is given."""
    hidden_width: Size = 48
    """Channels on the three levels: given points, pairs of them, pairs of pairs."""
    depths: tuple[Depth, Depth, Depth] = (1, 1, 1)
    """Blocks on each level, down and again up."""
    heads: Size = 4
    """Of attention, on the coarsest level."""
    group_size: Size = 8
    """Channels normalised together."""

    @property
    def network(self) -> UTransformer:
        """Return the network that draws: given points are its half tokens."""
        same = self.model_dump(exclude={"kind", "refinement"})
        return UTransformer(points_per_token=2 * self.refinement, point_width=0, **same)

    @model_validator(mode="after")
    def _divides(self) -> "UShapedDecoder":
        _ = self.network
        return self


Codec = ConvolutionalAutoencoder | TrainedDecoder | UShapedDecoder | SpectralTruncation


class Autoencoder(Section):
    """First stage: field to latents and back."""

    network: Annotated[Codec, Field(discriminator="kind")]
    training: Training


class Relative(Section):
    """What errors of fields are relative to while something is learned."""

    relative_to: Literal["field", "variation"] = "field"
    """``field``, as in the scores; ``variation``: of conserved channels what varies in space. Their means stay exact
    anyway, and where they are most of a field, as of water's height, its waves would hardly count beside the others."""

    def known(self, conserved: tuple[bool, ...]) -> tuple[bool, ...]:
        """Return of which channels the mean does not count."""
        return conserved if self.relative_to == "variation" else ()


class CoarseSolver(Section):
    """Our numerical solver on few points with long steps."""

    points: Annotated[int, Field(ge=16, le=65_536)]
    courant: Positive
    """Cells that the fastest part of a field crosses in one step."""
    vanishing: NonNegative = 0.0
    """Strength ε of a viscosity of the short waves alone, ε over the number of points, where fronts are thinner than a
    cell; only for equations on a line that are solved by their spectra."""
    dealiasing: Literal["two_thirds", "hou_li"] = "two_thirds"
    """``hou_li``: a smooth filter that keeps more waves than the 2/3 rule; only for flows in the plane that are solved
    by their spectra."""

    @property
    def name(self) -> str:
        """Return what its scores are called."""
        more = f"_v{self.vanishing:g}" if self.vanishing else ""
        return f"solver_{self.points}_c{self.courant:g}{more}" + ("_hl" if self.dealiasing == "hou_li" else "")


class StepTraining(Relative):
    """How a network learns one time step."""

    training: Training
    time_strides: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 5)
    """Time steps trained on, in snapshots; the step is an input. 2 is the rollout's, 5 that of ``pdebench``."""
    start_exponent: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Where in time training windows start, as a power of a uniform share: above 1 the eventful beginning, where most
    of a rollout's error arises, is seen more often."""
    unroll: Size = 1
    """Steps rolled out inside the objective."""
    spectral_loss_weight: NonNegative = 0.05
    flux_form: bool = True
    """Whether the network gives a flux of each conserved channel, whose divergence is the step; otherwise it predicts
    the increment."""
    exponential: bool = False
    """Whether the linear part of the problem's equation is solved exactly, and the network gives the rest alone."""
    solver: CoarseSolver | None = None
    """A solver of the problem's that takes the step, and the network gives what it gets wrong; null: there is none."""
    averaged: Literal["first", "all", "none"] = "first"
    """Over which of the problem's symmetries a trained operator's steps are averaged: the first one, all of them (each
    image is one more call), or none."""

    @property
    def solved_once(self) -> bool:
        """Tell whether a solver's part of every step can be solved before training: single steps, all starts alike."""
        return self.solver is not None and self.unroll == 1 and len(self.time_strides) == 1 and self.start_exponent == 1

    @model_validator(mode="after")
    def _one_form(self) -> "StepTraining":
        if self.solver is not None and self.exponential:
            raise ValueError(
                f"exponential = true: must be false beside solver = {self.solver.name}, which solves the linear part, "
                "too; drop either"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not(self, content: Callable[["StepTraining"], dict[str, Any]]) -> dict[str, Any]:
        """Leave out a solver that is not there: what was trained before there was a choice is no other for it."""
        return {name: value for name, value in content(self).items() if name != "solver" or value is not None}


class Operator(StepTraining):
    """Second stage: one time step in latent space."""

    network: UTransformer


class CircularUNet(Section):
    """Shape of a U-Net of convolutions."""

    kind: Literal["u_net"] = "u_net"
    width: Count = 32
    """Channels on the finest level; the coarser ones have twice as many."""
    levels: Annotated[int, Field(ge=2, le=16)] = 4
    kernel: Annotated[int, Field(ge=3, le=1023)] = 5

    @model_validator(mode="after")
    def _centred(self) -> "CircularUNet":
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel = {self.kernel} must be odd, to be centred; take {self.kernel + 1}")
        return self


class FourierOperator(Section):
    """Shape of a Fourier neural operator."""

    kind: Literal["fourier"] = "fourier"
    modes: Annotated[int, Field(ge=2, le=65_536)] = 64
    """Wave numbers kept in every layer, 0 included."""
    width: Count = 32
    layers: Count = 4


Stepper = UTransformer | CircularUNet | FourierOperator
"""Networks that can take a step."""


class BetaDistribution(Section):
    """Beta(alpha, beta) on (0, 1)."""

    alpha: Positive = 1.2
    beta: Positive = 1.2


class DiffusionResidual(Section):
    """Third stage: a generative model of what the operator gets wrong."""

    network: UTransformer
    training: Training
    tau_distribution: BetaDistribution = BetaDistribution()
    """Where on the noise schedule training samples lie; τ = 1 is the noisiest."""
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training trajectories that the operator does not see: its errors on them are of the real kind."""
    time_strides: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 5)
    """Time steps whose errors are learned, in snapshots; those that forecasts are made with."""
    start_exponent: Annotated[float, Field(ge=1, le=100)] = 3.0
    """Where in time the steps start, as for the operator: above 1 the beginning, where errors are large, more often."""
    sigma_min: Positive = 0.01
    sigma_max: Positive = 20.0
    """Range of noise, in units of the residual's standard deviation."""
    sampler_steps: Size = 10
    """Heun steps of the teacher: two network calls each but the last."""

    @model_validator(mode="after")
    def _range(self) -> "DiffusionResidual":
        if self.sigma_min >= self.sigma_max:
            raise ValueError(
                f"sigma_min = {self.sigma_min} must be below sigma_max = {self.sigma_max}; swap them or change either"
            )
        return self


class ConsistencyDistillation(Section):
    """Fourth stage: a student that samples in one or two network calls."""

    training: Training
    noise_levels_per_batch: Size = 5
    schedule: Annotated[tuple[Annotated[int, Field(ge=2, le=1000)], ...], Field(min_length=1)] = (5, 4, 3)
    """Teacher intervals on the noise axis, over equal parts of training."""
    sampler_steps: Annotated[int, Field(ge=1, le=2)] = 1
    """Network calls per sample."""
