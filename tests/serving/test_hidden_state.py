"""Nothing that the process has set changes a forecast, and a forecast changes nothing that the process has set."""

import random
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch

from universal_simulator.serving import Emulator
from universal_simulator.serving import emulator as module
from universal_simulator.support.errors import InputError


@contextmanager
def default_type(kind):
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(name):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def denormals(flushed):
    torch.set_flush_denormal(flushed)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def seeded():
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    yield


@contextmanager
def every_warning_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


STATES = {
    "float64 by default": lambda: default_type(torch.float64),
    "meta by default": lambda: default_device("meta"),
    "a device's block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "deterministic": deterministic,
    "denormals flushed": lambda: denormals(True),
    "numpy raises": lambda: np.errstate(all="raise"),
    "saved tensors": lambda: torch.autograd.graph.save_on_cpu(),
    "warnings are errors": every_warning_an_error,
    "seeded": seeded,
}


@pytest.fixture(scope="module")
def folder(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hidden")
    bundle.write(folder)
    return folder


def forecasts(emulator, u0):
    return [emulator.rollout(u0, 0.05, [0.02, 0.06]), emulator.rollout(u0, 0.05, [0.04], members=3, seed=1)]


@pytest.fixture(scope="module")
def expected(emulator):
    x = (np.arange(96) + 0.5) / 96
    u0 = np.stack([np.sin(2 * np.pi * x), 0.3 + np.cos(4 * np.pi * x)])
    return u0, forecasts(emulator, u0)


def known():
    """Return what a process has set, as far as it can be asked for."""
    return (
        torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"), torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(),
        torch.get_rng_state().tolist(), warnings.filters[:], np.geterr(),
    )  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_loading_and_forecasting_give_the_same_bits(folder, expected, state):
    u0, right = expected
    with STATES[state]():
        before = known()
        found = forecasts(Emulator.load(folder, "cpu"), u0)
        after = known()
    assert all(np.array_equal(one, other) for one, other in zip(found, right, strict=True))
    assert before == after


def test_a_default_type_that_holds_less_is_refused(folder, emulator, u0):
    for work in (lambda: Emulator.load(folder, "cpu"), lambda: emulator.rollout(u0, 0.05, [0.02])):
        with (
            default_type(torch.bfloat16),
            pytest.raises(InputError, match=r"torch's default type = torch.bfloat16: must be float32 or float64"),
        ):
            work()


def test_a_guided_forecast_is_the_same_too(emulator, expected):
    u0, _ = expected
    right = emulator.rollout(u0, 0.05, [0.04], guided=True)
    for state in ("float64 by default", "meta by default", "autocast", "inference"):
        with STATES[state]():
            found = emulator.rollout(u0, 0.05, [0.04], guided=True)
        assert np.array_equal(found, right), state


def test_all_of_it_at_once_changes_nothing(folder, expected):
    u0, right = expected
    with ExitStack() as all_of_it:
        for name, state in STATES.items():
            if name not in ("a device's block", "gradients"):
                all_of_it.enter_context(state())
        found = forecasts(Emulator.load(folder, "cpu"), u0)
    assert all(np.array_equal(one, other) for one, other in zip(found, right, strict=True))


def test_loading_draws_none_of_the_process_own_random_numbers(folder):
    torch.manual_seed(3)
    first = torch.rand(4)
    torch.manual_seed(3)
    Emulator.load(folder, "cpu")
    assert torch.equal(torch.rand(4), first)


def test_variables_of_other_tools_change_nothing(folder, expected, monkeypatch):
    u0, right = expected
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI", "KEDRO_ENV", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "left-over")
    assert all(map(np.array_equal, forecasts(Emulator.load(folder, "cpu"), u0), right))


def test_an_answer_can_be_learned_from(emulator, u0):
    weight = torch.ones(128, requires_grad=True)
    (emulator.rollout(u0, 0.05, [0.02]) * weight).sum().backward()
    assert weight.grad is not None


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_the_number_of_threads_changes_nothing_and_is_left_alone(emulator, expected):
    u0, right = expected
    many = np.tile(u0, (60, 1))
    alone = emulator.rollout(many, 0.05, [0.02])
    with threads(2):
        found = forecasts(emulator, u0)
        together = emulator.rollout(many, 0.05, [0.02])
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
    assert all(map(np.array_equal, found, right))
    assert np.array_equal(together, alone)


def test_few_states_are_computed_on_one_core_whatever_the_default(emulator, expected, monkeypatch):
    counts, forecast = [], Emulator._forecast
    monkeypatch.setattr(module, "SMALL", 10 * emulator.parts.codec.grid.size)
    monkeypatch.setattr(Emulator, "_forecast", lambda *told: counts.append(torch.get_num_threads()) or forecast(*told))
    with threads(2):
        forecasts(emulator, expected[0])
        emulator.rollout(np.tile(expected[0], (20, 1)), 0.05, [0.02], members=2)
    assert counts == [1, 1, 2]


def test_forecasts_from_several_threads_are_those_of_one(emulator, expected):
    u0, _ = expected
    right = [emulator.rollout(factor * u0, 0.05, [0.06], members=2) for factor in (0.5, 1.0)]
    usual = torch.get_num_threads()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: emulator.rollout((0.5, 1.0)[i % 2] * u0, 0.05, [0.06], members=2), range(12)))
        counts = set(pool.map(lambda _: torch.get_num_threads(), range(8)))
    assert all(np.array_equal(one, right[i % 2]) for i, one in enumerate(found))
    assert counts == {usual}
    assert not [thread for thread in threading.enumerate() if thread.name == "apart"]
