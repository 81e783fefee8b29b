"""The fast mode of a model: what may be asked of it, and its forecast in a thread of its own."""

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.compute.apart import apart
from universal_simulator.emulation.hybrid import Hybrid
from universal_simulator.serving.request import Request
from universal_simulator.support.errors import InputError


def refuse(mode: str, fast: Hybrid | None, model: str, request: Request, differentiated: bool) -> None:
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


def forecast(fast: Hybrid, request: Request, time_step: float) -> Float[Tensor, "sample 1 time channel *space"]:
    """Return the fields at the times asked for, on the CPU and one thread."""
    shape = tuple(request.u.shape[2:])

    def fields() -> Tensor:
        pieces = zip(request.u.split(request.at_once), request.parameters.split(request.at_once), strict=True)
        return torch.cat([fast.fields(u, told, time_step, request.steps, shape) for u, told in pieces])

    return apart(fields, threads=1)[:, None]
