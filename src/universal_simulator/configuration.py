"""Every parameter of the project: its type, its range, its meaning. Frozen; an unknown key is refused.

``conf/base/parameters.yml`` holds the values, ``conf/base/experiments/*.yml`` the named departures from them. A node
receives its section as one of these models, validated before any node runs.
"""

import re
from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from universal_simulator.errors import InputError

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Size = Annotated[int, Field(ge=1, le=10**4)]
"""Of networks and searches: bounded, so that a slip of the finger does not fill the memory."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
SNAPSHOTS, POINTS, PUBLISHED = 201, 1024, 10_000
"""Of every trajectory that is solved here or published, and how many are published for one viscosity."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


CREDENTIALS = r"//[^/\s@]*@"
HABITS = ("save_every_s", "resume", "force")
"""Parameters that no result depends on: changing one makes nothing stale."""


def without_habits(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter tree without what no result depends on."""
    kept = {name: value for name, value in tree.items() if name not in HABITS}
    return {name: without_habits(value) if isinstance(value, dict) else value for name, value in kept.items()}


class Section(BaseModel):
    """One node of the parameter tree."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, values: Any) -> Any:
        """Refuse ``true`` where a number is meant: pydantic would read it as 1."""
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, bool) and name in cls.model_fields and cls.model_fields[name].annotation is not bool:
                raise ValueError(f"{name} = {value} must not be true or false; give its value")
        return values

    @model_validator(mode="before")
    @classmethod
    def _no_credentials(cls, values: Any) -> Any:
        """Refuse a password in an address: parameters are recorded and printed."""
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, str) and re.search(CREDENTIALS, value):
                shown = re.sub(CREDENTIALS, "//***@", value)
                raise ValueError(
                    f"{name} = {shown} must hold no credentials; give them in the environment or conf/local"
                )
        return values


# --- what is solved ---------------------------------------------------------------------------------------------------
class SolveSource(Section):
    """Make the trajectories here, with the pseudo-spectral solver."""

    kind: Literal["solve"] = "solve"
    samples: Count | None = None
    """Trajectories per viscosity; by default as many as the three splits need."""
    seed: Seed = 0
    """Family of initial conditions; sample i depends on (seed, i) alone."""
    precision: Literal["float32", "float64"] = "float32"
    chunk: Count = 100
    """Trajectories solved at once; the result does not depend on it."""


class PublishedSource(Section):
    """Download PDEBench's files (8.2 GB each) and demand their published md5."""

    kind: Literal["published"] = "published"
    address: Annotated[str, Field(pattern=r"^https?://\S+\{id\}\S*$")] = (
        "https://darus.uni-stuttgart.de/api/access/datafile/{id}"
    )


class BucketSource(Section):
    """Download from an S3-compatible bucket; credentials come from the environment or ``conf/local``."""

    kind: Literal["bucket"] = "bucket"
    uri: Annotated[str, Field(pattern=r"^s3://.+")]
    """Folder in the bucket; the files in it are named as PDEBench names them."""
    md5: dict[str, str] = {}
    """Checksum by file name, where neither a ``.md5`` sidecar nor the object's ETag gives one."""


class LocalSource(Section):
    """Use the files that the user has put into the folder, after the same checks as any others."""

    kind: Literal["local"] = "local"


