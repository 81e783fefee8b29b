"""Which trajectories: of which equation, from where, and how they are split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from universal_simulator.configuration.section import POINTS, PUBLISHED, SNAPSHOTS, Count, Positive, Section, Seed, text


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


class Data(Section):
    """Which trajectories, where from, and how they are split."""

    equation: Literal["burgers", "advection", "heat"] = "burgers"
    viscosities: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.01,)
    """The equation's parameter, one file for each value; for linear advection it is the speed."""
    source: Annotated[SolveSource | PublishedSource | BucketSource | LocalSource, Field(discriminator="kind")] = (
        SolveSource()
    )
    folder: Annotated[
        str,
        text(r"([A-Za-z0-9][A-Za-z0-9_.-]*)?", "be one folder's name, of letters, digits and _.-"),
    ] = ""
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
            raise ValueError(f"viscosities = {list(self.viscosities)} must differ; drop the repeated one")
        for split in ("train", "validation", "test"):
            count = getattr(self, split)
            if count % n:
                raise ValueError(
                    f"{split} = {count} must be a multiple of the {n} viscosities; take {count + n - count % n}"
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
