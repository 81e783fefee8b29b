"""What is given and what is to be forecast: the three protocols that papers report.

| protocol | given | scored | grid |
|---|---|---|---|
| ``rollout`` | the first snapshot | every later one, on the model's time step | the data's |
| ``pdebench`` | snapshots 0, 5, …, 45 (the model uses the last) | 50, 55, …, rolled out | every fourth point |
| ``one_step`` | a true snapshot | the next one on the model's time step | the data's |
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Protocol
from universal_simulator.support.errors import InputError

PDEBENCH_STRIDE, PDEBENCH_GIVEN, PDEBENCH_THINNING = 5, 10, 4


@dataclass(frozen=True)
class Task:
    """A batch of trajectories under one protocol."""

    protocol: Protocol
    starts: Float[Tensor, "sample start space"]
    """One given field, or for ``one_step`` one for every frame."""
    truth: Float[Tensor, "sample time space"]
    times: Float[np.ndarray, " time"]
    viscosity: Float[Tensor, " sample"]
    time_step: float

    @property
    def initial(self) -> Float[Tensor, "sample space"]:
        """Return the first given field, whose mean is that of all others."""
        return self.starts[:, 0]


def make_task(
    protocol: Protocol,
    u: Float[Tensor, "sample time space"],
    viscosity: Float[Tensor, " sample"],
    times: Float[np.ndarray, " time"],
    stride: int,
    one_step_every: int,
) -> Task:
    """Cut whole trajectories into what is given and what is scored; ``stride`` is the model's, in snapshots."""
    match protocol:
        case "rollout":
            starts, frames = np.array([0]), np.arange(stride, len(times), stride)
        case "one_step":
            starts = np.arange(0, len(times) - stride, stride * one_step_every)
            frames = starts + stride
        case "pdebench":
            stride, u = PDEBENCH_STRIDE, u[..., ::PDEBENCH_THINNING]
            starts = np.array([(PDEBENCH_GIVEN - 1) * stride])
            frames = np.arange(starts[0] + stride, len(times), stride)
    if len(frames) == 0:
        raise InputError(
            f"evaluation.protocols = {protocol}: needs more than the {len(times)} snapshots of these data; leave it out"
        )
    step = float(times[stride] - times[0])
    return Task(protocol, u[:, starts], u[:, frames], times[frames], viscosity, step)
