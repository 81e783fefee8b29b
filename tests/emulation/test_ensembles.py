"""Members: how alike they are, over members and over time."""

import math
from dataclasses import replace

import pytest
import torch

from universal_simulator.configuration import Guidance, TestTimeConditioning
from universal_simulator.emulation.emulator import Calibration, Tuning
from universal_simulator.emulation.ensembles import balance_of, balanced, corrected_ensemble, ensemble, inflate
from universal_simulator.support.errors import InputError

STEPS = 4


def drawn(emulator, u0, nu, seed=0, members=3, **tuning):
    tuned = replace(emulator, calibration=Calibration(ensemble=Tuning(**tuning), guided_ensemble=Tuning(**tuning)))
    return ensemble(tuned, emulator.start(u0, nu, 0.02), STEPS, members, torch.Generator().manual_seed(seed))


def test_members_differ_from_each_other_and_repeat_with_the_seed(emulator, u0, nu):
    first, again, other = (drawn(emulator, u0, nu, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    pairs = (first[:, 0] - first[:, 1]).abs().amax((-3, -2, -1)), (first[:, 1] - first[:, 2]).abs().amax((-3, -2, -1))
    assert all((pair > 1e-4).all() for pair in pairs)


def test_without_inflation_all_members_are_one(emulator, u0, nu):
    members = drawn(emulator, u0, nu, inflation=0.0)
    torch.testing.assert_close(members, members[:, :1].expand_as(members))


def test_noise_of_members_adds_up_to_nothing_and_is_standard_normal_for_each():
    noise = balanced(torch.randn(20_000, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    torch.testing.assert_close(noise.sum(1), torch.zeros(20_000, 2, dtype=torch.float64))
    correlation = noise[:, :, 0].T @ noise[:, :, 0] / 20_000
    torch.testing.assert_close(
        correlation, (4 * torch.eye(4, dtype=torch.float64) - 1) / 3, rtol=0, atol=4 * math.sqrt(2 / 20_000)
    )
    alone = torch.randn(3, 1, 2)
    assert torch.equal(balanced(alone), alone)


def test_the_mean_of_members_depends_less_on_the_draw_than_that_of_independent_members(emulator, u0, nu):
    one, other = (drawn(emulator, u0, nu, seed, members=16)[:, :, 0] for seed in (0, 1))
    apart = (one.mean(1) - other.mean(1)).square().mean().sqrt()
    independent = torch.sqrt(2 * one.var(1).mean() / 16)
    assert apart < 0.5 * independent


def test_inflation_widens_the_first_step_in_proportion(emulator, u0, nu):
    same, one, three = (drawn(emulator, u0, nu, inflation=factor)[:, :, 0] for factor in (0.0, 1.0, 3.0))
    torch.testing.assert_close(three - same, 3 * (one - same), rtol=1e-3, atol=1e-6)


def test_members_move_apart_by_their_own_factors_and_their_mean_stays():
    members = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alike = inflate(members, torch.full((4,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(alike.var(1), 9 * members.var(1))
    unlike = inflate(members, torch.tensor([0.0, 1.0, 1.0, 9.0], dtype=torch.float64))
    for moved in (alike, unlike):
        torch.testing.assert_close(moved.mean(1), members.mean(1))
    assert (unlike[:, 3] - unlike[:, 1]).abs().mean() > 2 * (unlike[:, 2] - unlike[:, 1]).abs().mean()
    assert torch.equal(inflate(members[:, :1], torch.tensor([3.0])), members[:, :1])


def test_members_factors_are_quantiles_of_a_log_normal_of_the_inflation_as_root_mean_square():
    widths = Tuning(inflation=1.5, tails=0.5).widths(8)
    assert widths.square().mean().sqrt().item() == pytest.approx(1.5)
    logs = widths.log()
    assert (logs[7] - logs[0]).item() == pytest.approx(2 * 0.5 * 1.5341, rel=1e-4)
    assert torch.equal(Tuning(inflation=1.5).widths(3), torch.full((3,), 1.5, dtype=torch.float64))


def test_a_member_with_a_long_memory_errs_alike_step_after_step(emulator, u0, nu):
    def alike(memory: float) -> float:
        states = drawn(emulator, u0, nu, members=40, memory=memory)
        start = emulator.start(u0, nu, 0.02).z[:, None].expand_as(states[:, :, 0])
        before = torch.cat((start[:, :, None], states[:, :, :-1]), dim=2)
        wide = emulator.start(u0, nu, 0.02).repeat(40)
        after = torch.stack([emulator.step(before[:, :, k].flatten(0, 1), wide) for k in range(STEPS)], 1)
        errors = states.flatten(0, 1) - after
        errors = errors - errors.unflatten(0, (3, 40)).mean(1).repeat_interleave(40, 0)
        return torch.nn.functional.cosine_similarity(errors[:, 0].flatten(1), errors[:, 1].flatten(1)).mean().item()

    assert alike(0.0) == pytest.approx(0, abs=0.1)
    assert alike(1e6) > 0.9


def test_memory_is_a_time_so_longer_steps_remember_less():
    tuning = Tuning(memory=0.1)
    assert tuning.correlation(0.1) == pytest.approx(0.36788, abs=1e-5)
    assert tuning.correlation(0.02) ** 5 == pytest.approx(tuning.correlation(0.1))
    assert Tuning().correlation(0.02) == 0


def test_every_step_of_a_guided_member_obeys_the_equation_on_its_longest_waves(emulator, u0, nu):
    start = emulator.start(u0, nu, 0.02)
    settings = TestTimeConditioning(guidance=Guidance(modes=6, iterations=4))
    guided = corrected_ensemble(emulator, start, 1, 2, (settings, (64,)), torch.Generator().manual_seed(0))
    free = drawn(emulator, u0, nu, members=2)
    law, before = balance_of(emulator, 0.02), emulator.decode_comoving(start.z, nu, (64,))
    for member in (0, 1):
        own, better = (
            law.residual(before, emulator.decode_comoving(states[:, member, 0], nu, (64,)), nu, 6)
            for states in (free, guided)
        )
        assert (better < 0.1 * own).all()
    assert not torch.allclose(guided[:, 0], guided[:, 1])


def test_a_calibration_serves_the_networks_it_was_fitted_with_and_no_others():
    fitted = Calibration(sources={"operator": "aaaa", "consistency_distill": "bbbb"})
    fitted.refuse_stale({"operator": "aaaa", "consistency_distill": "bbbb"})
    with pytest.raises(InputError, match="fitted with operator aaaa, must be fitted with the present cccc; run"):
        fitted.refuse_stale({"operator": "cccc", "consistency_distill": "bbbb"})
    Calibration().refuse_stale({"operator": "cccc"})
