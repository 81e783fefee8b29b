import numpy as np
import pytest
import torch

from universal_simulator.fields.frame import enter_frame, leave_frame
from universal_simulator.fields.latents import Latents, augment, draw_windows, windows_at
from universal_simulator.support.errors import InputError
from universal_simulator.training.windows import on_gpu

TOKENS, DIM, TIMES = 3, 4, 21


@pytest.fixture
def latents() -> Latents:
    """Every number says where it is from: sample + time/100."""
    values = np.zeros((5, TIMES, TOKENS, DIM), np.float32)
    values += np.arange(5, dtype=np.float32)[:, None, None, None]
    values += np.arange(TIMES, dtype=np.float32)[None, :, None, None] / 100
    return Latents(values, np.arange(5.0), np.full(5, 0.01), np.arange(TIMES) * 0.01, "data-encoder")


def test_windows_hold_the_states_asked_for(latents):
    window = windows_at(latents, np.array([2, 4]), np.array([3, 0]), np.array([2, 5]), 3)
    torch.testing.assert_close(window.z[:, :, 0, 0], torch.tensor([[2.03, 2.05, 2.07], [4.0, 4.05, 4.1]]))
    torch.testing.assert_close(window.time_step, torch.tensor([0.02, 0.05]))
    torch.testing.assert_close(window.mean, torch.tensor([2.0, 4.0]))


def test_drawn_windows_reach_both_ends_and_never_leave_the_trajectory(latents):
    window = draw_windows(latents, 4000, 3, (2, 5), torch.Generator().manual_seed(0))
    first = window.z[:, 0, 0, 0] % 1
    last = window.z[:, -1, 0, 0] % 1
    assert first.min().item() == pytest.approx(0, abs=1e-5)
    assert last.max().item() == pytest.approx((TIMES - 1) / 100, abs=1e-5)
    assert set(window.time_step.mul(100).round().int().tolist()) == {2, 5}
    assert set(window.z[:, 0, 0, 0].int().tolist()) == set(range(5))


def test_a_larger_exponent_starts_earlier_by_the_known_mean(latents):
    """The mean of r³ is a quarter, of r a half."""
    for exponent, share in ((1.0, 1 / 2), (3.0, 1 / 4)):
        window = draw_windows(latents, 20_000, 2, (1,), torch.Generator().manual_seed(0), exponent)
        starts = (window.z[:, 0, 0, 0] % 1 * 100).round()
        assert starts.mean().item() + 0.5 == pytest.approx(share * (TIMES - 1), rel=0.03)


def test_windows_of_latents_on_a_device_are_the_same(latents):
    there = latents.resident(torch.device("cpu"))
    mapped, resident = (
        augment(draw_windows(one, 50, 3, (2, 5), generator, 2.0), generator, reflect=True)
        for one, generator in ((one, torch.Generator().manual_seed(4)) for one in (latents, there))
    )
    assert all(torch.equal(getattr(mapped, name), getattr(resident, name)) for name in ("z", "mean", "time_step"))
    assert len(there.part(slice(2))) == 2


@pytest.mark.parametrize(("device", "free", "moved"), [("cpu", 1e9, False), ("cuda", 1e9, True), ("cuda", 1e4, False)])
def test_latents_lie_on_a_gpu_that_has_room_for_them(latents, monkeypatch, device, free, moved):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free), 10**9))
    monkeypatch.setattr(Latents, "resident", lambda one, _device: one.part(slice(1)))
    found = on_gpu(latents, torch.device(device))
    assert len(found) == (1 if moved else 5)


def test_augmentation_rolls_all_times_alike_and_reflects_with_a_change_of_sign():
    values = torch.arange(12.0).view(1, 1, TOKENS, DIM).repeat(400, 2, 1, 1)
    window = windows_at(
        Latents(values.numpy(), np.zeros(400), np.ones(400), np.arange(2.0), ""),
        np.arange(400), np.zeros(400, int), np.ones(400, int), 2,
    )  # fmt: skip
    z = augment(window, torch.Generator().manual_seed(0), reflect=True).z.flatten(-2)
    assert torch.equal(z[:, 0], z[:, 1])
    kinds = set()
    for row in z[:, 0]:
        reflected = bool(row.sum() < 0)
        ring = (-row).flip(0) if reflected else row
        offset = int(ring[0])
        assert torch.equal(ring, torch.arange(12.0).roll(-offset))
        kinds.add((reflected, offset))
    assert len(kinds) == 24
    straight = augment(window, torch.Generator().manual_seed(0), reflect=False).z
    assert (straight.sum((-2, -1)) > 0).all(), "an equation without the symmetry must not be reflected"


def test_a_store_of_another_encoder_is_refused(latents):
    latents.refuse_stale("encoder")
    with pytest.raises(InputError, match="must come from the present encoder other; run --pipeline=latents"):
        latents.refuse_stale("other")


def test_the_frame_undoes_a_drift_and_gives_back_the_field():
    x = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    t = torch.tensor([0.0, 0.1, 0.7], dtype=torch.float64)
    speed = torch.tensor([0.3, -1.2], dtype=torch.float64)
    u = speed[:, None, None] + torch.sin(2 * torch.pi * (x - speed[:, None, None] * t[:, None]))
    v = enter_frame(u, speed, t)
    torch.testing.assert_close(v, torch.sin(2 * torch.pi * x).expand_as(v))
    torch.testing.assert_close(leave_frame(v, speed, speed, t), u)
