"""A finished model in one folder, of this version or an earlier one.

Models of earlier versions, brought up to this one when they are read; their numbers stay as they are.

Version 1 knew one scalar field on the periodic unit interval with one positive parameter, "viscosity".

A finished model in one folder: ``weights.safetensors`` holds every tensor, ``bundle.json`` everything else.

The weights' checksum stands in ``bundle.json``, which is written last: a folder that was interrupted, damaged or mixed
is refused.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.configuration import (
    CoarseSolver,
    Compute,
    ConsistencyDistillation,
    DiffusionResidual,
    Member,
    Span,
    TestTimeConditioning,
    Value,
)
from universal_simulator.emulation.emulator import Emulator, assemble
from universal_simulator.emulation.forecasters import Hybrid
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import replace

SCALARS = ("rate", "residual_scale", "increment_scale")
"""Buffers that were one number and are now one for each channel."""
KINDS = {"autoencoder": "autoencoder"}


def card(old: dict[str, Any]) -> dict[str, Any]:
    """Return the card of a model of version 1 as this version writes it."""
    parameters = old["parameters"]
    data = dict(parameters["data"])
    problem = find(data.pop("equation"))
    facts, (parameter,) = problem.facts, problem.facts.parameters
    data["parameters"] = {parameter.name: data.pop("viscosities")}
    domain = problem.grid
    assert domain is not None
    points = next(iter(old["recipes"].values()))["statistics"]["points"]
    grid = domain.resized((points,)).model_dump(mode="json")
    known = facts.model_dump(mode="json")
    recipes = {stage: _recipe(stage, recipe, known, grid) for stage, recipe in old["recipes"].items()}
    tree = {**parameters, "problem": problem.name, "data": data}
    return {
        **old, "version": 2, "facts": known, "grid": grid, "recipes": recipes, "parameters": tree, "upgraded": True,
    }  # fmt: skip


def weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by their present names, with one number for each channel where an earlier version had one."""
    renamed = {name.replace("network.u.", "network.", 1): value for name, value in tensors.items()}
    return {name: value[None] if name in SCALARS and value.ndim == 0 else value for name, value in renamed.items()}


def _recipe(stage: str, old: dict[str, Any], facts: dict[str, Any], grid: dict[str, Any]) -> dict[str, Any]:
    settings = {"kind": KINDS.get(stage, "u_transformer"), **old["settings"]}
    reflections = [one for one in facts["symmetries"] if one["kind"] == "reflection"]
    kept: dict[str, Any] = {name: old[name] for name in ("stage", "latent", "flux_form") if name in old}
    statistics = _statistics(old["statistics"], facts)
    averaged = reflections if old.get("mirrored") else []
    return {
        **kept, "settings": settings, "facts": facts, "grid": grid, "statistics": statistics, "averaged": averaged,
    }  # fmt: skip


