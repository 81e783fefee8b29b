"""The whole tree of parameters, what its sections demand of each other, and departures from it.

Parameters laid over others.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from universal_simulator.configuration.data import Data
from universal_simulator.configuration.evaluation import (
    Audit,
    EnsembleCalibration,
    Evaluation,
    Gates,
    Predict,
    Promotion,
    Score,
    Sweep,
    TestTimeConditioning,
)
from universal_simulator.configuration.learning import (
    Autoencoder,
    ConsistencyDistillation,
    ConvolutionalAutoencoder,
    DiffusionResidual,
    Latent,
    Operator,
)
from universal_simulator.configuration.others import Ablation, Baselines, Fast
from universal_simulator.configuration.questions import Assimilate, Infer, Propagate
from universal_simulator.configuration.section import Count, Name, NonNegative, Positive, Section, Size, text
from universal_simulator.support.errors import InputError

Tree = dict[str, Any]


def overlay(lower: Tree, upper: Tree) -> Tree:
    """Lay ``upper`` over ``lower``, section by section.

    A section that names another ``kind`` replaces the lower one entirely: its keys have another meaning.
    """
    if "kind" in lower and upper.get("kind", lower["kind"]) != lower["kind"]:
        return upper
    merged = dict(lower)
    for key, value in upper.items():
        below = lower.get(key)
        both_sections = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = overlay(below, value) if both_sections else value  # type: ignore[arg-type]
    return merged


def nest(overrides: Mapping[str, Any]) -> Tree:
    """Turn dotted keys into sections: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``."""

    def section(path: str, value: Any) -> Tree:
        return reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value)

    return reduce(overlay, (section(str(path), value) for path, value in overrides.items()), {})


class Compute(Section):
    """Where it runs and what that costs."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count | None = None
    """CPU threads of the numerical libraries of each process; by default all cores, shared out."""
    processes: Size = 1
    """Of this machine, for trainings, latents and evaluation: one for each GPU, say."""
    nodes: Size = 1
    """Machines; on each but this one ``python -m universal_simulator.processes`` must be started (docs/scaling.md)."""
    rendezvous: Annotated[str, text(r"[A-Za-z0-9_.-]+:[0-9]{1,5}", "be host:port")] | None = None
    """``host:port`` of this machine where the others find it."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products in training steps. bfloat16 keeps 8 bits; it gains 15 % on one CPU and loses a quarter
    on another (docs/scaling.md)."""
    compile: bool = False
    """Whether torch.compile makes the networks of training steps faster, after a minute of compiling."""
    graphs: bool = False
    """Whether a GPU takes training steps as one CUDA graph, in place of a thousand launches; a CPU never does.
    Not tried on a GPU yet (docs/scaling.md)."""
    hourly_rate_usd: NonNegative = 0.0
    estimate: bool = True
    """Whether a run of the whole chain begins by saying what it will take; that needs some seconds itself."""

    @field_validator("rendezvous")
    @classmethod
    def _port_exists(cls, address: str | None) -> str | None:
        if address and not 0 < int(address.rpartition(":")[2]) < 2**16:
            raise ValueError(f"rendezvous = {address} must end with a port, 1 to {2**16 - 1}; correct it")
        return address


class Experiment(Section):
    """What this set of parameters is called, and what it is for."""

    name: Name = "golden"
    purpose: str = ""
    tags: tuple[str, ...] = ()


PARAMETER = {"burgers": "nu", "heat": "nu", "advection": "beta"}
"""The only parameter of the problems that ``data.viscosities`` is the short form for."""


