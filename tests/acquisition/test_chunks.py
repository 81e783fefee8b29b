"""A layout of chunks that makes reading take hours is told before that, with its remedy."""

import h5py
import pytest

from universal_simulator.acquisition import axes
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.pdebench import read_layout


@pytest.mark.parametrize(
    ("shape", "stored", "slow"),
    [
        ((10_000, 201, 1024), None, False),
        ((10_000, 201, 1024), (1, 201, 1024), False),
        ((10_000, 201, 1024), (1, 1, 1024), False),
        ((10_000, 201, 1024), (10_000, 1, 64), True),
        ((10_000, 201, 1024), (157, 4, 32), True),
        ((2000, 201, 64), (2000, 201, 1), True),
        ((20, 201, 64), (20, 201, 64), False),
    ],
)
def test_a_chunk_layout_that_costs_hours_is_told_with_its_remedy(tmp_path, shape, stored, slow):
    """Only what a snapshot's neighbours in its chunks cost counts, not how much there is."""
    with h5py.File(tmp_path / "own.hdf5", "w") as file:
        said = axes.slowness(file.create_dataset("tensor", shape, "f4", chunks=stored))
    assert (said is not None) == slow
    assert not slow or "h5repack -f tensor:NONE -l tensor:CONTI OLD NEW" in said


def test_the_check_says_before_it_reads_that_it_will_take_long(changed, monkeypatch, caplog):
    monkeypatch.setattr(axes, "SPEED", 10.0)
    check(read_layout(changed(chunks=(8, 5, 4)), "Nu"))
    assert "chunks = (8, 5, 4) of (8, 5, 32) unpack" in caplog.text


def test_chunks_are_counted_whole(tmp_path):
    """One number of (2, 3, 4) chunks of 4 bytes costs 96; a snapshot of 8 points two of them, a trajectory four."""
    seconds, waste = axes.cost((10, 6, 8), (2, 3, 4), 4)
    assert seconds == pytest.approx(axes.DRAWN * 2 * 96 / axes.SPEED)
    assert waste == 6
