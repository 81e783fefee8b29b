import numpy as np
import pytest
import torch

from universal_simulator.emulation.emulator import DECODED_AT_ONCE, decoded, deterministic
from universal_simulator.emulation.forecasters import Persistence, Rollout
from universal_simulator.emulation.protocols import Sample, make_task
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import shift
from universal_simulator.support.errors import InputError

STEPS = 4


def rollout(emulator, u0, nu, shape=(128,)):
    start = emulator.start(u0, nu, 0.02)
    return decoded(emulator, deterministic(emulator, start, STEPS), start, shape)[:, 0]


def test_mass_is_conserved_to_rounding(emulator, u0, nu):
    mean = rollout(emulator, u0, nu).double().mean(-1)
    torch.testing.assert_close(mean, u0.double().mean(-1)[:, None].expand(-1, STEPS, 1), rtol=0, atol=1e-6)


def test_a_field_lifted_by_a_constant_drifts_and_is_else_the_same(emulator, u0, nu):
    """Galilean symmetry of Burgers: u + c moves with c."""
    plain, lifted = rollout(emulator, u0, nu), rollout(emulator, u0 + 0.7, nu)
    travelled = (0.7 * 0.02 * torch.arange(1, STEPS + 1)).expand(3, -1)[..., None]
    torch.testing.assert_close(lifted, shift(plain, travelled) + 0.7, rtol=0, atol=2e-5)


def test_a_forecast_can_be_decoded_at_any_resolution(emulator, u0, nu):
    fine, coarse = (rollout(emulator, u0, nu, (n,)) for n in (384, 128))
    torch.testing.assert_close(fine[..., 1::3], coarse, rtol=0, atol=1e-4)


def test_the_first_frame_is_one_step_later_not_the_start(emulator, u0, nu):
    start = emulator.start(u0, nu, 0.02)
    states = deterministic(emulator, start, 2)
    torch.testing.assert_close(states[:, 0, 0], emulator.step(start.z, start))
    torch.testing.assert_close(states[:, 0, 1], emulator.step(states[:, 0, 0], start))


TIMES = np.arange(61) * 0.01


def field(samples=2, points=64):
    """u[s, t, 0, x] = s + t/100 + x/10000, so that every value says where it is from."""
    times = torch.arange(61)[:, None, None] / 100
    return (torch.arange(samples)[:, None, None, None] + times + torch.arange(points) / 10_000).float()


def whole(u, nu):
    return Sample(u, nu, TIMES[: u.shape[1]], Grid.interval(u.shape[-1]))


def test_protocols_give_and_ask_for_the_snapshots_that_papers_do():
    u = field()
    given = whole(u, torch.ones(2, 1))
    every = make_task("rollout", given, 2, 10)
    assert torch.equal(every.starts, u[:, :1])
    assert torch.equal(every.truth, u[:, 2::2])
    assert every.time_step == pytest.approx(0.02)

    bench = make_task("pdebench", given, 2, 10)
    assert torch.equal(bench.starts, u[:, 45:46, :, ::4])
    assert torch.equal(bench.truth, u[:, 50::5, :, ::4])
    assert bench.times == pytest.approx([0.5, 0.55, 0.6])
    assert bench.time_step == pytest.approx(0.05)

    ten = make_task("ten_given", given, 2, 10)
    assert torch.equal(ten.starts, u[:, 9:10])
    assert torch.equal(ten.truth, u[:, 11::2])
    assert ten.times[0] == pytest.approx(0.11)

    single = make_task("one_step", given, 2, 10)
    assert torch.equal(single.starts, u[:, 0:59:20])
    assert torch.equal(single.truth, u[:, 2:61:20])


def test_a_protocol_that_the_data_are_too_short_for_is_refused():
    with pytest.raises(InputError, match="pdebench: needs more than the 40 snapshots"):
        make_task("pdebench", whole(field()[:, :40], torch.ones(2, 1)), 2, 10)
    with pytest.raises(InputError, match="ten_given: needs more than the 11 snapshots"):
        make_task("ten_given", whole(field()[:, :11], torch.ones(2, 1)), 2, 10)


def test_one_step_forecasts_every_frame_from_its_own_start(emulator):
    x = (torch.arange(128) + 0.5) / 128
    amplitude = torch.linspace(0.2, 1.0, 61)
    wave = torch.sin(2 * torch.pi * (x + torch.tensor([0.1, 0.4])[:, None]))
    task = make_task(
        "one_step", whole((amplitude[:, None] * wave[:, None])[:, :, None], torch.full((2, 1), 0.05)), 2, 5
    )
    fields = Rollout(emulator, "deterministic")(task, torch.Generator())
    for frame in range(task.truth.shape[1]):
        start = emulator.start(task.starts[:, frame], task.parameters, task.time_step)
        alone = decoded(emulator, deterministic(emulator, start, 1), start, (128,))
        torch.testing.assert_close(fields[:, :, frame], alone[:, :, 0], rtol=0, atol=1e-5)
    still = Persistence()(task, torch.Generator())
    assert torch.equal(still[:, 0], task.starts)


def test_many_rollouts_are_decoded_in_parts_to_the_very_fields_of_one_piece(emulator, u0, nu):
    start, members = emulator.start(u0, nu, 0.02), 2 * DECODED_AT_ONCE // 128
    with torch.inference_mode():
        states = deterministic(emulator, start, 4).repeat(1, members, 1, 1, 1)
        states += 0.1 * torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
        elapsed = 0.02 * torch.arange(1, 5)
        whole = emulator.decode(states.flatten(0, 1), start.repeat(members), elapsed, (128,))
    assert torch.equal(decoded(emulator, states, start, (128,)).flatten(0, 1), whole)
