"""Every key of test-time conditioning does what it says."""

import numpy as np
import pytest
import torch

from universal_simulator.configuration import Guidance, RewardWeights, TestTimeConditioning
from universal_simulator.emulation import conditioning
from universal_simulator.emulation.conditioning import conditioned
from universal_simulator.emulation.emulator import deterministic
from universal_simulator.emulation.reward import reward
from universal_simulator.physics import solver
from universal_simulator.physics.balance import integrated_residual
from universal_simulator.physics.burgers import Burgers

UNGUIDED = Guidance(modes=0)
BASE = TestTimeConditioning(
    guidance=UNGUIDED, candidates=4, beam=2, horizon=1, threshold=0.0, budget=1000, noise_schedule=(0.1, 0.05)
)
STEPS = 5


def search(emulator, u0, viscosity, **changes):
    start = emulator.start(u0, viscosity, 0.02)
    settings = BASE.model_copy(update=changes)
    states, found = conditioned(emulator, start, STEPS, settings, 64, torch.Generator().manual_seed(0))
    return states, found


def differs(one, other) -> bool:
    return not torch.allclose(one, other, atol=1e-6)


def test_without_doubt_or_without_budget_it_is_the_operator_alone(emulator, u0, viscosity):
    plain = deterministic(emulator, emulator.start(u0, viscosity, 0.02), STEPS)
    for changes in ({"threshold": 1e6}, {"budget": 0}, {"candidates": 1, "beam": 1}):
        states, found = search(emulator, u0, viscosity, **changes)
        torch.testing.assert_close(states, plain)
        assert found.spent.sum() == 0
        assert found.chosen.sum() == 0


def test_searching_changes_the_path_and_never_for_a_worse_first_step(emulator, u0, viscosity):
    plain = deterministic(emulator, emulator.start(u0, viscosity, 0.02), STEPS)
    states, _found = search(emulator, u0, viscosity, beam=1)
    assert differs(states, plain)
    law, start = Burgers(0.05), emulator.start(u0, viscosity, 0.02)
    before, own, best = (
        emulator.autoencoder.decode(z, viscosity, 64) for z in (start.z, plain[:, 0, 0], states[:, 0, 0])
    )
    weights = RewardWeights()
    assert (reward(law, before, best, 0.02, weights) >= reward(law, before, own, 0.02, weights) - 1e-5).all()


