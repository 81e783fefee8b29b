"""A batch that does not fit into the memory is forecast in halves."""

import numpy as np
import pytest
import torch

from universal_simulator.emulation.protocols import Task, in_halves
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError

CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
)


def task(samples: int) -> Task:
    numbers = torch.arange(samples, dtype=torch.float32)
    fields = numbers[:, None, None, None].expand(samples, 1, 1, 4)
    times = np.array([0.1])
    return Task("rollout", fields, fields, times, 0 * times, numbers[:, None], 0.1, Grid.interval(4))


@pytest.mark.parametrize("error", [CPU, torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
@pytest.mark.parametrize("room", [1, 2, 3, 7])
def test_every_trajectory_is_forecast_once_and_in_order_whatever_the_room(error, room, caplog):
    asked = []

    def forecast(part: Task, first: int) -> torch.Tensor:
        if len(part.starts) > room:
            raise error
        asked.append((first, len(part.starts)))
        return part.truth[:, None] + 1

    found = list(in_halves(task(7), 100, forecast))
    assert torch.equal(torch.cat([part.parameters for part, _ in found])[:, 0], torch.arange(7.0))
    assert torch.equal(torch.cat([fields for _, fields in found]), task(7).truth[:, None] + 1)
    assert [first for first, _ in asked] == [100 + sum(size for _, size in asked[:i]) for i in range(len(asked))]
    assert ("Out of memory with 7 trajectories at once: going on with 4" in caplog.text) == (room < 7)


def test_one_trajectory_that_does_not_fit_ends_in_one_line():
    def forecast(part: Task, first: int) -> torch.Tensor:
        raise CPU

    with pytest.raises(InputError, match=r"evaluation.ensemble.members: one trajectory's forecast must fit"):
        list(in_halves(task(3), 0, forecast))


def test_other_errors_are_no_lack_of_memory():
    def forecast(part: Task, first: int) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(in_halves(task(3), 0, forecast))
