"""Whether a gradient is asked for: what is computed without one is computed in inference mode, as fast as it goes."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def asked(*values: Any) -> bool:
    """Tell whether torch records operations now, and one of the values is a tensor that needs a gradient."""
    return torch.is_grad_enabled() and any(isinstance(one, Tensor) and one.requires_grad for one in values)


def unless_asked(mode: Callable[[], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: run in this mode (``inference_mode``, ``no_grad``) unless an argument needs a gradient."""

    def decorate(work: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(work)
        def run(*arguments: Any, **named: Any) -> Any:
            if asked(*arguments, *named.values()):
                return work(*arguments, **named)
            with mode():
                return work(*arguments, **named)

        return run

    return decorate