class Data(Section):
    """Which trajectories, where from, and how they are split."""

    equation: Literal["burgers", "advection", "heat"] = "burgers"
    viscosities: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.01,)
    """The equation's parameter, one file for each value; for linear advection it is the speed."""
    source: Annotated[SolveSource | PublishedSource | BucketSource | LocalSource, Field(discriminator="kind")] = (
        SolveSource()
    )
    folder: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*)?$")] = ""
    """Folder under ``data/01_raw`` that holds the files; empty for ``01_raw`` itself."""
    train: Count = 2000
    validation: Count = 200
    test: Count = 200
    """Whole trajectories in each split, over all viscosities together."""
    split_seed: Seed = 0
    time_stride: Count = 2
    """Snapshots (0.01 time units apart) per step of the models."""

    @model_validator(mode="after")
    def _balanced(self) -> "Data":
        n = len(self.viscosities)
        if len(set(self.viscosities)) != n:
            raise ValueError(f"viscosities must differ from each other, got {self.viscosities}; drop the repeated one")
        for split in ("train", "validation", "test"):
            if getattr(self, split) % n:
                raise ValueError(
                    f"{split} = {getattr(self, split)} must be a multiple of the {n} viscosities; take {n} or {2 * n}"
                )
        if self.train < 2:
            raise ValueError(f"train = {self.train} must be at least 2, one of them for the residual; raise it")
        return self

    @model_validator(mode="after")
    def _enough(self) -> "Data":
        """Refuse splits that are larger than the data, and steps that are longer."""
        needed = (self.train + self.validation + self.test) // len(self.viscosities)
        there = PUBLISHED if isinstance(self.source, PublishedSource) else getattr(self.source, "samples", None)
        if there is not None and there < needed:
            raise ValueError(
                f"train + validation + test = {needed} for each viscosity must not exceed the {there} samples of "
                f"source.kind = {self.source.kind}; lower one of them"
            )
        if self.snapshots and self.time_stride >= self.snapshots:
            raise ValueError(
                f"time_stride = {self.time_stride} must be below the {self.snapshots} snapshots of a file; lower it"
            )
        return self

    @property
    def snapshots(self) -> int | None:
        """Return how many snapshots a trajectory has; None where that is known only from the files."""
        return SNAPSHOTS if isinstance(self.source, SolveSource | PublishedSource) else None

    @property
    def points(self) -> int | None:
        """Return how many points a snapshot has; None where that is known only from the files."""
        return POINTS if self.snapshots else None


# --- what is learned --------------------------------------------------------------------------------------------------
class Latent(Section):
    """Size of the latent state: ``tokens × dim`` numbers, whatever the number of points of the field."""

    tokens: Size = 16
    dim: Size = 32

    @model_validator(mode="after")
    def _divides(self) -> "Latent":
        if self.dim % 4:
            raise ValueError(f"dim = {self.dim} must be a multiple of 4, as networks cut tokens in 4; take 16 or 32")
        return self


class Training(Section):
    """One stage's optimisation: AdamW, linear warm-up, cosine to the final rate, weight average, early stopping."""

    epochs: Count
    windows_per_epoch: Count
    """Training windows drawn in one epoch. Neighbouring snapshots say almost the same, so an epoch is a number of
    random windows, not all of them."""
    batch_size: Count = 32
    learning_rate: Positive
    final_learning_rate: NonNegative = 0.0
    warmup_fraction: Probability = 0.03
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
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
    """Shape of the encoder and the decoder."""

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


class Autoencoder(Section):
    """First stage: field to latents and back."""

    network: ConvolutionalAutoencoder = ConvolutionalAutoencoder()
    training: Training


Depth = Annotated[int, Field(ge=1, le=100)]


class UTransformer(Section):
    """Shape of a U-shaped transformer over latent tokens."""

    hidden_width: Size = 64
    depths: tuple[Depth, Depth, Depth] = (1, 1, 1)
    """Blocks on each of the three levels, on the way down and again on the way up."""
    heads: Size = 4
    group_size: Size = 8
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
        return self


class StepTraining(Section):
    """How a network learns one time step."""

    training: Training
    time_strides: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 5)
    """Time steps trained on, in snapshots; the step is an input. 2 is the roll-out's, 5 that of ``pdebench``."""
    start_exponent: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Where in time training windows start, as a power of a uniform share: above 1 the eventful beginning, where most
    of a roll-out's error arises, is seen more often."""
    unroll: Size = 1
    """Steps rolled out inside the objective."""
    spectral_loss_weight: NonNegative = 0.05


class Operator(StepTraining):
    """Second stage: one time step in latent space."""

    network: UTransformer = UTransformer()


