"""Every key of test-time conditioning does what it says."""

import numpy as np
import pytest
import torch

from universal_simulator.configuration import Guidance, RewardWeights, TestTimeConditioning
from universal_simulator.emulation import ensembles
from universal_simulator.emulation.emulator import deterministic
from universal_simulator.emulation.ensembles import balance_of, conditioned, reward
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.balance import Balance
from universal_simulator.problems import find

UNGUIDED = Guidance(modes=0)
BASE = TestTimeConditioning(
    guidance=UNGUIDED, candidates=4, beam=2, horizon=1, threshold=0.0, budget=1000, noise_schedule=(0.1, 0.05)
)
STEPS, SHAPE = 5, (64,)
LINE = Grid.interval(128)
NU = torch.full((1, 1), 0.05)


def search(emulator, u0, nu, **changes):
    start = emulator.start(u0, nu, 0.02)
    settings = BASE.model_copy(update=changes)
    states, found = conditioned(emulator, start, STEPS, settings, SHAPE, torch.Generator().manual_seed(0))
    return states, found


def differs(one, other) -> bool:
    return not torch.allclose(one, other, atol=1e-6)


def test_without_doubt_or_without_budget_it_is_the_operator_alone(emulator, u0, nu):
    plain = deterministic(emulator, emulator.start(u0, nu, 0.02), STEPS)
    for changes in ({"threshold": 1e6}, {"budget": 0}, {"candidates": 1, "beam": 1}):
        states, found = search(emulator, u0, nu, **changes)
        torch.testing.assert_close(states, plain)
        assert found.spent.sum() == 0
        assert found.chosen.sum() == 0


def test_searching_changes_the_path_and_never_for_a_worse_first_step(emulator, u0, nu):
    plain = deterministic(emulator, emulator.start(u0, nu, 0.02), STEPS)
    states, _found = search(emulator, u0, nu, beam=1)
    assert differs(states, plain)
    law, start = balance_of(emulator, 0.02), emulator.start(u0, nu, 0.02)
    before, own, best = (emulator.codec.decode(z, nu, SHAPE) for z in (start.z, plain[:, 0, 0], states[:, 0, 0]))
    weights = RewardWeights()
    assert (reward(law, before, best, nu, weights) >= reward(law, before, own, nu, weights) - 1e-5).all()


