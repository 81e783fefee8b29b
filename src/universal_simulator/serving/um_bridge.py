"""A model as UM-Bridge knows one, so that any package of uncertainty quantification that speaks it can drive it.

UM-Bridge (Seelinger et al. 2023, J. Open Source Softw. 8, 4748; protocol 1.0) has vectors in and out, over HTTP as
JSON. In are the initial field, ``(channel, *space)`` in a row, and the parameters in the order of the model's facts;
out is the field at the asked times in a row, of an ensemble ``(member, time, channel, *space)``. ``config`` says the
rest: ``points``, ``times``, ``members``, ``guided``, ``seed``.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from universal_simulator.serving.arrays import numbers, whole
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.payloads import FIELDS, PARAMS, demand_known, requested
from universal_simulator.serving.request import Request
from universal_simulator.support.errors import InputError

NAME, PROTOCOL = "forecast", 1.0
INFO = {"protocolVersion": PROTOCOL, "models": [NAME]}
SUPPORT = {"Evaluate": True, "Gradient": False, "ApplyJacobian": False, "ApplyHessian": False}


def input_sizes(emulator: Emulator, config: Mapping[str, Any]) -> list[int]:
    """Return the lengths of the vectors in."""
    facts, points = emulator.card.facts, _points(emulator, config)
    field = len(facts.channels) * math.prod(points)
    return [field, len(facts.parameters)] if facts.parameters else [field]


def output_sizes(emulator: Emulator, config: Mapping[str, Any]) -> list[int]:
    """Return the length of the vector out."""
    times, members = config.get("times"), whole("members", config.get("members") or 1, 1)
    count = len(times) if isinstance(times, list) else 1
    return [members * count * len(emulator.card.facts.channels) * math.prod(_points(emulator, config))]


def request(emulator: Emulator, vectors: Any, config: Mapping[str, Any]) -> Request:
    """Return what is asked for; refuse vectors of other lengths."""
    sizes = input_sizes(emulator, config)
    lengths = [len(one) if isinstance(one, list) else -1 for one in vectors] if isinstance(vectors, list) else []
    if lengths != sizes:
        raise InputError(f"input = vectors of {lengths}: must be of {sizes}; set config.points, or correct them")
    facts = emulator.card.facts
    fields, *others = (numbers(f"input[{i}]", one).numpy() for i, one in enumerate(vectors))
    if any(one.ndim != 1 for one in (fields, *others)):
        raise InputError("input = lists in it: must be vectors of numbers; flatten them")
    u0 = np.reshape(fields, (1, len(facts.channels), *_points(emulator, config)))
    told = zip(facts.parameters, others[0] if others else (), strict=True)
    given = {FIELDS: u0, **{one.name: value for one, value in told}}
    return requested(emulator, given, {name: config[name] for name in PARAMS if name in config})


def demand_model(content: Any) -> Mapping[str, Any]:
    """Return the config of a question; refuse another model, and what config does not know."""
    if not isinstance(content, dict) or content.get("name") != NAME:
        there = content.get("name") if isinstance(content, dict) else type(content).__name__
        raise InputError(f"name = {there}: must be {NAME}, the only model here; correct it")
    config = content.get("config") or {}
    if not isinstance(config, dict):
        raise InputError(f"config = {type(config).__name__}: must be an object; write {{'times': [0.5]}}")
    demand_known({*map(str, config)} - {"points"})
    return config


def _points(emulator: Emulator, config: Mapping[str, Any]) -> tuple[int, ...]:
    grid = emulator.card.grid
    said = config.get("points", list(grid.shape))
    points = tuple(said) if isinstance(said, list) else (said,)
    if len(points) != grid.dimensions or not all(type(one) is int and one > 0 for one in points):
        wanted = ", ".join(grid.names)
        raise InputError(
            f"config.points = {said}: must be {grid.dimensions} positive whole numbers ({wanted}); correct"
        )
    return points
