"""The data pipeline, node after node through a catalog, on every source that needs no network."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.text import TextDataset

from universal_simulator.acquisition import solve
from universal_simulator.catalog.trajectories import RawStoreDataset, TrajectoriesDataset
from universal_simulator.configuration import Data
from universal_simulator.pipelines.data_engineering import create_pipeline
from universal_simulator.support.errors import InputError

SPLITS = ("train", "validation", "test")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solve on 64 points and 6 snapshots."""
    monkeypatch.setattr(solve, "provide", partial(solve.provide, times=np.arange(6) * 0.01, points=64))


def run(folder: Path, **data: object) -> dict[str, object]:
    """Run the pipeline; return what it made."""
    given = {"viscosities": (0.1,), "train": 8, "validation": 4, "test": 4} | data
    datasets = {
        "raw_store": RawStoreDataset(str(folder / "01_raw")),
        "params:data": MemoryDataset(Data(**given)),
        **{name: JSONDataset(filepath=f"{folder}/{name}.json") for name in ("raw_manifest", "statistics")},
        "data_card": TextDataset(filepath=f"{folder}/card.md"),
        **{f"{name}_trajectories": TrajectoriesDataset(str(folder / f"{name}.json")) for name in SPLITS},
    }
    SequentialRunner().run(create_pipeline(), DataCatalog(dict(datasets)))
    return {name: dataset.load() for name, dataset in datasets.items() if name not in ("raw_store", "params:data")}


@pytest.mark.parametrize("equation", ["burgers", "advection", "heat"])
def test_each_equation_goes_through_the_whole_chain(tmp_path, small, equation):
    made = run(tmp_path, equation=equation, viscosities=(0.1, 0.4))
    for name, size in zip(SPLITS, (8, 4, 4), strict=True):
        trajectories = made[f"{name}_trajectories"]
        assert trajectories.read(slice(None)).shape == (size, 6, 64)
        assert sorted(set(trajectories.viscosity)) == [0.1, 0.4]
    assert made["statistics"]["data"] == made["train_trajectories"].fingerprint
    assert made["statistics"]["trajectories"] == 8
    assert equation in made["data_card"]
    assert "8 of 8" in made["data_card"]


def test_statistics_see_the_training_split_alone(tmp_path, small):
    made = run(tmp_path)
    train = made["train_trajectories"].read(slice(None)).double()
    assert made["statistics"]["maximum"] == pytest.approx(float(train.max()))
    assert made["statistics"]["minimum"] == pytest.approx(float(train.min()))


def test_a_second_run_solves_nothing(tmp_path, small, monkeypatch):
    first = run(tmp_path)
    monkeypatch.setattr(solve, "solve_block", lambda *_: pytest.fail("solved again"))
    second = run(tmp_path)
    assert second["train_trajectories"].fingerprint == first["train_trajectories"].fingerprint


def test_the_users_own_files_enter_as_any_others(tmp_path, small):
    run(tmp_path)
    own = run(tmp_path, source={"kind": "local"})
    assert own["raw_manifest"]["source"] == "local"
    with pytest.raises(InputError, match=r"Nu0.3.hdf5 is not there"):
        run(tmp_path, source={"kind": "local"}, viscosities=(0.3,))


def test_a_damaged_trajectory_of_ours_is_named_and_solved_again(tmp_path, small, caplog):
    first = run(tmp_path)
    (path,) = (tmp_path / "01_raw").glob("*.hdf5")
    content = bytearray(path.read_bytes())
    content[-1000] ^= 8
    path.write_bytes(content)
    second = run(tmp_path)
    assert f"{path}: sample 15 = other bytes than its checksum" in caplog.text
    assert second["raw_manifest"]["files"][path.name]["checks"] == first["raw_manifest"]["files"][path.name]["checks"]


def test_a_damaged_file_of_the_users_is_refused(tmp_path, small):
    run(tmp_path)
    (path,) = (tmp_path / "01_raw").glob("*.hdf5")
    content = bytearray(path.read_bytes())
    content[-1000] ^= 8
    path.write_bytes(content)
    with pytest.raises(InputError, match="sample 15 = other bytes than its checksum, must agree; the file is damaged"):
        run(tmp_path, source={"kind": "local"})
