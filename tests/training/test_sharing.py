"""Two processes that train together reach what one reaches alone, up to rounding; three divide uneven work."""

import pytest
import torch

from together import KINDS, in_processes, mapped, trained
from universal_simulator.training.sharing import Share


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_losses_gradients_and_weights_of_one(kind, tmp_path):
    alone, both = trained(kind), in_processes(2, trained, tmp_path, kind)
    assert alone["curve"].shape == (2, 3)
    for name, value in alone.items():
        assert torch.equal(both[0][name], both[1][name]), name
        torch.testing.assert_close(both[0][name], value, rtol=1e-9, atol=1e-11)


def test_work_is_divided_item_by_item_and_comes_back_in_order(tmp_path):
    everything = [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1)]
    assert in_processes(3, mapped, tmp_path, 5) == [everything] * 3


def test_alone_a_process_has_everything():
    batch, loss = torch.arange(6), torch.tensor(2.0)
    share = Share.here()
    assert share == Share(0, 1)
    assert torch.equal(share.part(batch), batch)
    assert share.average(loss, []) is loss
    assert list(share.map(lambda item: item * item, range(4))) == [0, 1, 4, 9]


def test_parts_of_a_batch_are_all_of_it_once():
    batch = torch.arange(12).reshape(2, 6)
    parts = [Share(rank, 3).part(batch, 1) for rank in range(3)]
    assert torch.equal(torch.cat(parts, 1), batch)
