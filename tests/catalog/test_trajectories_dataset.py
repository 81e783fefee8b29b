"""A split is stored as rows of files, and refused when the files change under it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from raw_files import rows_of, write_burgers
from universal_simulator.acquisition.store import Selection
from universal_simulator.catalog.trajectories import RawStoreDataset, TrajectoriesDataset

TIMES = np.arange(5) * 0.01


def stored(folder: Path, seed: int = 0) -> Path:
    """Write a small raw file."""
    values = np.random.default_rng(seed).normal(size=(6, 5, 16)).astype(np.float32)
    path = folder / "01_raw" / "1D_Burgers_Sols_Nu0.01.hdf5"
    write_burgers(path, values, TIMES)
    return path


def split_of(path: Path) -> Selection:
    """Select rows 4 and 1."""
    return rows_of(path, 16, (4, 1))


def test_what_was_selected_is_loaded(tmp_path: Path) -> None:
    """Rows in the order selected, with their viscosity; the JSON names no absolute path, so a project can move."""
    path = stored(tmp_path / "here")
    dataset = TrajectoriesDataset(str(tmp_path / "here" / "05_model_input" / "train.json"))
    dataset.save(split_of(path))
    values = np.random.default_rng(0).normal(size=(6, 5, 16)).astype(np.float32)
    assert (dataset.load().read([0, 1])[:, :, 0].numpy() == values[[4, 1]]).all()
    assert dataset.load().parameters.tolist() == [[0.01], [0.01]]
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = TrajectoriesDataset(str(tmp_path / "there" / "05_model_input" / "train.json"))
    assert (moved.load().read([0])[:, :, 0].numpy() == values[[4]]).all()
    assert str(tmp_path) not in (tmp_path / "there" / "05_model_input" / "train.json").read_text()


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    """Other data under the same name must not pass for the split's."""
    dataset = TrajectoriesDataset(str(tmp_path / "train.json"))
    dataset.save(split_of(stored(tmp_path)))
    stored(tmp_path, seed=1)
    with pytest.raises(DatasetError, match="run the data_engineering pipeline again"):
        dataset.load()


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    path = stored(tmp_path)
    dataset = TrajectoriesDataset(str(tmp_path / "train.json"))
    dataset.save(split_of(path))
    path.unlink()
    with pytest.raises(DatasetError, match=r"Nu0.01.hdf5 is not there"):
        dataset.load()
    assert json.loads((tmp_path / "train.json").read_text())["fingerprint"]


@pytest.mark.usefixtures("unchecked")
def test_the_raw_folder_need_not_exist(tmp_path: Path) -> None:
    """Loading only gives a handle; nothing can be saved to it."""
    dataset = RawStoreDataset(str(tmp_path / "nowhere"), "burgers")
    assert dataset.load().folder == tmp_path / "nowhere"
    with pytest.raises(DatasetError, match="acquired"):
        dataset.save(0)
