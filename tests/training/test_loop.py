"""The loop is tested on a problem whose answer is known: least squares."""

import signal
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from universal_simulator.compute.device import derive, fresh_weights, stream
from universal_simulator.configuration import Training
from universal_simulator.support.progress import deferred
from universal_simulator.training.loop import DivergenceError, Stage, learning_rate, train, update_ema

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


def test_a_training_killed_between_any_two_steps_ends_bit_identical_with_the_same_history():
    whole = list(train(_stage(), SETTINGS, stream(1)))
    often = SETTINGS.model_copy(update={"save_every_s": 1e-9})
    saved = [deepcopy(checkpoint.state) for checkpoint in train(_stage(), often, stream(1))]
    assert len(saved) == 6 * 41, "after every step, and after every epoch"
    for state in saved[::23]:
        resumed = list(train(_stage(), SETTINGS, stream(99), state))
        assert _equal(resumed[-1].state, whole[-1].state)
        rows = [{**end.row, "seconds": 0} for end in whole][-len(resumed) :]
        assert [{**end.row, "seconds": 0} for end in resumed] == rows


def _equal(one, two):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(_equal, one, two))
    return one == two


def _spoiled(*calls):
    """Return a stage whose loss is not finite at these calls of the objective, counted over all training."""
    stage, count = _stage(), iter(range(10**6))

    def objective(network, batch, progress, generator):
        loss = stage.objective(network, batch, progress, generator)
        return loss * torch.inf if torch.is_grad_enabled() and next(count) in calls else loss

    return replace(stage, objective=objective)


def test_an_epoch_with_a_loss_that_is_not_finite_is_begun_again_at_half_the_rate(caplog):
    first, back, *rest = train(_spoiled(53), SETTINGS, stream(1))
    assert back.row is None
    assert "step 54 of epoch 2: loss = inf" in back.state["retried"]
    assert "Going back to the beginning of epoch 2 at half the learning rate" in caplog.text
    assert torch.equal(back.state["network"]["weight"], first.state["network"]["weight"])
    assert [end.row["epoch"] for end in rest] == [2, 3, 4, 5, 6]
    assert rest[0].row["learning_rate"] == pytest.approx(0.5 * learning_rate(SETTINGS, 79 / 240))
    assert rest[-1].row["validation_loss"] < 0.1 * first.row["validation_loss"]


def test_a_retry_does_not_depend_on_when_states_were_saved():
    plain = list(train(_spoiled(53), SETTINGS, stream(1)))
    often = SETTINGS.model_copy(update={"save_every_s": 1e-9})
    middle = [at for at in train(_stage(), often, stream(1)) if len(at.state.get("partial", {}).get("losses", [])) == 8]
    resumed = list(train(_spoiled(5), SETTINGS, stream(3), deepcopy(middle[1].state)))
    assert _equal(resumed[-1].state["network"], plain[-1].state["network"])


@pytest.mark.parametrize("save_every_s", [1e-9, 1e9])
def test_a_loss_that_is_not_finite_is_told_after_the_same_step_whenever_states_are_saved(save_every_s):
    stage, draws = _spoiled(53), iter(range(10**6))

    def draw(generator):
        next(draws)
        return stage.draw(generator)

    settings = SETTINGS.model_copy(update={"save_every_s": save_every_s})
    kept = list(train(replace(stage, draw=draw), settings, stream(1)))
    assert next(draws) == 6 * 40 + 40
    assert all(
        torch.cat((at.state["partial"]["losses"], torch.zeros(1))).isfinite().all()
        for at in kept
        if "partial" in at.state
    )


def test_a_second_loss_that_is_not_finite_stops_with_step_rate_norms_and_what_to_lower():
    told = r"step 49 of epoch 2: loss = inf, gradient norm = (inf|nan) at learning rate 0.02\d* \(norms before: .*, .*, .*\), "
    told += (
        r"must be finite; lower learning_rate \(now 0.05\) or gradient_clip \(now 10.0\); half the rate has been tried"
    )
    with pytest.raises(DivergenceError, match=told):  # calls from the 81st on begin with step 41 again
        list(train(_spoiled(53, 88), SETTINGS, stream(1)))


def test_a_validation_loss_that_is_not_finite_counts_too():
    def objective(network, batch, progress, generator):
        return network.weight.square().sum() if torch.is_grad_enabled() else torch.tensor(torch.nan)

    with pytest.raises(DivergenceError, match="loss = nan"):
        list(train(replace(_stage(), objective=objective), SETTINGS, stream(1)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_waits_for_the_step_and_loses_nothing(number):
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    whole = list(train(_stage(), SETTINGS, stream(1)))
    stage, count = _stage(), iter(range(10**6))

    def draw(generator):
        if next(count) == 57:
            signal.raise_signal(number)
        return stage.draw(generator)

    kept, handlers = [], {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(Stopped):
            kept.extend(map(deepcopy, train(replace(stage, draw=draw), SETTINGS, stream(1))))
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
    assert len(kept[-1].state["partial"]["losses"]) == 18
    resumed = list(train(_stage(), SETTINGS, stream(99), kept[-1].state))
    assert _equal(resumed[-1].state, whole[-1].state)


def test_a_signal_that_is_ignored_does_not_end_a_training_early():
    whole = list(train(_stage(), SETTINGS, stream(1)))
    stage, count = _stage(), iter(range(10**6))

    def draw(generator):
        if next(count) == 57:
            signal.raise_signal(signal.SIGINT)
        return stage.draw(generator)

    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        kept = list(train(replace(stage, draw=draw), SETTINGS, stream(1)))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, earlier)
    assert _equal(kept[-1].state, whole[-1].state)


def test_a_second_signal_is_obeyed_at_once():
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    def twice():
        with deferred() as asked:
            signal.raise_signal(signal.SIGTERM)
            assert asked()
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("not reached")

    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            twice()
        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, earlier)


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
    update_ema(average, network, 0.9, step=10_000)
    assert average.weight.item() == pytest.approx(0.1)
    update_ema(average, network, 0.9, step=0)
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
