"""Who forecasts, and what those say that learn nothing."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from together import BURGERS
from universal_simulator.configuration import CoarseSolver, Guidance, TestTimeConditioning
from universal_simulator.emulation.forecasters import (
    Hybrid,
    Mean,
    Nearest,
    Persistence,
    Rollout,
    forecasters,
    numerical,
)
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.problems import find
from untrained import untrained

PLANE = Grid(axes=(Axis(name="y", points=6, sides=("wall", "wall")), Axis(points=8)))
FACTS = Facts(name="data_only", channels=(Channel(name="h"), Channel(name="q")), parameters=BURGERS.facts.parameters)
TIMES = np.arange(21) * 0.1
NOBODY = torch.Generator()


def drawn(seed: int, nu: list[float]) -> Trajectories:
    """Return trajectories of noise in the plane, with these parameters; the second channel is a hundred times larger."""
    u = np.random.default_rng(seed).standard_normal((len(nu), 21, 2, 6, 8)).astype(np.float32)
    u[:, :, 1] *= 100
    return Trajectories.of(u, np.array(nu)[:, None], TIMES, FACTS, PLANE)


def posed(data: Trajectories, protocol: str = "rollout") -> Task:
    told = torch.from_numpy(data.parameters).float()
    return make_task(protocol, Sample(data.read(slice(None)), told, data.times, data.grid), 2, 1)


TRAIN = drawn(0, [0.1, 0.2, 0.1, 0.2, 0.1])


@pytest.mark.parametrize("protocol", ["rollout", "one_step", "pdebench", "ten_given"])
def test_a_training_trajectory_finds_itself_and_the_mean_is_that_of_all(protocol):
    task = posed(TRAIN, protocol)
    assert torch.equal(Nearest(TRAIN)(task, NOBODY)[:, 0], task.truth)
    mean = task.truth.double().mean(0).float().expand(task.truth.shape)
    torch.testing.assert_close(Mean(TRAIN)(task, NOBODY)[:, 0], mean)
    still = Persistence()(task, NOBODY)[:, 0]
    assert torch.equal(still, task.starts.expand(task.truth.shape))


def test_the_nearest_of_the_same_parameters_is_preferred_to_a_nearer_one_of_others():
    task = posed(TRAIN.subset([1]))
    asked = {0.2: 1, 0.3: 1, 0.1: None}
    for nu, found in asked.items():
        told = Task(**{**task.__dict__, "parameters": torch.full((1, 1), nu)})
        answer = Nearest(TRAIN)(told, NOBODY)[0, 0]
        assert torch.equal(answer, task.truth[0]) == (found == 1)
        of = [i for i in range(5) if torch.equal(answer, posed(TRAIN).truth[i])]
        assert of == [1] if found == 1 else of[0] in (0, 2, 4)


def test_small_channels_count_as_much_as_large_ones():
    u = torch.zeros(3, 21, 2, 6, 8)
    u[:, :, 0] += torch.tensor([1.0, 3.0, 1.2]).view(3, 1, 1, 1)
    u[:, :, 1] += torch.tensor([100.0, 101.0, 120.0]).view(3, 1, 1, 1)
    data = Trajectories.of(u.numpy(), (0.1,), TIMES, FACTS, PLANE)
    answer = Nearest(data.subset([1, 2]))(posed(data.subset([0])), NOBODY)
    assert torch.equal(answer[0, 0], u[2, 2::2]), "0.2 and 20 are a fifth each; 2 and 1 are much and nothing"


def test_without_a_rate_of_change_physics_is_left_out_and_that_is_said_in_one_line(caplog):
    emulator = untrained(FACTS, PLANE.resized((16, 16)), PLANE.resized((16, 16)))
    names = ("persistence", "mean", "nearest", "deterministic", "ensemble", "ttc", "guided_ensemble")
    with caplog.at_level(logging.INFO):
        found = forecasters(names, emulator, TRAIN, 2, TestTimeConditioning())
    assert tuple(found) == names[:5]
    said = "Left out, as data_only has no rate of change: ttc, guided_ensemble"
    assert [record.message for record in caplog.records] == [said]
    assert numerical("data_only", [CoarseSolver(points=64, courant=1.0)]) == {}


def test_a_fast_mode_is_entered_where_there_is_one():
    emulator = untrained(FACTS, PLANE.resized((16, 16)), PLANE.resized((16, 16)))
    asked = ("fast", "deterministic")
    assert tuple(forecasters(asked, emulator, TRAIN, 2, TestTimeConditioning())) == ("deterministic",)
    quick = Hybrid(emulator.codec, CoarseSolver(points=16, courant=1.0))
    assert forecasters(asked, emulator, TRAIN, 2, TestTimeConditioning(), quick)["fast"] is quick


def test_physics_in_four_threads_says_what_it_says_in_one():
    problem = find("diffusion_reaction")
    grid = problem.grid.resized((16, 16))
    emulator = untrained(problem.facts, grid, grid)
    settings = TestTimeConditioning(candidates=2, beam=1, threshold=0.0, guidance=Guidance(modes=3, iterations=2))
    rollout = Rollout(emulator, "ttc", settings=settings)
    family, times = problem.initial_conditions, problem.times[:4]
    tasks = []
    for number in range(4):
        u = family.batch(grid, number, range(2)).float()[:, None].expand(-1, 4, -1, -1, -1)
        tasks.append(make_task("rollout", Sample(u, torch.zeros(2, 0), times, grid), 1, 1))
    alone = [rollout(task, torch.Generator().manual_seed(0)) for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda task: rollout(task, torch.Generator().manual_seed(0)), tasks))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    assert all(one.isfinite().all() for one in alone)
    assert not torch.equal(alone[0], alone[1])
