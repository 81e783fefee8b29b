"""Requests and answers of every server: checked, and as bytes of three formats.

What every server does with a request: names checked, bounded, answered, or refused in one line.

Requests and answers as bytes: JSON, and NumPy's two formats, which are a tenth as large and nothing to parse.

| media type | request | answer |
|---|---|---|
| ``application/json`` | ``{"inputs": {"u0": …, "nu": …}, "params": {"times": […]}}`` | ``{"predictions": {…}}`` |
| ``application/x-npz`` | ``u0``, the parameters, ``times``, ``members`` … as arrays | ``u``, ``alarm``, ``warnings`` |
| ``application/x-npy`` | ``u0``; the rest in the address: ``?nu=0.01&times=0.5,1`` | ``u``; the rest in headers |
"""

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from universal_simulator.serving.alarms import watched
from universal_simulator.serving.bundle import Card
from universal_simulator.serving.emulator import Emulator, diverged
from universal_simulator.serving.request import LARGEST_SERVED, Request, ask
from universal_simulator.support.errors import InputError

HIGHEST = 1e12
"""Score of the alarm that is sent for any higher one: JSON knows no infinity."""
FIELDS, SHORT, PARAMS = "u0", "viscosity", ("times", "members", "guided", "seed")


def inputs(given: Any, card: Card) -> dict[str, Any]:
    """Return what is forecast by its name; a row of a table is a field."""
    columns = given.to_dict("list") if isinstance(given, pd.DataFrame) else given
    names = [one.name for one in card.facts.parameters]
    if not isinstance(columns, Mapping):
        wanted = " and ".join([FIELDS, *names])
        raise InputError(f"inputs = {type(given).__name__}: must be {wanted} by name; give them, as an object")
    columns = {str(name): value for name, value in columns.items()}
    if len(names) == 1 and SHORT in columns and names[0] not in columns:
        columns[names[0]] = columns.pop(SHORT)
    if strange := sorted(columns.keys() - {FIELDS, *names}):
        known = ", ".join([FIELDS, *names])
        raise InputError(f"{strange[0]} = unknown: must be one of {known}; leave it out, or rename it")
    needed = [FIELDS, *(one.name for one in card.facts.parameters if not one.optional)]
    if missing := [name for name in needed if name not in columns]:
        raise InputError(f"{missing[0]} = missing: must be in the inputs; give {' and '.join([FIELDS, *names])}")
    return columns


def demand_known(names: set[str]) -> None:
    """Refuse parameters of a forecast that there are not."""
    if strange := sorted(names - set(PARAMS)):
        raise InputError(f"{strange[0]} = unknown: must be one of {', '.join(PARAMS)}; leave it out, or rename it")


def requested(emulator: Emulator, given: Mapping[str, Any], told: Mapping[str, Any]) -> Request:
    """Return what is asked for; refuse what costs more than a server may be asked for."""
    times = told["times"] if told.get("times") is not None else emulator.card.horizon
    members, guided, seed = told.get("members") or None, told.get("guided") or False, told.get("seed") or 0
    parameters = {name: value for name, value in given.items() if name != FIELDS}
    request = ask(emulator.model, given[FIELDS], parameters, times, members, guided, seed)
    request.refuse_beyond(LARGEST_SERVED)
    return request


def answered(
    emulator: Emulator, request: Request, answer: Float[Tensor, "sample member time channel *space"]
) -> dict[str, Any]:
    """Return the forecast ``u``, ``alarm``, its score for each field, and ``warnings``; refuse what left all bounds.

    Members are moved apart where the alarm rings. A model without an alarm has no scores.
    """
    if lost := diverged(answer):
        names = ", ".join(map(str, lost[:10])) + (" …" if len(lost) > 10 else "")
        raise InputError(
            f"u0 = fields {names} of {len(answer)}, counted from 0: their forecasts left all bounds, must stay "
            "finite; ask for earlier times, or leave them out"
        )
    found = watched(emulator, request, answer)
    answer = found.answer
    answer = answer if request.form.channelled else answer.squeeze(-emulator.card.grid.dimensions - 1)
    u: np.ndarray = answer.numpy()
    said = [*emulator.unknown(request), *found.warnings]
    scores = np.zeros(0) if found.scores is None else np.minimum(found.scores, HIGHEST)
    return {"u": u, "alarm": scores, "warnings": [str(warning) for warning in said]}


JSON, NPZ, NPY = "application/json", "application/x-npz", "application/x-npy"
KINDS = (JSON, NPZ, NPY)
SETTING = "UNIVERSAL_SIMULATOR_LARGEST_REQUEST"
LARGEST = 256e6
"""Bytes of one request, unpacked."""
WARNINGS, ALARM = "x-warnings", "x-alarm"

Parts = tuple[Any, Mapping[str, Any]]


