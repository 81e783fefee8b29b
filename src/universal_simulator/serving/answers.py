"""How a request is answered where a plain forecast will not do: with gradients, or in the fast mode.

Requests that need a gradient: checked like any other, then answered from the tensors that were given themselves.

The fast mode of a model: what may be asked of it, and its forecast in a thread of its own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.compute.device import asked
from universal_simulator.emulation import differentiable
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import Hybrid
from universal_simulator.fields.facts import Facts
from universal_simulator.serving.request import Fields, Form, Request
from universal_simulator.support.errors import InputError


def needs_gradient(u0: Fields, parameters: Any) -> bool:
    """Tell whether a tensor among what was given needs a gradient, and torch records operations."""
    each = [*(u0.values() if isinstance(u0, Mapping) else [u0])]
    return asked(*each, *(parameters.values() if isinstance(parameters, Mapping) else []))


def forecast_with_gradient(
    parts: Emulator, request: Request, u0: Fields, parameters: Mapping[str, Any], time_step: float
) -> Float[Tensor, "sample time channel *space"]:
    """Return what was asked for; gradients flow back to ``u0`` and ``parameters``. Raises ``InputError``."""
    for name, value in (("members", request.members), ("guided", request.guided or None)):
        if value is not None:
            raise InputError(
                f"{name} = {value}: must be left out where a gradient is asked for, which only the plain rollout has; "
                "leave it out, or detach what was given"
            )
    u = _fields(u0, request.form, request).to(parts.device, parts.dtype)
    told = told_to(parts.facts, parameters, len(u)).to(parts.device, parts.dtype)
    return apart(lambda: differentiable.forecast(parts, u, told, time_step, request.steps))


def told_to(facts: Facts, parameters: Mapping[str, Any], samples: int) -> Float[Tensor, "sample parameter"]:
    """Return the parameters in the order of the facts, as they were given, in double precision."""
    columns = [as_tensor(parameters[one.name]).flatten().cpu().expand(samples) for one in facts.parameters]
    return torch.stack(columns, -1) if columns else torch.zeros(samples, 0, dtype=torch.float64)


def as_tensor(values: Any) -> Tensor:
    """Return numbers in double precision; a tensor keeps its history."""
    return torch.as_tensor(values).to(torch.float64)


def _fields(u0: Fields, form: Form, request: Request) -> Float[Tensor, "sample channel *space"]:
    d = request.u.ndim - 2
    if isinstance(u0, Mapping):
        u = torch.stack([as_tensor(u0[name]) for name in form.named], -d - 1)
    else:
        u = u0.double() if isinstance(u0, Tensor) else request.u
        u = u if form.channelled or u.ndim == d + 2 else u.unsqueeze(-d - 1)
    return u if u.ndim == d + 2 else u[None]


def refuse_fast(mode: str, fast: Hybrid | None, model: str, request: Request, differentiated: bool) -> None:
    """Refuse a mode that there is not, and what the fast one cannot give."""
    if mode not in ("full", "fast"):
        raise InputError(f"mode = {mode}: must be full or fast; choose one")
    if mode == "full":
        return
    if fast is None:
        raise InputError(f"mode = fast: {model} has no such mode; leave it out")
    if request.members is not None or request.guided:
        raise InputError("mode = fast: must be without members and guided; leave them out")
    if differentiated:
        raise InputError("mode = fast: must be without gradients; detach u0, or leave mode out")


def forecast_fast(fast: Hybrid, request: Request, time_step: float) -> Float[Tensor, "sample 1 time channel *space"]:
    """Return the fields at the times asked for, on the CPU and one thread."""
    shape = tuple(request.u.shape[2:])

    def fields() -> Tensor:
        pieces = zip(request.u.split(request.at_once), request.parameters.split(request.at_once), strict=True)
        return torch.cat([fast.fields(u, told, time_step, request.steps, shape) for u, told in pieces])

    return apart(fields, threads=1)[:, None]
