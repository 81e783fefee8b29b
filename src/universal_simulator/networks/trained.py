"""A network together with everything needed to build it again.

Between fields on any number of points and latent states: what every codec can do.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_serializer
from torch import Tensor, nn

from universal_simulator.configuration import CoarseSolver, Latent, Stepper
from universal_simulator.configuration import Codec as CodecSettings
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import LinearPart
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import Symmetry, group
from universal_simulator.networks import build
from universal_simulator.networks.conditions import LowPass


@runtime_checkable
class Codec(Protocol):
    """Encodes and decodes fields without the mean that the frame takes away."""

    facts: Facts
    grid: Grid
    """Where latent states stand."""

    def encode(
        self, v: Float[Tensor, "sample channel *space"], parameters: Float[Tensor, "sample parameter"]
    ) -> Float[Tensor, "sample channel *latent"]:
        """Return the latent state of fields on any number of points."""
        ...

    def decode(
        self,
        z: Float[Tensor, "sample channel *latent"],
        parameters: Float[Tensor, "sample parameter"],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return the field on so many cell centres."""
        ...


Stage = Literal["autoencoder", "operator", "diffusion_residual", "consistency_distill", "unet", "fno", "fast"]

PARTS: dict[Stage, str] = {
    "operator": "operator",
    "unet": "operator",
    "fno": "operator",
    "diffusion_residual": "residual",
    "consistency_distill": "residual",
}
"""Module of each stage but the first, whose settings name theirs."""


CODECS = ("autoencoder", "fast")
"""Stages whose network goes between fields and latent states."""


class Recipe(BaseModel):
    """What a network is built from, weights aside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage
    settings: Annotated[CodecSettings | Stepper, Field(discriminator="kind")]
    latent: Latent
    facts: Facts
    grid: Grid
    """Of the training data."""
    statistics: Statistics
    averaged: tuple[Symmetry, ...] = ()
    """Symmetries over whose images an operator's steps are averaged."""
    flux_form: bool = False
    """Whether an operator's network gives a flux, whose divergence is the step."""
    linear: LinearPart | None = None
    """What an operator's steps solve exactly; None: its network gives the whole step."""
    solver: CoarseSolver | None = None
    """The problem's solver that takes an operator's steps, which its network corrects; None: there is none."""

    @model_serializer(mode="wrap")
    def _without_what_is_not(self, content: Callable[["Recipe"], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what is false or none: a network that was trained before there was a choice is no other for it."""
        return {name: value for name, value in content(self).items() if value is not False and value is not None}

    @property
    def latent_grid(self) -> Grid:
        """Return where latent states stand."""
        return self.grid.resized(self.latent.shape(self.grid.dimensions))

    def build(self) -> nn.Module:
        """Return the network with fresh weights, in single precision whatever the process prefers."""
        return self._built().float()

    def _built(self) -> nn.Module:
        if isinstance(self.settings, CodecSettings) != (self.stage in CODECS):
            raise ValueError(f"kind = {self.settings.kind}: does not describe a network of stage {self.stage}")
        if self.stage in CODECS:
            return build(self.settings.kind, self.settings, self.facts, self.latent_grid, self.statistics)
        points = getattr(self.settings, "points_per_token", None)
        shape = self.latent.shape(self.grid.dimensions, points)
        low_pass = LowPass(self.facts.channels, self.latent_grid, self.grid.resized(shape))
        motions = group(self.averaged, self.grid)
        form: dict[str, Any] = {"flux_form": self.flux_form, "motions": motions, "linear": self.linear}
        part = PARTS[self.stage]
        if part == "operator" and self.linear is not None and self.linear.quadratic is not None:
            part = "semilinear"
        if part == "operator" and self.solver is not None:
            problems = import_module("universal_simulator.problems")  # by its name, as networks are
            known = problems.coarse_step(self.facts.name, self.solver)
            part, form = "corrected", {"flux_form": self.flux_form, "motions": motions, "known": known}
        return build(part, self.settings, self.facts, low_pass, self.statistics, **form)


N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Trained(Generic[N]):
    """A network, its recipe, and where it comes from."""

    recipe: Recipe
    network: N
    provenance: dict[str, str | int | float] = field(default_factory=dict)
    """Flat facts: data fingerprint, fingerprints of the networks it builds on, losses, epochs."""

    @classmethod
    def rebuild(cls, recipe: Recipe, weights: dict, provenance: dict) -> "Trained[Any]":
        """Return the trained network from what was saved, ready for use."""
        network: Any = recipe.build()
        network.load_state_dict(weights)
        return cls(recipe, network.eval().requires_grad_(False), provenance)

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits that name recipe and weights."""
        digest = hashlib.sha256(self.recipe.model_dump_json().encode())
        for name, value in sorted(self.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]
