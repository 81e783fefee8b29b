"""Two processes that train together reach what one reaches alone, up to rounding; three divide uneven work."""

import numpy as np
import pytest
import torch

from together import KINDS, agreed, diverged, in_processes, mapped, refused, solved, tensor, trained
from universal_simulator.compute.device import Share


@pytest.mark.parametrize("kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:])])
def test_two_processes_have_the_losses_gradients_and_weights_of_one(kind, tmp_path):
    alone, both = trained(kind), in_processes(2, trained, tmp_path, kind)
    assert alone["curve"].shape == (2, 3)
    for name, value in alone.items():
        assert torch.equal(both[0][name], both[1][name]), name
        torch.testing.assert_close(
            both[0][name], value, rtol=1e-7, atol=1e-9
        )  # rounding differs from machine to machine


def test_work_is_divided_item_by_item_and_comes_back_in_order(tmp_path):
    everything = [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1)]
    assert in_processes(3, mapped, tmp_path, 5) == [everything] * 3


def test_one_of_kedro_s_machine_keeps_the_results_and_all_go_on_from_one_state(tmp_path):
    (tmp_path / "job.json").touch()
    assert in_processes(2, agreed, tmp_path, str(tmp_path)) == [{"keeper": 1, "folder": str(tmp_path), "first": 0}] * 2


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("another code", "code or torch = another on another machine: must be the same; bring all to one commit"),
        (
            "another disk",
            "/proc/self/cwd = not seen by all machines: they must share the data's folder, at the same path",
        ),
        ("no run", "UNIVERSAL_SIMULATOR_JOBS = unset: no process knows the jobs; start `kedro run` with compute.nodes"),
    ],
)
def test_processes_that_may_not_work_together_say_why(why, told, tmp_path):
    (tmp_path / "job.json").touch()
    assert all(message.startswith(told) for message in in_processes(2, refused, tmp_path, why, str(tmp_path)))
    if why == "another disk":  # which Kedro's process, on the other side, is told
        assert (tmp_path / "failed").read_text().startswith(told)


def test_two_processes_solve_the_very_trajectories_of_one(tmp_path):
    alone, both = tmp_path / "alone.hdf5", tmp_path / "both.hdf5"
    expected = solved(str(alone))
    assert in_processes(2, solved, tmp_path, str(both)) == [expected] * 2
    assert expected["solved"] == 50
    assert np.array_equal(tensor(both), tensor(alone))


def test_processes_that_look_at_different_moments_go_back_after_the_same_step(tmp_path):
    one, other = in_processes(2, diverged, tmp_path)
    assert one["epochs"] == other["epochs"] == [1, 2]
    assert torch.equal(one["weight"], other["weight"])


def test_alone_a_process_has_everything():
    batch, loss = torch.arange(6), torch.tensor(2.0)
    share = Share.here()
    assert share == Share(0, 1)
    assert torch.equal(share.part(batch), batch)
    assert share.average(loss, []) is loss
    assert share.first(batch) is batch
    assert list(share.map(lambda item: item * item, range(4))) == [0, 1, 4, 9]


def test_parts_of_a_batch_are_all_of_it_once():
    batch = torch.arange(12).reshape(2, 6)
    parts = [Share(rank, 3).part(batch, 1) for rank in range(3)]
    assert torch.equal(torch.cat(parts, 1), batch)
