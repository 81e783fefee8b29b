"""A training is as long as it is told in seconds."""

import signal
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from universal_simulator.configuration import Training
from universal_simulator.support.errors import InputError
from universal_simulator.training.budget import LEAST, PROBE, fitted_to, steps_per_second
from universal_simulator.training.loop import Stage, train

SETTINGS = Training(epochs=4, windows_per_epoch=2, batch_size=2, learning_rate=1e-3, validation_windows=6)
STEP_S = 0.01


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that only moves when it is told to."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def stage(clock: list[float]) -> Stage:
    """A stage whose step takes 10 ms, and whose validation takes a third of that."""

    def objective(network, batch, progress, generator):
        clock[0] += STEP_S if torch.is_grad_enabled() else STEP_S / 3
        return network(batch).square().mean()

    network, average = nn.Linear(2, 1), nn.Linear(2, 1)
    return Stage(network, average, objective, lambda _generator: torch.ones(2, 2), lambda: iter([torch.ones(2, 2)] * 3))


def test_a_training_takes_the_time_it_was_given(clock):
    rate = steps_per_second(stage(clock), SETTINGS, 0.5)
    assert rate == pytest.approx(1 / STEP_S)
    settings, begun = fitted_to(SETTINGS, rate, 2.0, "seconds"), clock[0]
    assert len(list(train(stage(clock), settings, torch.Generator()))) == SETTINGS.epochs
    assert clock[0] - begun == pytest.approx(2.0, abs=1.5 * SETTINGS.epochs * STEP_S)  # whole steps


def test_a_signal_in_the_last_look_at_the_clock_is_obeyed(clock):
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    last = (LEAST + 1) * PROBE + 5.0

    def draw(_generator):
        clock[0] += 1.0
        if clock[0] == last:
            signal.raise_signal(signal.SIGTERM)
        return torch.ones(2, 2)

    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            steps_per_second(replace(stage([0.0]), draw=draw), SETTINGS, last - 1.0)
    finally:
        signal.signal(signal.SIGTERM, earlier)


def test_epochs_and_validation_share_the_time():
    """8 s at 100 steps/s are 800 steps: 200 in each of 4 epochs, of which validating 3 batches takes one."""
    settings = fitted_to(SETTINGS, 100.0, 8.0, "seconds")
    assert settings.windows_per_epoch == 199 * SETTINGS.batch_size
    assert settings.model_copy(update={"windows_per_epoch": 2}) == SETTINGS


def test_a_time_too_short_for_one_step_is_refused():
    with pytest.raises(InputError, match=r"baselines\.seconds = 0\.05: must leave each of 4 epochs a step"):
        fitted_to(SETTINGS, 100.0, 0.05, "baselines.seconds")
