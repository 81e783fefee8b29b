"""Models of earlier versions, brought up to this one when they are read; their numbers stay as they are.

Version 1 knew one scalar field on the periodic unit interval with one positive parameter, "viscosity".
"""

from typing import Any

from torch import Tensor

from universal_simulator.problems import find

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