class CircularUNet(Section):
    """Shape of a U-Net of periodic convolutions."""

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

    modes: Annotated[int, Field(ge=2, le=65_536)] = 64
    """Wave numbers kept in every layer, 0 included."""
    width: Count = 32
    layers: Count = 4


class BetaDistribution(Section):
    """Beta(alpha, beta) on (0, 1)."""

    alpha: Positive = 1.2
    beta: Positive = 1.2


class DiffusionResidual(Section):
    """Third stage: a generative model of what the operator gets wrong."""

    network: UTransformer = UTransformer()
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


# --- what it is compared with -----------------------------------------------------------------------------------------
class BaselineRate(Section):
    """What is a baseline's own in its training; all else is the operator's."""

    batch_size: Count = 16
    learning_rate: Positive = 3.0e-3


class UNetBaseline(BaselineRate):
    """The circular U-Net."""

    network: CircularUNet = CircularUNet()


class FourierBaseline(BaselineRate):
    """The Fourier neural operator of the library ``neuraloperator``."""

    network: FourierOperator = FourierOperator()


class FieldOperator(StepTraining):
    """A baseline's network and its training, put together from its own section and the operator's."""

    network: CircularUNet | FourierOperator


class CoarseSolver(Section):
    """Our numerical solver on few points with long steps."""

    points: Annotated[int, Field(ge=16, le=65_536)]
    courant: Positive
    """Cells that the fastest part of a field crosses in one step."""

    @property
    def name(self) -> str:
        """Return what its scores are called."""
        return f"solver_{self.points}_c{self.courant:g}"


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


class Change(Section):
    """One thing that is done otherwise."""

    name: str
    override: dict[str, Any] = {}
    """Parameters of the section ``operator``, nested as there."""
    attention: bool = True
    augmentation: bool = True
    amplitude: bool = True
    """Whether a state is divided by its own amplitude, or by the training data's."""


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


# --- how it is used and judged ----------------------------------------------------------------------------------------
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


class EnsembleCalibration(Section):
    """How the spread of ensembles is fitted, on validation trajectories alone."""

    trajectories: Count = 32
    memories: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (0.0, 0.02, 0.05, 0.1)
    """Times, in time units, over which a member's noise may remember; the best one is kept."""


Protocol = Literal["one_step", "rollout", "pdebench"]
Variant = Literal["deterministic", "ensemble", "ttc", "guided_ensemble", "persistence"]


class Evaluation(Section):
    """What is scored on the test split."""

    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("one_step", "rollout", "pdebench")
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)] = ("persistence", "deterministic", "ensemble", "ttc")
    ensemble: Ensemble = Ensemble()
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


class Promotion(Section):
    """When a candidate replaces the champion."""

    min_gain: Probability = 0.01
    conservation_gap: Positive = 1.0
    boundary_violation: Positive = 1.0
    calibration_error: Positive = 1.25
    """Bounds, as factors on the champion's value."""
    negligible_gap: NonNegative = 1e-6
    """A conservation gap below this is rounding, and no worse than another."""
    budget_hours: Positive = 10.0
    """Longest wall-clock of the candidate's whole experiment."""
    demote: bool = False
    """Instead of promoting anything, take the alias from the champion and give it back to the one before."""


class Predict(Section):
    """Initial fields in a file, and what is asked of a model; ``--pipeline=predict``."""

    model: Annotated[str, Field(min_length=1)] = "models:/universal-simulator@champion"
    """Address: a version in MLflow's registry, ``shipped:<experiment>``, or a folder."""
    input: str | None = None
    """File of initial fields: ``.h5``/``.hdf5``, ``.npy``, ``.npz`` or ``.csv``."""
    output: str | None = None
    """File of the forecast; by default ``data/07_model_output/predictions/<name of input>``."""
    viscosity: Positive | None = None
    """Of all fields, where the file does not say it."""
    times: tuple[Positive, ...] = ()
    """Times after the initial fields; by default the longest that the model was scored on."""
    members: Annotated[int, Field(ge=2, le=10**4)] | None = None
    """Members of an ensemble; by default one forecast."""
    guided: bool = False
    """Whether the equation's balance corrects every step."""