def test_every_step_is_judged_by_the_equation_of_its_own_viscosity(emulator, u0):
    """A batch of several viscosities is searched as each would be alone; noise, drawn in turn, is left out."""
    viscosity = torch.tensor([0.05, 0.4, 0.05])
    plain = {"candidates": 1, "beam": 1}
    _, together = search(emulator, u0, viscosity, **plain)
    alone = [search(emulator, u0[i : i + 1], viscosity[i : i + 1], **plain)[1].score for i in range(3)]
    torch.testing.assert_close(together.score, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_a_search_may_concern_some_of_several_viscosities_only(emulator, u0):
    viscosity = torch.tensor([0.05, 0.4, 0.05])
    _, found = search(emulator, u0, viscosity, candidates=1, beam=1)
    violation = -found.score[:, 0] / STEPS
    threshold = violation[[0, 2]].max().item() + 10
    assert threshold < violation[1] - 10
    _, found = search(emulator, u0, viscosity, threshold=threshold)
    assert (found.spent > 0).tolist() == [False, True, False]


def test_the_budget_bounds_what_is_spent(emulator, u0, viscosity):
    _, free = search(emulator, u0, viscosity)
    assert free.spent.tolist() == [3 + 4 * 2 * 3] * 3, "one beam, then two, three alternatives each, five steps"
    _, bounded = search(emulator, u0, viscosity, budget=10)
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
def test_every_key_has_an_effect(emulator, u0, viscosity, changes):
    reference, _ = search(emulator, u0, viscosity)
    states, _ = search(emulator, u0, viscosity, **changes)
    assert differs(states, reference)


def test_the_size_of_batches_bounds_memory_and_changes_nothing_else(emulator, u0, viscosity):
    """Noise is drawn batch by batch, so only what is not drawn can be compared: the operator's own steps."""
    one, _found = search(emulator, u0, viscosity, budget=0, max_batch=1)
    many, _ = search(emulator, u0, viscosity, budget=0)
    torch.testing.assert_close(one, many, rtol=0, atol=1e-6)
    _, split = search(emulator, u0, viscosity, max_batch=5)
    assert (split.spent > 0).all()


@pytest.fixture(scope="module")
def steps() -> tuple[torch.Tensor, torch.Tensor]:
    law = Burgers(0.05)
    values = solver.solve(
        law, lambda x: torch.sin(2 * torch.pi * x)[None] + 0.5 * torch.cos(4 * torch.pi * x), np.arange(2) * 0.02, 128
    ).values
    return values[:, 0], values[:, 1]


def test_the_true_step_is_rewarded_more_than_any_disturbed_one(steps):
    before, after = steps
    law, weights = Burgers(0.05), RewardWeights()
    best = reward(law, before, after, 0.02, weights)
    assert best > -1e-3
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        smooth = torch.fft.irfft(torch.fft.rfft(torch.randn(128, generator=generator))[:8], n=128)
        assert reward(law, before, after + 0.05 * smooth, 0.02, weights) < best


def test_mass_and_energy_are_weighed(steps):
    before, after = steps
    law = Burgers(0.05)
    size = before.abs().mean().item()
    plain, heavy = (reward(law, before, after + 0.1, 0.02, RewardWeights(mass=m, energy=0)) for m in (0, 2))
    assert (plain - heavy).item() == pytest.approx(2 * 0.1 / size, rel=1e-3)
    plain, heavy = (reward(law, before, 1.1 * before, 0.02, RewardWeights(mass=0, energy=e)) for e in (0, 2))
    assert (plain - heavy).item() == pytest.approx(2 * 0.21, rel=1e-3)


def test_guidance_makes_every_step_more_physical_and_keeps_mass(emulator, u0, viscosity):
    start = emulator.start(u0, viscosity, 0.02)
    plain = deterministic(emulator, start, 1)
    guided, _ = search(emulator, u0, viscosity, budget=0, guidance=Guidance(modes=6, iterations=4))
    law, before = Burgers(0.05), emulator.shapes(start.z, viscosity, 64)
    own, better = (
        integrated_residual(law, before, emulator.shapes(s[:, 0, 0], viscosity, 64), 0.02, 6) for s in (plain, guided)
    )
    assert (better < 0.1 * own).all()
    torch.testing.assert_close(
        guided.mean((-2, -1)), start.z.mean((-2, -1))[:, None, None].expand(-1, 1, STEPS), rtol=0, atol=1e-6
    )


def test_a_reward_of_the_wrong_sign_would_choose_the_worst_candidate(emulator, u0, viscosity, monkeypatch):
    law, start, weights = Burgers(0.05), emulator.start(u0, viscosity, 0.02), RewardWeights()
    before = emulator.shapes(start.z, viscosity, 64)

    def judged() -> torch.Tensor:
        states, _ = search(emulator, u0, viscosity, beam=1, candidates=8)
        return reward(law, before, emulator.shapes(states[:, 0, 0], viscosity, 64), 0.02, weights)

    honest = judged()
    monkeypatch.setattr(conditioning, "reward", lambda *arguments: -reward(*arguments))
    assert (judged() < honest - 1).all()


@pytest.mark.parametrize("key", ["mass", "energy"])
def test_the_weights_of_the_reward_reach_the_judge(emulator, u0, viscosity, key):
    """Steps of this emulator keep mass and lose energy whatever is drawn, so one is made that does neither."""
    start = emulator.start(u0, viscosity, 0.02)
    before = emulator.shapes(start.z, viscosity, 64)
    after = 1.1 * before + 0.1

    def judged(weight: float) -> torch.Tensor:
        weights = RewardWeights(**{"mass": 0.0, "energy": 0.0, key: weight})
        settings = BASE.model_copy(update={"reward": weights})
        return conditioning.StepScorer(emulator, settings, 64, torch.Generator()).reward(before, after, start)

    fault = 0.1 / before.abs().mean(-1) if key == "mass" else torch.full((3,), 0.21)
    torch.testing.assert_close(judged(1.0) - judged(3.0), 2 * fault, rtol=1e-2, atol=1e-3)


def test_no_network_sees_more_states_at_once_than_allowed(emulator, u0, viscosity):
    seen = []
    handles = [
        network.register_forward_hook(lambda _m, _i, out: seen.append(len(out)))
        for network in (emulator.operator, emulator.sampler.network)
    ]
    search(emulator, u0, viscosity, max_batch=4, guidance=Guidance(modes=4))
    for handle in handles:
        handle.remove()
    assert max(seen) == 4


def test_guidance_has_an_effect_in_each_of_its_keys(emulator, u0, viscosity):
    one = search(emulator, u0, viscosity, budget=0, guidance=Guidance(modes=4, iterations=1))[0]
    assert differs(one, search(emulator, u0, viscosity, budget=0, guidance=Guidance(modes=6, iterations=1))[0])
    assert differs(one, search(emulator, u0, viscosity, budget=0, guidance=Guidance(modes=4, iterations=3))[0])
