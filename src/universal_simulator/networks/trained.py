"""A network together with everything needed to build it again."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, model_serializer
from torch import nn

from universal_simulator.configuration import (
    CircularUNet,
    ConvolutionalAutoencoder,
    FourierOperator,
    Latent,
    UTransformer,
)
from universal_simulator.fields.statistics import Statistics
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.residual import ResidualNetwork
from universal_simulator.support.errors import InputError

Stage = Literal["autoencoder", "operator", "diffusion_residual", "consistency_distill", "unet", "fno"]


class Recipe(BaseModel):
    """What a network is built from, weights aside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage
    settings: ConvolutionalAutoencoder | UTransformer | CircularUNet | FourierOperator
    latent: Latent
    statistics: Statistics
    mirrored: bool = False
    """Whether an operator's steps are averaged with their mirror image's."""
    flux_form: bool = False
    """Whether an operator's network gives a flux, whose divergence is the step."""

    @model_serializer(mode="wrap")
    def _without_what_is_not(self, content: Callable[["Recipe"], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what is false: a network that was trained before there was a choice is no other for it."""
        return {name: value for name, value in content(self).items() if value is not False}

    def build(self) -> nn.Module:
        """Return the network with fresh weights."""
        match self.stage, self.settings:
            case "autoencoder", ConvolutionalAutoencoder():
                return Autoencoder(self.settings, self.latent, self.statistics)
            case ("operator", UTransformer() as shape) | ("unet" | "fno", CircularUNet() | FourierOperator() as shape):
                form = {"mirrored": self.mirrored, "flux_form": self.flux_form}
                return LatentOperator(shape, self.latent, self.statistics, **form)
            case "diffusion_residual" | "consistency_distill", UTransformer():
                return ResidualNetwork(self.settings, self.latent, self.statistics)
        kind = type(self.settings).__name__
        raise InputError(f"recipe.settings = {kind} does not describe a network of stage {self.stage}; retrain it")


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
