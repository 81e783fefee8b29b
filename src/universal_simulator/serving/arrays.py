"""From whatever holds numbers to tensors, and back: right, or refused in one line."""

import operator
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from universal_simulator.support.errors import InputError

Array = np.ndarray | Tensor | Sequence[Any]
LARGEST = torch.finfo(torch.float32).max


def numbers(name: str, values: Any, truths: bool = True) -> Tensor:
    """Return finite real numbers in double precision, on the CPU, as a copy; refuse anything else by its name.

    Truths are 0 and 1, where they may stand for numbers.
    """
    try:
        found = _tensor(values) if isinstance(values, Tensor) else _array(values)
        if found.dtype == torch.bool and not truths:
            raise TypeError("true or false in it")
        found = found.to(torch.float64, copy=True)
    except InputError as error:
        raise InputError(f"{name} = {error}") from error
    except Exception as error:  # whatever a foreign array raises
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"{name} = {type(values).__name__}: must hold real numbers ({reason}); convert it") from error
    if len(bad := (~found.isfinite()).nonzero()):
        place = f" at {bad[0].tolist()}, {len(bad)} such in all" if found.ndim else ""
        raise InputError(f"{name} = {found[tuple(bad[0])]:g}{place}: must be finite; remove what is missing")
    if found.numel() and found.abs().max() > LARGEST:
        raise InputError(f"{name} = {found.abs().max():g} in it: must be at most {LARGEST:.2g}; choose other units")
    return found


def whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number, in a range."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError("true or false")
        found = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} = {_short(value)}: must be a whole number; give one") from error
    if (least is not None and found < least) or (most is not None and found > most):
        raise InputError(f"{name} = {found}: must be at least {least} and at most {most}; choose one of these")
    return found


def truth(name: str, value: Any) -> bool:
    """Return true or false: not any other thing, of which almost all count as true."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} = {_short(value)}: must be true or false; give one of them")
    return bool(value)


def like(answer: Tensor, given: Any) -> Any:
    """Return an answer as the kind of array that was given: with a tensor's device and at least float32.

    One that gradients flow back from stays a tensor.
    """
    if not isinstance(given, Tensor):
        return answer if answer.requires_grad else answer.numpy()
    return answer.to(given.device, torch.promote_types(given.dtype, torch.float32))


def _tensor(values: Tensor) -> Tensor:
    if values.is_complex():
        raise InputError("Tensor: must hold real numbers (complex numbers); convert it")
    if values.layout != torch.strided or values.is_quantized or values.device.type == "meta":
        kind = "quantized" if values.is_quantized else str(values.layout).removeprefix("torch.")
        kind = "meta" if values.device.type == "meta" else kind
        raise InputError(f"{kind} Tensor: must hold real numbers, all of them; convert it by to_dense() or the like")
    return values.detach().cpu()


def _array(values: Any) -> Tensor:
    """Return a copy that owns its numbers: in order, of this machine's byte order, and to be written to."""
    if isinstance(values, list | tuple) and any(map(_says_more, values)):
        return torch.stack([_tensor(one) if isinstance(one, Tensor) else _array(one) for one in values])
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        count = int(np.ma.getmaskarray(values).sum())
        raise InputError(f"{count} masked points in it: must be whole; fill what is missing, or remove it")
    if isinstance(values, np.ndarray) and hasattr(values, "unit"):
        raise InputError(f"{type(values).__name__} with a unit: must be plain numbers in the equation's units; convert")
    found = np.asarray(values)
    if found.dtype.kind == "O" and not all(isinstance(one, Real) for one in found.flat):
        odd = next(one for one in found.flat if not isinstance(one, Real))
        raise TypeError(f"{type(odd).__name__} in it")
    if found.dtype.kind not in "biufO":
        raise TypeError(f"{found.dtype} in it")
    with np.errstate(all="ignore"):  # what leaves the range is told by its value
        kind = np.bool_ if found.dtype.kind == "b" else np.float64
        return torch.from_numpy(np.array(found, kind, order="C", copy=True))


def _says_more(one: Any) -> bool:
    """Tell whether numpy would lose something of an array in a list: a mask, a unit, or that it needs gradients."""
    return np.ma.isMaskedArray(one) or (hasattr(one, "__array__") and np.ndim(one) > 0)


def _short(value: Any) -> str:
    return (str(value).splitlines() or [type(value).__name__])[0][:40]
