"""What the chain is compared with: baselines at equal cost, and itself with one thing changed."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from universal_simulator.configuration.learning import (
    CircularUNet,
    CoarseSolver,
    FourierOperator,
    OptimizerName,
    Relative,
    StepTraining,
    TrainedDecoder,
    Training,
    UShapedDecoder,
)
from universal_simulator.configuration.section import Count, NonNegative, Positive, Section, Seed


class BaselineRate(Section):
    """What is a baseline's own in its training; all else is the operator's."""

    batch_size: Count = 16
    optimizer: OptimizerName = "adamw"
    learning_rate: Positive = 3.0e-3
    flux_form: bool | None = None
    """Whether its network gives a flux; by default as ``operator.flux_form``. A usual network gives the step itself."""
    exponential: bool | None = None
    """Whether the linear part is solved exactly; by default as ``operator.exponential``."""


class UNetBaseline(BaselineRate):
    """The circular U-Net."""

    network: CircularUNet = CircularUNet()


class FourierBaseline(BaselineRate):
    """The Fourier neural operator of the library ``neuraloperator``."""

    flux_form: bool | None = False
    """A derivative amplifies the short waves that its layers do not hold: rollouts of a flux blow up."""
    network: FourierOperator = FourierOperator()


class FieldOperator(StepTraining):
    """A baseline's network and its training, put together from its own section and the operator's."""

    network: CircularUNet | FourierOperator


class Fast(Relative):
    """A coarse solver left alone, and a network that draws, at the times asked for, what its grid lacks."""

    solver: CoarseSolver
    network: Annotated[TrainedDecoder | UShapedDecoder, Field(discriminator="kind")] = TrainedDecoder()
    training: Training
    start_exponent: Annotated[float, Field(ge=1, le=100)] = 2.0
    """Which frames are learned from, as a power of a uniform share: above 1 early ones more often, whose fronts are
    sharpest."""
    spectral_loss_weight: NonNegative = 0.0
    """Of the error of slopes, beside that of fields."""


class Baselines(Section):
    """Other ways to forecast the same trajectories, at the same cost."""

    seconds: Positive | None = None
    """Time to train each network; by default what the experiment's encoder, latents and operator took."""
    epochs: Count = 40
    """Parts that the time is divided into; after each the network is validated."""
    points: Annotated[int, Field(ge=16, le=65_536)] = 256
    """Points of the fields that the networks act on; they are scored on the data's."""
    unet: UNetBaseline = UNetBaseline()
    fno: FourierBaseline = FourierBaseline()
    solvers: tuple[CoarseSolver, ...] = ()

    @model_validator(mode="after")
    def _networks_fit_the_points(self) -> "Baselines":
        shape, most = self.unet.network, self.points // 2 + 1
        parts = 2 ** (shape.levels - 1)
        if self.points % parts:
            raise ValueError(
                f"unet.network.levels = {shape.levels} must leave whole points, and {parts} of points = {self.points} "
                "make one on the coarsest level; lower levels"
            )
        if shape.kernel // 2 > self.points // parts:
            raise ValueError(
                f"unet.network.kernel = {shape.kernel} must reach no further than once round the "
                f"{self.points // parts} points of the coarsest level; lower it, or levels"
            )
        if self.fno.network.modes > most:
            raise ValueError(
                f"fno.network.modes = {self.fno.network.modes} must not exceed the {most} waves of points = "
                f"{self.points}; lower it"
            )
        return self


class Change(Section):
    """One thing that is done otherwise."""

    name: str
    override: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the section ``operator``, nested as there."""
    attention: bool = True
    augmentation: bool = True
    amplitude: bool = True
    """Whether a state is divided by its own amplitude, or by the training data's."""
    mirrored: bool = True
    """Whether steps are averaged with their mirror image's, once trained, where the equation has that symmetry."""


class Ablation(Section):
    """The operator, trained briefly with one thing changed at a time."""

    seconds: Positive = 60.0
    """Time of each training."""
    epochs: Count = 10
    """Parts of it; after each the network is validated."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1, 2, 3)
    trajectories: Count = 100
    """Validation trajectories that are rolled out."""
    changes: Annotated[tuple[Change, ...], Field(min_length=1)] = (Change(name="as it is"),)
    """The first one is what the others are held against."""
