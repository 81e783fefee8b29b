"""A store of latents is whole or not there, and a damaged one is noticed."""

import numpy as np
import pytest
from kedro.io import DatasetError

from universal_simulator.catalog.trajectories import LatentsDataset
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.latents import Latents, LatentsChunk

VALUES = np.random.default_rng(0).normal(size=(5, 3, 2, 4, 6)).astype(np.float32)
MEAN, PARAMETERS = np.arange(10, dtype=np.float32).reshape(5, 2), np.arange(5.0)[:, None]
FACTS = Facts(name="mine", channels=(Channel(name="u"), Channel(name="v")), parameters=(Parameter(name="k"),))
GRID = Grid(axes=(Axis(name="y", points=4, sides=("wall", "wall")), Axis(points=6)))


def chunk(first, last, fingerprint="data-encoder"):
    rows = slice(first, last)
    arrays = (VALUES[rows], MEAN[rows], PARAMETERS[rows], np.arange(3) * 0.1)
    return LatentsChunk(first, 5, Latents(*arrays, FACTS, GRID, fingerprint))


@pytest.fixture
def folder(tmp_path):
    store = LatentsDataset(str(tmp_path / "train_latents"))
    for first, last in ((0, 2), (2, 4), (4, 5)):
        store.save(chunk(first, last))
    return tmp_path / "train_latents"


def test_chunks_come_back_as_one_array(folder):
    loaded = LatentsDataset(str(folder)).load()
    np.testing.assert_array_equal(loaded.values, VALUES)
    np.testing.assert_array_equal(loaded.mean, MEAN)
    np.testing.assert_array_equal(loaded.parameters, PARAMETERS)
    np.testing.assert_array_equal(loaded.times, np.arange(3) * 0.1)
    assert (loaded.facts, loaded.grid) == (FACTS, GRID)
    assert loaded.fingerprint == "data-encoder"
    assert isinstance(loaded.values, np.memmap)


def test_an_interrupted_store_leaves_the_old_one_readable(folder):
    LatentsDataset(str(folder)).save(chunk(0, 2, "new-encoder"))
    assert LatentsDataset(str(folder)).load().fingerprint == "data-encoder"
    assert LatentsDataset(str(folder)).load().fingerprint == "data-encoder"


def test_who_reads_a_store_keeps_it_while_it_is_replaced(folder):
    reading = LatentsDataset(str(folder)).load()
    again = LatentsDataset(str(folder))
    for first, last in ((0, 3), (3, 5)):
        again.save(chunk(first, last, "new-encoder"))
    np.testing.assert_array_equal(reading.values, VALUES)
    assert LatentsDataset(str(folder)).load().fingerprint == "new-encoder"
    assert [path.name for path in folder.parent.iterdir()] == ["train_latents"]


@pytest.mark.parametrize("name", ["values.npy", "frame.npz", "store.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_store_is_named(folder, name, damage):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    match damage:
        case "flip":
            (folder / name).write_bytes(content)
        case "cut":
            (folder / name).write_bytes(content[:-20])
        case "remove":
            (folder / name).unlink()
    with pytest.raises(DatasetError, match=str(folder)):
        LatentsDataset(str(folder)).load()