def expanded(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the tree with its short forms written out; they win over what they stand for."""
    data = tree.get("data")
    if not isinstance(data, dict) or not {"equation", "viscosities"} & data.keys():
        return tree
    short = {name: data[name] for name in ("equation", "viscosities") if name in data}
    data = {name: value for name, value in data.items() if name not in short}
    problem = short.get("equation", tree.get("problem", "burgers"))
    if "viscosities" in short and problem in PARAMETER:
        values = short["viscosities"]
        data["parameters"] = {PARAMETER[problem]: values if isinstance(values, list | tuple) else [values]}
    elif "viscosities" in short:
        raise ValueError(
            f"data.viscosities = {short['viscosities']} must be left out for {problem}, is short for the parameter of "
            f"{', '.join(PARAMETER)}; set data.parameters"
        )
    return {**tree, "problem": problem, "data": data}


class Parameters(Section):
    """The whole tree."""

    experiment: Experiment
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 17
    resume: bool = True
    """Whether a stage goes on from its last saved state; false starts its training over."""
    force: bool = False
    """Whether everything but the raw files is made again, also what is there and fits."""
    problem: Annotated[str, Field(min_length=1)] = "burgers"
    """Name of a problem that comes with the package, or, with a dot, of a module of the user's own."""
    data: Data
    latent: Latent
    autoencoder: Autoencoder
    operator: Operator
    diffusion_residual: DiffusionResidual
    consistency_distillation: ConsistencyDistillation
    baselines: Baselines = Baselines()
    ablation: Ablation = Ablation()
    fast: Fast | None = None
    ttc: TestTimeConditioning
    calibration: EnsembleCalibration = EnsembleCalibration()
    evaluation: Evaluation
    promotion: Promotion
    candidate: Name | None = None
    """Who is to be promoted: the id of a run in MLflow, or an experiment, whose newest finished run is meant."""
    predict: Predict = Predict()
    audit: Audit = Audit()
    score: Score = Score()
    propagate: Propagate = Propagate()
    assimilate: Assimilate = Assimilate()
    infer: Infer = Infer()
    gates: Gates = Gates()
    sweep: Sweep = Sweep()
    compute: Compute
    initial: Annotated[str, Field(min_length=1)] | None = None
    """Address of a model whose weights trainings begin from, network by network where they fit; docs/fine_tuning.md."""
    initial_rate: Positive = 0.3
    """Factor on the learning rates of trainings that begin from them."""
    weights: Annotated[str, Field(min_length=1)] = "trained"
    """Whose networks are evaluated: ``trained`` are the experiment's own, ``shipped`` those that came with the project;
    anything else is an address (``models:/universal-simulator@champion``, a folder). Results then lie in the folder
    ``<experiment>-shipped``."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, tree: Any) -> Any:
        """Take ``data.equation`` for the problem, and ``data.viscosities`` for the values of its only parameter."""
        return expanded(tree) if isinstance(tree, dict) else tree

    @model_validator(mode="after")
    def _fit_together(self) -> "Parameters":
        """Refuse what no section alone can see."""
        numbers, shape = min(self.latent.counts) * self.latent.dim, self.autoencoder.network
        told = f"latent.tokens × latent.dim = {numbers}"
        if isinstance(shape, ConvolutionalAutoencoder) and shape.kernel > numbers:
            raise ValueError(f"autoencoder.network.kernel = {shape.kernel} must not exceed {told}; lower it")
        if self.ttc.guidance.modes > numbers // 2:
            raise ValueError(
                f"ttc.guidance.modes = {self.ttc.guidance.modes} must not exceed the {numbers // 2} waves that {told} "
                "hold; lower it"
            )
        self._networks_fit_the_latents()
        self._processes_share_every_batch()
        return self

    def _processes_share_every_batch(self) -> None:
        count = self.compute.processes * self.compute.nodes
        if self.compute.nodes > 1 and not self.compute.rendezvous:
            raise ValueError(
                f"compute.rendezvous = null must be host:port of this machine for {self.compute.nodes} nodes; give it"
            )
        for name in ("autoencoder", "operator", "diffusion_residual", "consistency_distillation"):
            size = getattr(self, name).training.batch_size
            if size % count:
                raise ValueError(
                    f"compute.processes × compute.nodes = {count} must divide {name}.training.batch_size = {size}; "
                    "change either"
                )

    def _networks_fit_the_latents(self) -> None:
        for tokens in self.latent.counts:
            if tokens % 2:
                raise ValueError(f"latent.tokens = {tokens} must be even, as networks pair tokens; take {tokens + 1}")
        for name in ("operator", "diffusion_residual"):
            points = getattr(self, name).network.points_per_token
            if points > self.latent.dim:
                raise ValueError(
                    f"{name}.network.points_per_token = {points} must not exceed "
                    f"latent.dim = {self.latent.dim}; lower it"
                )

    @property
    def longest_window(self) -> int:
        """Return the most snapshots from the beginning of a training window to its end."""
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
