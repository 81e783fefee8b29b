"""Trajectories of our own: the same however they are cut, and never begun anew."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from universal_simulator.acquisition import solve
from universal_simulator.acquisition.checks import check
from universal_simulator.acquisition.pdebench import read_layout
from universal_simulator.acquisition.writing import part
from universal_simulator.configuration import SolveSource
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError

TIMES = np.arange(6) * 0.01
POINTS = 64


def order(nu: float = 0.1, points: int = POINTS, **source: object) -> solve.Order:
    return solve.Order(find("burgers"), (nu,), SolveSource(**source), Grid.interval(points), TIMES)


def provide(path: Path, samples: int, **source: object) -> dict[str, object]:
    return solve.provide(path, order(**source), samples)


def values(path: Path) -> np.ndarray:
    with h5py.File(path, "r") as file:
        return file["tensor"][()]


def test_what_is_written_is_a_file_as_published(tmp_path):
    path = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    assert provide(path, 20)["solved"] == 20
    layout = read_layout(path, "Nu", 0.1)
    assert layout.shape == (20, 6, 1, 64)
    with h5py.File(path, "r") as file:
        assert len(file["t-coordinate"]) == 7
        assert file["tensor"].dtype == np.float32
    assert check(layout).checksums == "20 of 20"
    x = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    assert np.abs(values(path)[7, 0] - initial_condition(x, 0, 7).numpy()).max() < 1e-6
    assert not part(path).exists()


def test_every_sample_is_the_same_to_the_bit_for_any_chunk_length_and_thread_count(tmp_path):
    reference = tmp_path / "reference.hdf5"
    provide(reference, 50)
    threads = torch.get_num_threads()
    for chunk, samples, workers in [(1, 50, 1), (16, 50, 3), (33, 50, 2), (1000, 41, 2), (100, 3, 1)]:
        path = tmp_path / f"{chunk}.hdf5"
        torch.set_num_threads(workers)
        provide(path, samples, chunk=chunk)
        torch.set_num_threads(threads)
        assert (values(path) == values(reference)[:samples]).all(), (
            f"chunk {chunk}, {samples} samples, {workers} workers"
        )


def test_a_longer_file_keeps_what_there_is(tmp_path):
    path, whole = tmp_path / "grown.hdf5", tmp_path / "whole.hdf5"
    provide(path, 20)
    assert provide(path, 12)["solved"] == 0, "a longer file serves"
    assert provide(path, 40)["solved"] == 20
    provide(whole, 40)
    assert (values(path) == values(whole)).all()


EARLIER = (
    '{"equation": "u_t + (u²/2)_x = (0.1/π) u_xx", "initial conditions": 1, "made by": "universal_simulator", '
    '"precision": "float32", "seed": 0, "solver rule": {"block": 16, "step": 1.0, "tail": 9.0, "transient": 16}, '
    '"solver version": 1}'
)
"""What a file of the versions that knew one scalar only says of itself."""


def test_a_file_of_an_earlier_version_is_read_and_continued(tmp_path):
    path, whole = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5", tmp_path / "whole.hdf5"
    provide(whole, 20)
    u = values(whole)
    with h5py.File(path, "w") as file:
        file.attrs.update({"Nu": 0.1, "settings": np.bytes_(EARLIER.encode())})
        file["x-coordinate"] = ((np.arange(POINTS) + 0.5) / POINTS).astype(np.float32)
        file["t-coordinate"] = (np.arange(7) * 0.01).astype(np.float32)
        file["crc32"] = np.array([zlib.crc32(one.tobytes()) for one in u[:16]], np.uint32)
        file["tensor"] = u[:16]
    assert json.dumps(order().settings(), sort_keys=True, ensure_ascii=False) == EARLIER
    assert check(read_layout(path, "Nu", 0.1)).checksums == "16 of 16"
    assert provide(path, 16)["solved"] == 0
    assert provide(path, 20)["solved"] == 4
    with h5py.File(path) as one, h5py.File(whole) as other:
        assert sorted(one) == sorted(other) == ["crc32", "t-coordinate", "tensor", "x-coordinate"]
        assert (one["crc32"][()] == other["crc32"][()]).all()
    assert (values(path) == u).all()


def test_another_seed_gives_other_trajectories(tmp_path):
    provide(tmp_path / "a.hdf5", 16)
    provide(tmp_path / "b.hdf5", 16, seed=1)
    assert not np.allclose(values(tmp_path / "a.hdf5"), values(tmp_path / "b.hdf5"))


def test_a_file_made_in_another_way_is_refused_and_kept(tmp_path, raw_file):
    path = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    provide(path, 16)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"made with seed 0, must be made with seed 1; .*data.folder=<name>"):
        provide(path, 16, seed=1)
    with pytest.raises(InputError, match="precision float32, must be made with precision float64"):
        provide(path, 16, precision="float64")
    with pytest.raises(InputError, match=r"\(time, space\), must be"):
        solve.provide(path, order(points=128), 16)
    assert path.read_bytes() == before
    published = raw_file("1D_Burgers_Sols_Nu0.2.hdf5", Nu=0.2)
    with pytest.raises(InputError, match=r"made by another source, must be ours.*data.folder=<name>"):
        solve.provide(published, order(0.2, 32), 4)


def test_remains_of_another_kind_are_not_continued(tmp_path):
    path = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    provide(tmp_path / "other.hdf5", 16, seed=1)
    os.replace(tmp_path / "other.hdf5", part(path))
    assert provide(path, 16)["solved"] == 16
    part(path).write_bytes(b"rubbish")
    assert provide(path, 32)["solved"] == 16


def test_a_file_that_lacks_nothing_but_its_name_is_given_it(tmp_path):
    path = tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    provide(path, 16)
    os.replace(path, part(path))
    assert provide(path, 16)["solved"] == 0
    assert len(values(path)) == 16


def test_without_room_on_the_disk_nothing_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(InputError, match=r"free space = 0.00 GB .* must be at least"):
        provide(tmp_path / "x.hdf5", 16)


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
import test_solve
test_solve.provide(Path({path!r}), {samples}, chunk=16)
"""


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_after_kill_9_at_any_moment_the_rest_is_solved_and_nothing_twice(tmp_path, kills):
    """The result is that of an undisturbed run, bit by bit, and finished chunks are kept."""
    samples = 1024
    whole, path = tmp_path / "whole.hdf5", tmp_path / "1D_Burgers_Sols_Nu0.1.hdf5"
    provide(whole, samples)
    script = SCRIPT.format(tests=str(Path(__file__).parent), path=str(path), samples=samples)
    random, kept = np.random.default_rng(0), [0]

    def written() -> int:
        return part(path).stat().st_mtime_ns if part(path).exists() else 0

    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", script])
        begun = written()
        while written() == begun and process.poll() is None:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.6 / kills))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if part(path).exists():
            kept.append(int(solve._complete(part(path), order()).sum()))
    assert kept == sorted(kept), "no chunk that was finished is lost"
    if not path.exists():
        assert provide(path, samples)["solved"] == samples - kept[-1]
    assert (values(path) == values(whole)).all()