class TooLargeError(InputError):
    """A request of more bytes than one may have."""


def largest() -> float:
    """Return the most bytes of a request: the environment's setting, or what is usual."""
    text = os.environ.get(SETTING, "").strip() or str(LARGEST)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not found > 0:
        raise InputError(f"{SETTING} = {text}: must be a positive number of bytes, as {LARGEST:g}; correct or unset it")
    return found


def refuse_larger(size: float) -> None:
    """Refuse a request of more bytes."""
    if size > (most := largest()):
        raise TooLargeError(
            f"request = {size:.3g} bytes: must be at most {most:.3g}; ask for fewer fields at once, or set {SETTING}"
        )


def kind(said: str | None) -> str:
    """Return a media type without its options; refuse one that is none of ours."""
    found = (said or JSON).partition(";")[0].strip().lower()
    if found not in KINDS:
        raise InputError(f"Content-Type = {found}: must be one of {', '.join(KINDS)}; convert it")
    return found


def demand_json(said: str | None) -> None:
    """Refuse any other media type where only JSON is understood."""
    if (found := kind(said)) != JSON:
        raise InputError(f"Content-Type = {found}: must be {JSON} here; convert it")


def wanted(accepted: str | None, given: str) -> str:
    """Return the media type of the answer: the first of ours that the client accepts, or that of its request."""
    accepts = [one.partition(";")[0].strip().lower() for one in (accepted or "*/*").split(",")]
    return next((one for one in accepts if one in KINDS), given)


def unpacked(media: str, body: bytes, query: Mapping[str, str]) -> Parts:
    """Return inputs and parameters by name, not checked yet."""
    match media:
        case "application/x-npz":
            arrays = _archive(body)
            told = {name: _scalar(value) for name, value in arrays.items() if name in PARAMS}
            return {name: value for name, value in arrays.items() if name not in PARAMS}, told
        case "application/x-npy":
            numbers = {name: _typed(name, text) for name, text in query.items()}
            given = {name: value for name, value in numbers.items() if name not in PARAMS}
            return {FIELDS: _array(body), **given}, {name: numbers[name] for name in numbers if name in PARAMS}
        case _:
            return _json(body)


def packed(media: str, answer: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return an answer as bytes, and headers that go with it."""
    u, alarm, warnings = answer["u"], answer["alarm"], answer["warnings"]
    stream = io.BytesIO()
    match media:
        case "application/x-npz":
            np.savez(stream, u=u, alarm=alarm, warnings=np.array(warnings, dtype=np.str_))
            return stream.getvalue(), {}
        case "application/x-npy":
            np.save(stream, u)
            said = {WARNINGS: quote("; ".join(warnings), " ;:,.=()'")} if warnings else {}
            return stream.getvalue(), said | ({ALARM: ",".join(f"{one:.4g}" for one in alarm)} if len(alarm) else {})
        case _:
            made = {"u": u.tolist(), "alarm": alarm.tolist(), "warnings": warnings}
            return json.dumps({"predictions": made}).encode(), {}


def _json(body: bytes) -> Parts:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise InputError(f"request = no valid JSON ({error}): must be; correct it") from error
    if not isinstance(content, dict) or "inputs" not in content or content.keys() - {"inputs", "params"}:
        there = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"request = {there[:80]}: must be an object of inputs and params; write {{'inputs': {{…}}}}")
    told = content.get("params") or {}
    if not isinstance(told, dict):
        raise InputError(f"params = {type(told).__name__}: must be an object; write {{'times': [0.5]}}")
    return content["inputs"], told


def _array(body: bytes) -> np.ndarray:
    try:
        found: np.ndarray = np.load(io.BytesIO(body), allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("an archive")
    except Exception as error:  # whatever foreign bytes make numpy raise
        raise InputError(f"request = unreadable ({_line(error)}): must be one array of NumPy's; use np.save") from error
    return found


def _archive(body: bytes) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed_arrays:
            refuse_larger(sum(one.file_size for one in packed_arrays.infolist()))
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            return dict(arrays)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"request = unreadable ({_line(error)}): must be an archive of NumPy's; use np.savez"
        ) from error


def _scalar(value: np.ndarray) -> Any:
    return value.item() if value.ndim == 0 else value


def _typed(name: str, text: str) -> Any:
    """Return what stands in an address as what it means."""
    if name == "guided" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        found = [float(one) for one in text.split(",")]
    except ValueError as error:
        raise InputError(f"{name} = {text[:40]}: must be a number, or numbers with commas; correct it") from error
    whole = name in ("members", "seed") and len(found) == 1 and found[0].is_integer()
    return (
        int(text) if whole and text.lstrip("+-").isdigit() else found if len(found) > 1 or name == "times" else found[0]
    )


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