def test_every_step_is_judged_by_the_equation_of_its_own_viscosity(emulator, u0):
    """A batch of several viscosities is searched as each would be alone; noise, drawn in turn, is left out."""
    nu = torch.tensor([[0.05], [0.4], [0.05]])
    plain = {"candidates": 1, "beam": 1}
    _, together = search(emulator, u0, nu, **plain)
    alone = [search(emulator, u0[i : i + 1], nu[i : i + 1], **plain)[1].score for i in range(3)]
    torch.testing.assert_close(together.score, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_a_search_may_concern_some_of_several_viscosities_only(emulator, u0):
    nu = torch.tensor([[0.05], [0.4], [0.05]])
    _, found = search(emulator, u0, nu, candidates=1, beam=1)
    violation = -found.score[:, 0] / STEPS
    threshold = violation[[0, 2]].max().item() + 10
    assert threshold < violation[1] - 10
    _, found = search(emulator, u0, nu, threshold=threshold)
    assert (found.spent > 0).tolist() == [False, True, False]


def test_the_budget_bounds_what_is_spent(emulator, u0, nu):
    _, free = search(emulator, u0, nu)
    assert free.spent.tolist() == [3 + 4 * 2 * 3] * 3, "one beam, then two, three alternatives each, five steps"
    _, bounded = search(emulator, u0, nu, budget=10)
    assert bounded.spent.tolist() == [9] * 3
    assert (bounded.chosen[:, 2:] == 0).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"candidates": 6},
        {"beam": 1},
        {"horizon": 8},
        {"threshold": 34.0},  # these steps violate the equation by 27 to 37
        {"discount": 0.0001},
        {"budget": 5},
        {"noise_std": 0.5},
        {"noise_schedule": (2.0,)},
        {"guidance": Guidance(modes=4)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_key_has_an_effect(emulator, u0, nu, changes):
    reference, _ = search(emulator, u0, nu)
    states, _ = search(emulator, u0, nu, **changes)
    assert differs(states, reference)


def test_the_size_of_batches_bounds_memory_and_changes_nothing_else(emulator, u0, nu):
    """Noise is drawn batch by batch, so only what is not drawn can be compared: the operator's own steps."""
    one, _found = search(emulator, u0, nu, budget=0, max_batch=1)
    many, _ = search(emulator, u0, nu, budget=0)
    torch.testing.assert_close(one, many, rtol=0, atol=1e-6)
    _, split = search(emulator, u0, nu, max_batch=5)
    assert (split.spent > 0).all()


@pytest.fixture(scope="module")
def steps() -> tuple[Balance, torch.Tensor, torch.Tensor]:
    """Return the law, and a step that obeys it."""

    def initial(grid: Grid) -> torch.Tensor:
        (x,) = grid.centres()
        return (torch.sin(2 * torch.pi * x) + 0.5 * torch.cos(4 * torch.pi * x))[None, None]

    problem = find("burgers")
    values = problem.solver.solve((0.05,), initial, np.arange(2) * 0.02, LINE).values
    law = Balance(problem.rate, problem.rate.tangent, problem.facts, LINE, 0.02)
    return law, values[:, 0], values[:, 1]


def test_the_true_step_is_rewarded_more_than_any_disturbed_one(steps):
    (law, before, after), weights = steps, RewardWeights()
    best = reward(law, before, after, NU, weights)
    assert best > -1e-3
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        smooth = torch.fft.irfft(torch.fft.rfft(torch.randn(128, generator=generator))[:8], n=128)
        assert reward(law, before, after + 0.05 * smooth, NU, weights) < best


def test_mass_and_energy_are_weighed(steps):
    law, before, after = steps
    size = before.abs().mean().item()
    plain, heavy = (reward(law, before, after + 0.1, NU, RewardWeights(mass=m, energy=0)) for m in (0, 2))
    assert (plain - heavy).item() == pytest.approx(2 * 0.1 / size, rel=1e-3)
    plain, heavy = (reward(law, before, 1.1 * before, NU, RewardWeights(mass=0, energy=e)) for e in (0, 2))
    assert (plain - heavy).item() == pytest.approx(2 * 0.21, rel=1e-3)


def test_guidance_makes_every_step_more_physical_and_keeps_mass(emulator, u0, nu):
    start = emulator.start(u0, nu, 0.02)
    plain = deterministic(emulator, start, 1)
    guided, _ = search(emulator, u0, nu, budget=0, guidance=Guidance(modes=6, iterations=4))
    law, before = balance_of(emulator, 0.02), emulator.decode_comoving(start.z, nu, SHAPE)
    own, better = (
        law.residual(before, emulator.decode_comoving(s[:, 0, 0], nu, SHAPE), nu, 6) for s in (plain, guided)
    )
    assert (better < 0.1 * own).all()
    kept = start.z.mean(-1)[:, None, None].expand(-1, 1, STEPS, 1)
    torch.testing.assert_close(guided.mean(-1), kept, rtol=0, atol=1e-6)


def test_a_reward_of_the_wrong_sign_would_choose_the_worst_candidate(emulator, u0, nu, monkeypatch):
    law, start, weights = balance_of(emulator, 0.02), emulator.start(u0, nu, 0.02), RewardWeights()
    before = emulator.decode_comoving(start.z, nu, SHAPE)

    def judged() -> torch.Tensor:
        states, _ = search(emulator, u0, nu, beam=1, candidates=8)
        return reward(law, before, emulator.decode_comoving(states[:, 0, 0], nu, SHAPE), nu, weights)

    honest = judged()
    monkeypatch.setattr(ensembles, "reward", lambda *arguments: -reward(*arguments))
    assert (judged() < honest - 1).all()


@pytest.mark.parametrize("key", ["mass", "energy"])
def test_the_weights_of_the_reward_reach_the_judge(emulator, u0, nu, key):
    """Steps of this emulator keep mass and lose energy whatever is drawn, so one is made that does neither."""
    start = emulator.start(u0, nu, 0.02)
    before = emulator.decode_comoving(start.z, nu, SHAPE)
    after = 1.1 * before + 0.1

    def judged(weight: float) -> torch.Tensor:
        weights = RewardWeights(**{"mass": 0.0, "energy": 0.0, key: weight})
        settings = BASE.model_copy(update={"reward": weights})
        return ensembles.StepScorer(emulator, settings, SHAPE, torch.Generator()).reward(before, after, start)

    fault = 0.1 / before.abs().mean((-2, -1)) if key == "mass" else torch.full((3,), 0.21)
    torch.testing.assert_close(judged(1.0) - judged(3.0), 2 * fault, rtol=1e-2, atol=1e-3)


def test_no_network_sees_more_states_at_once_than_allowed(emulator, u0, nu):
    seen = []
    handles = [
        network.register_forward_hook(lambda _m, _i, out: seen.append(len(out)))
        for network in (emulator.operator, emulator.sampler.network)
    ]
    search(emulator, u0, nu, max_batch=4, guidance=Guidance(modes=4))
    for handle in handles:
        handle.remove()
    assert max(seen) == 4


def test_guidance_has_an_effect_in_each_of_its_keys(emulator, u0, nu):
    one = search(emulator, u0, nu, budget=0, guidance=Guidance(modes=4, iterations=1))[0]
    assert differs(one, search(emulator, u0, nu, budget=0, guidance=Guidance(modes=6, iterations=1))[0])
    assert differs(one, search(emulator, u0, nu, budget=0, guidance=Guidance(modes=4, iterations=3))[0])
