"""A thread of its own: with its own number of cores, and no mode of the caller's."""

import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from universal_simulator.compute.apart import apart


def in_a_new_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_one_core_is_this_work_s_alone(two_threads):
    assert apart(torch.get_num_threads, threads=1) == 1
    assert apart(lambda: in_a_new_thread(torch.get_num_threads), threads=1) == 2
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 2


def test_work_that_names_no_cores_has_the_caller_s(two_threads):
    assert apart(torch.get_num_threads) == 2


def test_what_it_raises_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        apart(lambda: 1 / 0)


def test_numbers_of_the_default_type_are_float32_and_those_of_double_precision_stay():
    def made():
        whole, double = torch.arange(3), torch.arange(3, dtype=torch.float64)
        single = (
            torch.ones(2),
            torch.tensor(0.1),
            whole / 3,
            whole + 0.5,
            torch.full((2,), 0.5),
            torch.linspace(0, 1, 3),
        )
        kept = (
            double / 3,
            whole.double(),
            whole.to(torch.float64),
            torch.ones(2).double() * 2,
            torch.tensor(double.numpy()),
        )
        drawn = torch.randn(4, generator=torch.Generator().manual_seed(1))
        return {one.dtype for one in single}, {one.dtype for one in kept}, drawn, 1j * whole

    *usual, drawn, imaginary = apart(made)
    torch.set_default_dtype(torch.float64)
    try:
        *found, again, imagined = apart(made)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == usual == [{torch.float32}, {torch.float64}]
    assert torch.equal(again, drawn)
    assert imagined.dtype == imaginary.dtype == torch.complex64


def test_networks_can_be_built_without_drawing_weights():
    before = torch.get_rng_state()
    network = apart(lambda: torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Conv1d(1, 2, 3)), drawing=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_an_interruption_ends_the_work_too():
    program = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # some shells switch it off
        "from universal_simulator.compute.apart import apart\n"
        "def work():\n print('begun', flush=True)\n while True: time.sleep(0.05)\n"
        "apart(work)"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=50)
        finally:
            process.kill()
    assert said.strip().endswith("KeyboardInterrupt")
