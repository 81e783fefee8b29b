"""The loop is tested on a problem whose answer is known: least squares."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from universal_simulator.configuration import Training
from universal_simulator.training.loop import DivergenceError, Stage, train
from universal_simulator.training.schedule import follow, learning_rate
from universal_simulator.training.seeding import derive, fresh_weights, stream

SETTINGS = Training(
    epochs=6,
    windows_per_epoch=320,
    batch_size=8,
    learning_rate=0.05,
    ema_decay=0.9,
    weight_decay=0.0,
    gradient_clip=10.0,
)
TRUE = torch.tensor([[1.0, -2.0, 0.5]])


def _stage() -> Stage:
    with fresh_weights(0, "line"):
        network = nn.Linear(3, 1, bias=False)

    def draw(generator):
        x = torch.randn(8, 3, generator=generator)
        return x, x @ TRUE.T

    def objective(network, batch, progress, generator):
        x, y = batch
        return (network(x) - y).square().mean()

    return Stage(network, deepcopy(network), objective, draw, lambda: iter([draw(torch.Generator().manual_seed(5))]))


def _weights(state):
    return state["best"]["weight"]


def test_training_finds_the_known_answer():
    last = list(train(_stage(), SETTINGS, stream(1)))[-1]
    torch.testing.assert_close(_weights(last.state), TRUE, atol=0.03, rtol=0)
    assert last.row["epoch"] == 6
    assert last.row["step"] == 6 * 40


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_resumed_training_ends_bit_identical_to_an_uninterrupted_one(after):
    whole = list(train(_stage(), SETTINGS, stream(1)))
    begun = train(_stage(), SETTINGS, stream(1))
    for _ in range(after):
        state = next(begun).state
    resumed = list(train(_stage(), SETTINGS, stream(99), deepcopy(state)))
    assert len(resumed) == 6 - after
    for name in ("network", "average", "best"):
        assert torch.equal(resumed[-1].state[name]["weight"], whole[-1].state[name]["weight"])
    assert [epoch.row["train_loss"] for epoch in resumed] == [epoch.row["train_loss"] for epoch in whole[after:]]


def test_another_seed_gives_other_weights():
    one, two = (list(train(_stage(), SETTINGS, stream(seed)))[-1] for seed in (1, 2))
    assert not torch.equal(one.state["network"]["weight"], two.state["network"]["weight"])


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best():
    stage = _stage()
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])

    def objective(network, batch, progress, generator):
        x, y = batch
        if torch.is_grad_enabled():
            return (network(x) - y).square().mean()
        return torch.tensor(next(losses))

    epochs = list(train(replace(stage, objective=objective), SETTINGS.model_copy(update={"patience": 2}), stream(1)))
    assert [epoch.row["validation_loss"] for epoch in epochs] == [3.0, 1.0, 2.0, 2.0]
    assert torch.equal(_weights(epochs[-1].state), epochs[1].state["average"]["weight"])


def test_a_loss_that_is_not_finite_stops_with_what_to_lower():
    stage = replace(_stage(), objective=lambda network, batch, progress, generator: network.weight.sum() * torch.inf)
    with pytest.raises(DivergenceError, match=r"must be finite; lower learning_rate \(now 0.05\)"):
        next(train(stage, SETTINGS, stream(1)))


def test_the_rate_warms_up_peaks_and_ends_where_it_was_told():
    settings = SETTINGS.model_copy(update={"warmup_fraction": 0.1, "final_learning_rate": 0.001})
    assert learning_rate(settings, 0.0) == 0.0
    assert learning_rate(settings, 0.05) == pytest.approx(0.025)
    assert learning_rate(settings, 0.1) == pytest.approx(0.05)
    assert learning_rate(settings, 0.55) == pytest.approx((0.05 + 0.001) / 2)
    assert learning_rate(settings, 1.0) == pytest.approx(0.001)


def test_a_constant_rate_is_the_cosine_between_equal_ends():
    settings = SETTINGS.model_copy(update={"warmup_fraction": 0.0, "final_learning_rate": 0.05})
    assert {learning_rate(settings, p / 7) for p in range(8)} == {0.05}


def test_the_average_follows_with_its_decay():
    network, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(average.weight, 0.0)
    follow(average, network, 0.9, step=10_000)
    assert average.weight.item() == pytest.approx(0.1)
    follow(average, network, 0.9, step=0)
    assert average.weight.item() == pytest.approx(0.1 + 0.9 * 0.9), "the first steps must be forgotten fast"


def test_streams_of_one_seed_are_independent_and_repeatable():
    draws = [torch.rand(3, generator=stream(7, *name)) for name in (("a",), ("b",), ("a",), ("a", 1))]
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[3])
    assert derive(7, "a") != derive(8, "a")


def test_fresh_weights_leave_torch_s_own_randomness_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with fresh_weights(1, "x"):
        first = nn.Linear(2, 2).weight
    assert torch.equal(torch.rand(2), expected)
    with fresh_weights(1, "x"):
        assert torch.equal(nn.Linear(2, 2).weight, first)
