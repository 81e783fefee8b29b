"""Which trajectories: of which equation, from where, and how they are split."""

import math
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from universal_simulator.configuration.section import PUBLISHED, Count, Name, Section, Seed, text


class SolveSource(Section):
    """Make the trajectories here, with the problem's solver."""

    kind: Literal["solve"] = "solve"
    samples: Count | None = None
    """Trajectories of each set of parameters; by default as many as the three splits need."""
    seed: Seed = 0
    """Of the initial conditions; sample i depends on (seed, i) alone."""
    family: str | None = None
    """Which of the problem's families of initial conditions; by default its first."""
    points: Annotated[int, Field(ge=8, le=65_536)] | None = None
    """Along each axis; by default the problem's own."""
    precision: Literal["float32", "float64"] = "float32"
    chunk: Count = 100
    """Trajectories solved at once; the result does not depend on it."""


class PublishedSource(Section):
    """Download PDEBench's files (4 to 88 GB each) and demand their published md5."""

    kind: Literal["published"] = "published"
    files: tuple[str, ...] = ()
    """Names of files of the archive; by default those of the problem with ``data.parameters``. To be named where
    several have the same parameters, and for ``problem=data_only``."""
    address: Annotated[str, text(r"https?://\S+\{id\}\S*", "be an http or https address with {id} in it")] = (
        "https://darus.uni-stuttgart.de/api/access/datafile/{id}"
    )


class BucketSource(Section):
    """Download from an S3-compatible bucket; credentials come from the environment or ``conf/local``."""

    kind: Literal["bucket"] = "bucket"
    uri: Annotated[str, text(r"s3://.+", "begin with s3://")]
    """Folder in the bucket; the files in it are named as PDEBench names them."""
    md5: dict[str, str] = Field(default_factory=dict)
    """Checksum by file name, where neither a ``.md5`` sidecar nor the object's ETag gives one."""


class LocalSource(Section):
    """Use the files that the user has put into the folder, after the same checks as any others."""

    kind: Literal["local"] = "local"


class Span(Section):
    """A range that every trajectory draws its own value of a parameter from."""

    low: float
    high: float
    scale: Literal["log", "linear"] = "log"
    """Whether the value or its logarithm is uniform; ``log`` demands positive ends."""

    @model_validator(mode="after")
    def _ordered(self) -> "Span":
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} must be below high = {self.high:g}; swap or change them")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"low = {self.low:g} must be positive for scale = log; raise it, or set scale = linear")
        return self

    def at(self, share: float) -> float:
        """Return the value at a share of the range: 0 is ``low``, 1 is ``high``."""
        if self.scale == "linear":
            return self.low + share * (self.high - self.low)
        return math.exp(math.log(self.low) + share * math.log(self.high / self.low))

    def holds(self, value: float) -> bool:
        """Tell whether a value lies in it, ends and rounding to single precision included."""
        slack = 1e-6 * max(abs(self.low), abs(self.high))
        return self.low - slack <= value <= self.high + slack


Value = float | Span
"""Of a parameter, in a set of them: one number for all trajectories, or a range that each draws from."""


Values = Annotated[
    Annotated[tuple[float, ...], Field(min_length=1), Tag("values")] | Annotated[Span, Tag("range")],
    Discriminator(lambda given: "range" if isinstance(given, dict | Span) else "values"),
]
"""Of a parameter: several, or a range; the tags tell which is meant, so that a refusal is about that one."""


class Member(Section):
    """One of several equations of a problem, told apart by parameters, with initial conditions of its own."""

    name: Name
    """As scores call it."""
    parameters: dict[str, Values]
    """As ``data.parameters``, but one set: one value or a range of each."""
    family: str | None = None
    """Of initial conditions; by default ``data.source.family``."""

    @model_validator(mode="after")
    def _one_set(self) -> "Member":
        for name, values in self.parameters.items():
            if not isinstance(values, Span) and len(values) > 1:
                raise ValueError(
                    f"parameters.{name} = {list(values)} must be one value or a range; make a member of each value"
                )
        return self


_DROPPED = "data.parameters=null drops an experiment's"