class Gate(Section):
    """One thing that a finished experiment must reach."""

    name: str
    """What is demanded, in words."""
    experiments: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Whom it binds."""
    metric: Annotated[str, Field(pattern=r"^[a-z_0-9]+/[a-z_0-9]+/[a-z_0-9.-]+$")]
    """Name of the score, ``<protocol>/<variant>/<metric>``; for one of several viscosities ``…_at_<viscosity>``."""
    direction: Literal["at_most", "below", "at_least", "above"] = "at_most"
    bound: float | None = None
    """The bound itself, or:"""
    relative_to: Name | None = None
    """the experiment whose score of the same name, times ``factor``, is the bound."""
    factor: Positive = 1.0
    negligible: NonNegative = 0.0
    """A relative upper bound is never below this: where both are rounding, none is better."""
    level: Literal["minimum", "strong"] = "minimum"
    """Only ``minimum`` gates are enforced; ``strong`` ones are an ambition."""

    @model_validator(mode="after")
    def _one_bound(self) -> "Gate":
        if (self.bound is None) == (self.relative_to is None):
            raise ValueError(
                f"bound = {self.bound} and relative_to = {self.relative_to}: exactly one must be set; drop or add one"
            )
        return self


class Gates(Section):
    """Targets of all experiments, and whether missing one fails the run."""

    enforce: bool = False
    """Whether a missed ``minimum`` gate ends the run with exit status 1, after everything has been saved."""
    entries: tuple[Gate, ...] = ()


class Search(Section):
    """Values to search: between two ends (whole numbers where the parameter is one), or a few."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Whether factors count rather than differences."""
    choices: Annotated[tuple[bool | int | float | str, ...], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Search":
        told = f"low = {self.low}, high = {self.high}, choices = {self.choices}"
        if self.choices is not None and (self.low, self.high) == (None, None):
            return self
        if self.choices is not None or self.low is None or self.high is None:
            raise ValueError(f"{told}: must be low and high, or choices; set the others to null")
        if self.low >= self.high or (self.log and self.low <= 0):
            least = "0 < low < high, as log is true" if self.log else "low < high"
            raise ValueError(f"low = {self.low} and high = {self.high} must be {least}; change either")
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """Return the values that must be allowed, so that all between them are."""
        return self.choices or (self.low, self.high)


class Sweep(Section):
    """A search for better parameters of the operator around those of an experiment."""

    trials: Count | None = 20
    hours: Positive | None = None
    usd: Positive | None = None
    """Limits, over all runs of the sweep; the first that is reached ends it."""
    epochs: Count = 3
    """Of the operator, in one trial."""
    trajectories: Count = 50
    """Validation trajectories that are rolled out after every epoch."""
    space: dict[str, Search | None] = {"operator.training.learning_rate": Search(low=5e-4, high=1e-2, log=True)}
    """What is searched: a parameter's path, and its range or choices; null leaves it as the experiment has it."""

    @model_validator(mode="after")
    def _ends(self) -> "Sweep":
        if self.trials is None and self.hours is None and self.usd is None:
            raise ValueError(
                "trials, hours and usd = null: one of them must be set, or the sweep never ends; set trials"
            )
        return self

    @property
    def searched(self) -> dict[str, Search]:
        """Return the parameters that are searched."""
        return {path: search for path, search in self.space.items() if search is not None}

    def identity(self) -> dict[str, Any]:
        """Return what makes trials comparable: everything but the budget."""
        return self.model_dump(mode="json", exclude={"trials", "hours", "usd"})


class Compute(Section):
    """Where it runs and what that costs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count | None = None
    """CPU threads of the numerical libraries; by default all cores."""
    hourly_rate_usd: NonNegative = 0.0
    estimate: bool = True
    """Whether a run of the whole chain begins by saying what it will take; that needs some seconds itself."""


class Experiment(Section):
    """What this set of parameters is called, and what it is for."""

    name: Name = "golden"
    purpose: str = ""
    tags: tuple[str, ...] = ()


class Parameters(Section):
    """The whole tree."""

    experiment: Experiment
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 17
    resume: bool = True
    """Whether a stage goes on from its last saved state; false starts its training over."""
    force: bool = False
    """Whether everything but the raw files is made again, also what is there and fits."""
    data: Data
    latent: Latent
    autoencoder: Autoencoder
    operator: Operator
    diffusion_residual: DiffusionResidual
    consistency_distillation: ConsistencyDistillation
    baselines: Baselines = Baselines()
    ablation: Ablation = Ablation()
    ttc: TestTimeConditioning
    calibration: EnsembleCalibration = EnsembleCalibration()
    evaluation: Evaluation
    promotion: Promotion
    candidate: Name | None = None
    """Who is to be promoted: the id of a run in MLflow, or an experiment, whose newest finished run is meant."""
    predict: Predict = Predict()
    gates: Gates = Gates()
    sweep: Sweep = Sweep()
    compute: Compute
    weights: Annotated[str, Field(min_length=1)] = "trained"
    """Whose networks are evaluated: ``trained`` are the experiment's own, ``shipped`` those that came with the project;
    anything else is an address (``models:/universal-simulator@champion``, a folder). Results then lie in the folder
    ``<experiment>-shipped``."""

    @model_validator(mode="after")
    def _fit_together(self) -> "Parameters":
        """Refuse what no section alone can see."""
        numbers, shape, longest = self.latent.tokens * self.latent.dim, self.autoencoder.network, self._longest_window()
        told = f"latent.tokens × latent.dim = {numbers}"
        if shape.kernel > numbers:
            raise ValueError(f"autoencoder.network.kernel = {shape.kernel} must not exceed {told}; lower it")
        if self.data.points and numbers > self.data.points:
            raise ValueError(f"{told} must not exceed the {self.data.points} points of a field; lower either")
        if self.ttc.guidance.modes > numbers // 2:
            raise ValueError(
                f"ttc.guidance.modes = {self.ttc.guidance.modes} must not exceed the {numbers // 2} waves that {told} "
                "hold; lower it"
            )
        if self.data.snapshots and longest >= self.data.snapshots:
            raise ValueError(
                f"operator.unroll × operator.time_strides = {longest} must be below the {self.data.snapshots} "
                "snapshots of a trajectory; lower either"
            )
        return self

    def _longest_window(self) -> int:
        return self.operator.unroll * max(self.operator.time_strides)

    def refuse_impossible_space(self) -> None:
        """Refuse a sweep's paths and values that no run could have; called before the first trial."""
        for path, search in self.sweep.searched.items():
            if not path.startswith("operator."):
                raise InputError(
                    f"sweep.space = {path}: must begin with operator., as a trial trains it alone; drop it"
                )
            for end in search.ends:
                with_values(self, {path: end})


def at_path(parameters: Parameters, path: str) -> Any:
    """Return the value at a dotted path."""
    return reduce(getattr, path.split("."), parameters)


def with_values(parameters: Parameters, values: Mapping[str, Any]) -> Parameters:
    """Return validated parameters with other values at some dotted paths of the operator's section."""
    operator = parameters.operator.model_dump()
    for path, value in values.items():
        *sections, name = path.split(".")[1:]
        try:
            inside = reduce(lambda tree, key: tree[key], sections, operator)
            known = isinstance(inside[name], int | float | str)
        except (KeyError, TypeError):
            known = False
        if not known:
            raise InputError(f"sweep.space = {path}: must be the path of a single value in parameters.yml; correct it")
        whole = isinstance(inside[name], int) and isinstance(value, float) and value.is_integer()
        inside[name] = int(value) if whole else value
    try:
        return parameters.model_copy(update={"operator": Operator.model_validate(operator)})
    except ValidationError as error:
        first = error.errors()[0]
        told = ", ".join(f"{path} = {value}" for path, value in values.items())
        raise InputError(
            f"sweep.space: {told}: {first['msg'].removeprefix('Value error, ')}; change the space"
        ) from error
