"""Requests and answers as bytes: JSON, and NumPy's two formats, which are a tenth as large and nothing to parse.

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

from universal_simulator.serving.served import FIELDS, PARAMS
from universal_simulator.support.errors import InputError

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
