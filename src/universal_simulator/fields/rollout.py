"""Repeat a step."""

from collections.abc import Callable, Iterator

from torch import Tensor


def rollout(step: Callable[[Tensor], Tensor], state: Tensor, count: int) -> Iterator[Tensor]:
    """Yield the ``count`` states after ``state``."""
    for _ in range(count):
        state = step(state)
        yield state