class Data(Section):
    """Which trajectories, where from, and how they are split."""

    parameters: dict[str, Values] = Field(default_factory=dict)
    """Values of the problem's parameters, or a range of them; every combination of values is one file, and within a
    file each trajectory draws from the ranges. Those not named here have the problem's own values. null: none of those
    that an experiment states."""
    members: tuple[Member, ...] = ()
    """In place of ``parameters``: sets stated one by one, each one file with its own initial conditions."""
    source: Annotated[SolveSource | PublishedSource | BucketSource | LocalSource, Field(discriminator="kind")]
    folder: Annotated[
        str,
        text(r"([A-Za-z0-9][A-Za-z0-9_.-]*)?", "be one folder's name, of letters, digits and _.-"),
    ] = ""
    """Folder under ``data/01_raw`` that holds the files; empty for ``01_raw`` itself."""
    train: Count
    validation: Count
    test: Count
    """Whole trajectories in each split, over all sets of parameters together."""
    split_seed: Seed = 0
    split: Literal["content", "content_translated", "published", "rows"] = "content"
    """What keeps the splits apart. ``content``: trajectories whose first frames are the same fall into one split;
    ``content_translated``: also those whose first frames are the same once moved, where moved solutions are solutions;
    ``rows``: their numbers alone. ``published``: the test split is taken from the tenth that PDEBench tests on, the
    first of files of one array, the last of files of groups; it may share trajectories with training."""
    time_stride: Count
    """Snapshots per step of the models."""

    @field_validator("parameters", mode="before")
    @classmethod
    def _none_for_null(cls, values: Any) -> Any:
        return {} if values is None else values

    @property
    def sets(self) -> int:
        """Return how many sets of parameters, or named files, there are."""
        if names := getattr(self.source, "files", ()):
            return len(names)
        if self.members:
            return len(self.members)
        return math.prod(len(values) for values in self.parameters.values() if not isinstance(values, Span))

    @property
    def given(self) -> tuple[dict[str, "tuple[float, ...] | Span"], ...]:
        """Return what ``Facts.sets`` takes: the parameters, or those of each member."""
        return tuple(one.parameters for one in self.members) or (self.parameters,)

    @property
    def needed(self) -> int:
        """Return how many trajectories of each set of parameters the splits take."""
        return (self.train + self.validation + self.test) // self.sets

    @model_validator(mode="after")
    def _balanced(self) -> "Data":
        for name, values in self.parameters.items():
            if isinstance(values, Span):
                if isinstance(self.source, PublishedSource):
                    raise ValueError(
                        f"parameters.{name} = a range must be values for source.kind = published, whose files have one "
                        "each; list them"
                    )
                continue
            if len(set(values)) != len(values):
                raise ValueError(f"parameters.{name} = {list(values)} must differ; drop the repeated one")
        if len(set(names := getattr(self.source, "files", ()))) != len(names):
            raise ValueError(f"source.files = {list(names)} must differ; drop the repeated one")
        if self.parameters and (names := getattr(self.source, "files", ())):
            raise ValueError(f"source.files = {list(names)} must stand without parameters; drop either ({_DROPPED})")
        n = self.sets
        for split in ("train", "validation", "test"):
            count = getattr(self, split)
            if count % n:
                raise ValueError(
                    f"{split} = {count} must be a multiple of the {n} sets of parameters; take {count + n - count % n}"
                )
        if self.train < 2:
            raise ValueError(f"train = {self.train} must be at least 2, one of them for the residual; raise it")
        return self

    @model_validator(mode="after")
    def _stated_once(self) -> "Data":
        """Refuse members beside what they stand in place of, and two of one name."""
        if self.members and not isinstance(self.source, SolveSource):
            raise ValueError(f"members = {len(self.members)} must have source.kind = solve; name files or parameters")
        if self.members and self.parameters:
            raise ValueError(f"members = {len(self.members)} must stand without parameters; drop either ({_DROPPED})")
        names = [one.name for one in self.members]
        if len(set(names)) < len(names):
            raise ValueError(f"members = {', '.join(names)} must have different names; rename one")
        return self

    @model_validator(mode="after")
    def _enough(self) -> "Data":
        """Refuse splits that are larger than the data."""
        there = PUBLISHED if isinstance(self.source, PublishedSource) else getattr(self.source, "samples", None)
        if there is not None and there < self.needed:
            raise ValueError(
                f"train + validation + test = {self.needed} for each set of parameters must not exceed the {there} "
                f"samples of source.kind = {self.source.kind}; lower one of them"
            )
        return self