def _statistics(old: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    (channel,), (parameter,) = facts["channels"], facts["parameters"]
    moments = ("mean_average", "mean_spread", "log_rms_average", "log_rms_spread", "rms", "increment_rms")
    names = (*moments, "minimum", "maximum")
    span = {"minimum": old["viscosity_minimum"], "maximum": old["viscosity_maximum"]}
    return {
        "channels": [{"name": channel["name"], **{name: old[name] for name in names}}],
        "parameters": [{"parameter": parameter, **span}],
        "shape": [old["points"]],
        **{name: old[name] for name in ("time_step", "trajectories", "snapshots", "data")},
    }


CARD, WEIGHTS = "bundle.json", "weights.safetensors"
PARTS = ("autoencoder", "operator", "consistency_distill")
"""Networks that a forecast needs, by the names of their stages; the diffusion teacher is not among them."""


class Card(BaseModel):
    """What is to be known of a model beside its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[2] = 2
    """Of this layout; an older one is brought up to it when it is read (``bundle.py``)."""
    experiment: str
    facts: Facts
    """Channels, parameters and symmetries of the problem."""
    grid: Grid
    """Of the data it was trained and scored on."""
    recipes: dict[str, Recipe] = {}
    origins: dict[str, dict[str, str | int | float]] = {}
    """Of each network: fingerprints of what it learned from, losses, epochs."""
    parameters: dict[str, Any]
    """The experiment's whole configuration."""
    scores: dict[str, float]
    """On the test split, by their flat names; those that are no number are left out."""
    timings: dict[str, Any]
    provenance: dict[str, str]
    """Code, command, device, seed and data fingerprint behind the scores."""
    horizon: float
    """Longest time that was scored."""
    calibration: dict[str, Any] = {}
    """How the members of its ensembles are drawn; empty: as trained."""
    weights_sha256: str = ""
    upgraded: bool = Field(default=False, exclude=True)
    """Whether it was written by an earlier version: fingerprints in it are then of that version's recipes."""

    @model_validator(mode="before")
    @classmethod
    def _of_this_version(cls, content: Any) -> Any:
        """Bring the card of an earlier version up to this one."""
        return card(content) if isinstance(content, dict) and content.get("version") == 1 else content

    def fitted_to(self, parts: Mapping[str, Trained[Any]]) -> "Card":
        """Return the card with the fingerprints of these networks in its calibration, if it is an earlier version's."""
        if not self.upgraded or not self.calibration:
            return self
        sources = self.calibration.get("sources", {}) | {name: part.fingerprint for name, part in parts.items()}
        return self.model_copy(update={"calibration": self.calibration | {"sources": sources}, "upgraded": False})

    @property
    def sets(self) -> list[tuple[Value, ...]]:
        """Return the sets of parameters that it was trained and scored on; a range stays one."""
        if members := self.members:
            return self.facts.sets(*(one.parameters for one in members))
        given = self.parameters["data"].get("parameters") or {}
        return self.facts.sets({k: Span.model_validate(v) if isinstance(v, dict) else v for k, v in given.items()})

    @property
    def members(self) -> list[Member]:
        """Return the equations that it was trained and scored on, where these were stated one by one."""
        return [Member.model_validate(one) for one in self.parameters["data"].get("members") or ()]

    @property
    def typical(self) -> tuple[float, ...]:
        """Return one set of parameters that it was trained on: the first, and the middle of a range."""
        first = self.sets[0] if self.facts.parameters else ()
        return tuple(one.at(0.5) if isinstance(one, Span) else one for one in first)

    @property
    def conditioning(self) -> TestTimeConditioning:
        """Return its settings of guidance and search."""
        return TestTimeConditioning.model_validate(self.parameters["ttc"])


@dataclass(frozen=True)
class Bundle:
    """A card and the trained networks by stage."""

    card: Card
    parts: Mapping[str, Trained[Any]]

    @classmethod
    def of(cls, card: Card, parts: Mapping[str, Trained[Any]]) -> "Bundle":
        """Put a card and networks together; the card tells of them."""
        known = {
            "recipes": {name: part.recipe for name, part in parts.items()},
            "origins": {name: dict(part.provenance) for name, part in parts.items()},
        }
        return cls(card.model_copy(update=known), parts)

    def hybrid(self) -> Hybrid | None:
        """Return the fast mode; None for a model without one."""
        if "fast" not in self.parts or not self.card.parameters.get("fast"):
            return None
        setting = CoarseSolver.model_validate(self.card.parameters["fast"]["solver"])
        return Hybrid(self.parts["fast"].network, setting)

    def emulator(self, device: Literal["auto", "cpu", "cuda"] = "auto") -> Emulator:
        """Join the networks as the experiment's evaluation did."""
        parameters = self.card.parameters
        autoencoder, operator, student = (self.parts[name] for name in PARTS)
        return assemble(
            autoencoder,
            operator,
            student,
            DiffusionResidual.model_validate(parameters["diffusion_residual"]),
            ConsistencyDistillation.model_validate(parameters["consistency_distillation"]),
            Compute(device=device),
            self.card.calibration,
        )

    def write(self, folder: Path) -> None:
        """Fill the folder; each file is replaced as a whole."""
        tensors = {
            f"{part}/{name}": value.detach().cpu().contiguous()
            for part, trained in self.parts.items()
            for name, value in trained.network.state_dict().items()
        }
        weights = save(tensors)
        card = self.card.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / WEIGHTS, lambda part: part.write_bytes(weights))
        replace(folder / CARD, lambda part: part.write_text(card.model_dump_json(indent=1) + "\n"))

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """Return what ``write`` wrote, the networks ready for use on the CPU."""
        card, tensors = read_card(folder), _tensors(folder / WEIGHTS)
        if hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest() != card.weights_sha256:
            raise InputError(
                f"{folder / WEIGHTS} = other bytes than {CARD} names: must be whole; copy or make it again"
            )
        try:
            parts = apart(lambda: _rebuilt(card, tensors), threads=1, drawing=False)
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{folder} = not weights of this version ({_line(error)}); make it again") from error
        return cls(card.fitted_to(parts), parts)


def read_card(folder: Path) -> Card:
    """Return the card alone."""
    path = folder / CARD
    if not path.is_file():
        raise InputError(f"{path} = missing: must be there; run --pipeline=evaluation, which makes it, or name another")
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        place = error.errors()[0]
        reason = f"{'.'.join(map(str, place['loc']))}: {place['msg']}"
        raise InputError(f"{path} = not a model of this version ({reason}); make it again") from error


def _rebuilt(card: Card, tensors: dict[str, dict[str, Tensor]]) -> dict[str, Trained[Any]]:
    return {
        name: Trained.rebuild(recipe, weights(tensors.get(name, {})), card.origins[name])
        for name, recipe in card.recipes.items()
    }


def _tensors(path: Path) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each part by name."""
    try:
        flat = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} = unreadable ({_line(error)}); copy or make it again") from error
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in flat.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = value
    return parts


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
