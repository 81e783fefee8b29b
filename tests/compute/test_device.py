"""Where it runs and with which numbers: what may change what, and what is said when a GPU is too small."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from together import KINDS, trained
from universal_simulator.compute.device import choose, numbers, use_threads
from universal_simulator.configuration import Compute
from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import Stage, with_precision, within_memory


def _stage() -> Stage:
    torch.manual_seed(0)
    network = nn.Linear(64, 1)

    def objective(network, batch, progress, generator):
        return network(batch).square().mean()

    return Stage(network, deepcopy(network), objective, lambda generator: None, lambda: iter(()))


def test_bfloat16_rounds_products_of_training_steps_but_not_of_validation():
    stage, batch = _stage(), torch.randn(16, 64)
    low = with_precision(stage, "bfloat16", torch.device("cpu"))
    exact = stage.objective(stage.network, batch, 0.0, torch.Generator())
    rounded = low.objective(stage.network, batch, 0.0, torch.Generator())
    assert 1e-5 < abs(rounded / exact - 1) < 0.02
    with torch.no_grad():
        assert torch.equal(low.objective(stage.network, batch, 0.0, torch.Generator()), exact)
    rounded.backward()
    assert stage.network.weight.grad.dtype == torch.float32


def test_float32_leaves_a_stage_as_it_is():
    stage = _stage()
    assert with_precision(stage, "float32", torch.device("cpu")) is stage


def test_a_training_of_another_precision_counts_as_another():
    assert numbers(Compute(precision="float32")) == {}
    assert numbers(Compute(precision="bfloat16")) == {"compute.precision": "bfloat16"}


def test_a_gpu_that_is_too_small_is_told_which_setting_to_lower():
    def steps():
        yield 1
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    rows = within_memory(steps(), "operator.training.batch_size = 4096")
    assert next(rows) == 1
    with pytest.raises(InputError, match=r"^operator.training.batch_size = 4096: .* lower it"):
        next(rows)


on_a_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=on_a_gpu) for kind in KINDS])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_gpu_learns_what_a_cpu_learns(kind, recorded, caplog):
    there, here = trained(kind, "cuda", recorded), trained(kind)
    for name, value in here.items():  # the rates of recorded steps are of single precision
        rtol, atol = (1e-6, 1e-8) if recorded else (1e-7, 1e-9)
        torch.testing.assert_close(there[name].cpu(), value, rtol=rtol, atol=atol)
    assert caplog.messages == []  # such as that a step could not be recorded


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_a_gpu)])
def test_the_device_is_the_one_asked_for_and_by_default_the_gpu(device):
    assert choose(device).type == device
    assert choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_numbers_next_to_nothing_become_zero():
    earlier = torch.get_num_threads()
    try:
        use_threads(earlier)
        assert float(torch.tensor([1e-20]) * torch.tensor([1e-20])) == 0.0
        assert torch.get_num_threads() == earlier
    finally:
        torch.set_flush_denormal(False)
