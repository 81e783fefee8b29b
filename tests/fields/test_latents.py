import numpy as np
import pytest
import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.fields.latents import Latents, Window, augment, draw_windows, windows_at
from universal_simulator.fields.symmetries import Motion, group
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from universal_simulator.training.windows import on_gpu

POINTS, TIMES = 12, 21
BURGERS, LINE, REACTION = find("burgers").facts, Grid.interval(POINTS), find("diffusion_reaction")
BOTH = group(BURGERS.symmetries, LINE)


@pytest.fixture
def latents() -> Latents:
    """Every number says where it is from: sample + time/100."""
    values = np.zeros((5, TIMES, 1, POINTS), np.float32)
    values += np.arange(5, dtype=np.float32)[:, None, None, None]
    values += np.arange(TIMES, dtype=np.float32)[None, :, None, None] / 100
    mean, times = np.arange(5.0)[:, None], np.arange(TIMES) * 0.01
    return Latents(values, mean, np.full((5, 1), 0.01), times, BURGERS, LINE, "data-encoder")


def test_windows_hold_the_states_asked_for(latents):
    window = windows_at(latents, np.array([2, 4]), np.array([3, 0]), np.array([2, 5]), 3)
    torch.testing.assert_close(window.z[:, :, 0, 0], torch.tensor([[2.03, 2.05, 2.07], [4.0, 4.05, 4.1]]))
    torch.testing.assert_close(window.time_step, torch.tensor([0.02, 0.05]))
    torch.testing.assert_close(window.mean, torch.tensor([[2.0], [4.0]]))
    torch.testing.assert_close(window.parameters, torch.tensor([[0.01], [0.01]]))


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
        augment(draw_windows(one, 50, 3, (2, 5), generator, 2.0), BOTH, BURGERS, LINE, generator)
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


def still(z: torch.Tensor) -> Window:
    """Return windows of two equal states."""
    nothing = torch.zeros(z.shape[:2])
    return Window(z[:, None].repeat_interleave(2, 1), nothing, torch.zeros(len(z), 1), torch.zeros(len(z)))


def test_augmentation_rolls_all_times_alike_and_reflects_with_a_change_of_sign():
    window = still(torch.arange(1.0, POINTS + 1).view(1, 1, -1).repeat(400, 1, 1))
    z = augment(window, BOTH, BURGERS, LINE, torch.Generator().manual_seed(0)).z[:, :, 0]
    assert torch.equal(z[:, 0], z[:, 1])
    kinds = set()
    for row in z[:, 0]:
        reflected = bool(row.sum() < 0)
        ring = (-row).flip(0) if reflected else row
        offset = int(ring[0]) - 1
        assert torch.equal(ring, torch.arange(1.0, POINTS + 1).roll(-offset))
        kinds.add((reflected, offset))
    assert len(kinds) == 2 * POINTS
    straight = augment(window, BOTH[:1], BURGERS, LINE, torch.Generator().manual_seed(0)).z
    assert (straight.sum((-2, -1)) > 0).all(), "an equation without the symmetry must not be reflected"


def test_between_walls_nothing_is_rolled_and_all_eight_motions_are_as_likely():
    grid = REACTION.grid.resized((4, 4))
    facts, motions = REACTION.facts, group(REACTION.facts.symmetries, grid)
    field = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(1))
    window = still(field.expand(1600, -1, -1, -1))
    z = augment(window, motions, facts, grid, torch.Generator().manual_seed(0)).z
    assert torch.equal(z[:, 0], z[:, 1])
    moved = [motion.apply(field, grid, facts.channels) for motion in motions]
    counts = [int((z[:, 0] == one).flatten(1).all(1).sum()) for one in moved]
    assert sum(counts) == 1600, "every one is a motion of the field, both channels alike"
    assert min(counts) > 150
    assert torch.equal(window.z[:, 0], field.expand(1600, -1, -1, -1)), "what is augmented is a copy"


def test_an_axis_without_translation_is_not_rolled():
    facts = BURGERS.model_copy(update={"symmetries": ()})
    window = still(torch.arange(12.0).view(1, 1, -1))
    assert torch.equal(augment(window, [Motion.identity(1)], facts, LINE, torch.Generator()).z, window.z)


def test_a_store_of_another_encoder_is_refused(latents):
    latents.refuse_stale("encoder")
    with pytest.raises(InputError, match="must come from the present encoder other; run --pipeline=latents"):
        latents.refuse_stale("other")
