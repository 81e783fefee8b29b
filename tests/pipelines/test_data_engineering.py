"""The data pipeline, node after node through a catalog, on every source that needs no network."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.text import TextDataset

from universal_simulator.acquisition.pdebench import read_layout
from universal_simulator.acquisition.solve import Order
from universal_simulator.acquisition.splits import demand_enough
from universal_simulator.catalog.trajectories import RawStoreDataset, TrajectoriesDataset
from universal_simulator.configuration import Data, DiffusionResidual, Evaluation, Latent, Operator
from universal_simulator.pipelines.data_engineering.pipeline import create_pipeline
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

SPLITS = ("train", "validation", "test")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solve on 64 points and 6 snapshots."""
    of = Order.of

    def shortened(problem: Problem, *rest: object) -> Order:
        return of(replace(problem, times=np.arange(6) * 0.01, grid=problem.grid.resized((64,))), *rest)

    monkeypatch.setattr(Order, "of", shortened)


SIZES = {"train": 8, "validation": 4, "test": 4, "time_stride": 2}


def run(folder: Path, problem: str = "burgers", **data: object) -> dict[str, object]:
    """Run the pipeline; return what it made."""
    given = SIZES | {"parameters": {"nu": (0.1,)}, "source": {"kind": "solve"}} | data
    datasets = {
        "raw_store": RawStoreDataset(str(folder / "01_raw"), problem),
        "params:problem": MemoryDataset(problem),
        **{f"params:{name}": MemoryDataset(section) for name, section in parameters(given).items()},
        **{name: JSONDataset(filepath=f"{folder}/{name}.json") for name in ("raw_manifest", "statistics")},
        "data_card": TextDataset(filepath=f"{folder}/card.md"),
        **{f"{name}_trajectories": TrajectoriesDataset(str(folder / f"{name}.json")) for name in SPLITS},
    }
    SequentialRunner().run(create_pipeline(), DataCatalog(dict(datasets)))
    return {name: dataset.load() for name, dataset in datasets.items() if name != "raw_store" and ":" not in name}


def parameters(data: dict[str, object]) -> dict[str, object]:
    """Return what the pipeline asks for: one step of the models is five snapshots at most."""
    return {
        "data": Data(**data),
        "latent": Latent(tokens=2, dim=32),
        "operator": Operator.model_construct(unroll=1, time_strides=(2, 5)),
        "diffusion_residual": DiffusionResidual.model_construct(time_strides=(2,)),
        "evaluation": Evaluation(protocols=("rollout",)),
    }


@pytest.mark.parametrize(("problem", "parameter"), [("burgers", "nu"), ("advection", "beta"), ("heat", "nu")])
def test_each_equation_goes_through_the_whole_chain(tmp_path, small, problem, parameter):
    made = run(tmp_path, problem, parameters={parameter: (0.1, 0.4)})
    for name, size in zip(SPLITS, (8, 4, 4), strict=True):
        trajectories = made[f"{name}_trajectories"]
        assert trajectories.read(slice(None)).shape == (size, 6, 1, 64)
        assert sorted(set(trajectories.parameters[:, 0])) == [0.1, 0.4]
    assert made["statistics"]["data"] == made["train_trajectories"].fingerprint
    assert made["statistics"]["trajectories"] == 8
    assert problem in made["data_card"]
    assert "8 of 8" in made["data_card"]


def test_statistics_see_the_training_split_alone(tmp_path, small):
    made = run(tmp_path)
    train = made["train_trajectories"].read(slice(None)).double()
    assert made["statistics"]["channels"][0]["maximum"] == pytest.approx(float(train.max()))
    assert made["statistics"]["channels"][0]["minimum"] == pytest.approx(float(train.min()))


def test_a_second_run_solves_nothing(tmp_path, small, monkeypatch):
    first = run(tmp_path)
    monkeypatch.setattr(Order, "block", lambda *_: pytest.fail("solved again"))
    second = run(tmp_path)
    assert second["train_trajectories"].fingerprint == first["train_trajectories"].fingerprint


def test_the_users_own_files_enter_as_any_others(tmp_path, small):
    run(tmp_path)
    own = run(tmp_path, source={"kind": "local"})
    assert own["raw_manifest"]["source"] == "local"
    with pytest.raises(InputError, match=r"Nu0.3.hdf5 is not there"):
        run(tmp_path, source={"kind": "local"}, parameters={"nu": (0.3,)})


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


def own_file(folder: Path, nu: float = 0.1, snapshots: int = 6, step: float = 0.01, seed: int = 0, **changed) -> Path:
    """Write sixteen moving sines as a user would, and change what a test is about."""
    random = np.random.default_rng([seed, int(1000 * nu)])
    t, x = np.arange(snapshots) * step, (np.arange(64) + 0.5) / 64
    phase = random.uniform(size=(16, 1, 1))
    content = {
        "tensor": np.sin(2 * np.pi * (x - t[:, None] - phase)).astype(np.float32),
        "x-coordinate": x,
        "t-coordinate": t,
    } | changed
    path = folder / "01_raw" / f"1D_Heat_Sols_Nu{nu}.hdf5"
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["Nu"] = nu
        for name, value in content.items():
            file[name] = value
    return path


LOCAL = {"source": {"kind": "local"}, "problem": "heat"}


OWN = SIZES | {"source": {"kind": "local"}}


@pytest.mark.parametrize("snapshots", [2, 5])
def test_too_few_snapshots_are_refused_before_anything_is_split_or_trained(tmp_path, snapshots):
    """Two are fewer than data.time_stride needs, five fewer than the operator's longest stride."""
    own_file(tmp_path, snapshots=snapshots)
    with pytest.raises(InputError, match=rf"snapshots = {snapshots} must be more than {snapshots}, as .*time_stride"):
        run(tmp_path, **LOCAL)
    assert not (tmp_path / "statistics.json").exists()


def test_the_protocol_that_is_given_ten_snapshots_needs_more_than_fifty(tmp_path, raw_layout):
    given = parameters(OWN) | {"evaluation": Evaluation(protocols=("pdebench",))}
    with pytest.raises(InputError, match=r"snapshots = 6 must be more than 50, as the protocol pdebench in evaluation"):
        demand_enough(raw_layout, *given.values())
    given |= {"evaluation": Evaluation(protocols=("ten_given",))}
    with pytest.raises(
        InputError, match=r"snapshots = 6 must be more than 1\d, as the protocol ten_given in evaluation"
    ):
        demand_enough(raw_layout, *given.values())


def test_fewer_points_than_latent_numbers_are_told(raw_layout, caplog):
    demand_enough(raw_layout, *(parameters(OWN) | {"latent": Latent(tokens=16, dim=32)}).values())
    assert "points = 64 along x are fewer than latent.tokens × latent.dim = 512" in caplog.text


@pytest.fixture
def raw_layout(tmp_path):
    return read_layout(own_file(tmp_path), "Nu")


def test_files_with_different_time_steps_are_refused_together(tmp_path):
    own_file(tmp_path, 0.1)
    own_file(tmp_path, 0.2, step=0.05)
    with pytest.raises(InputError, match=r"Nu0\.2.*6 snapshots 0\.05 apart.* must be as in .*Nu0\.1.*0\.01 apart"):
        run(tmp_path, **LOCAL, parameters={"nu": (0.1, 0.2)})


def test_the_same_numbers_under_two_parameters_are_refused(tmp_path):
    own_file(tmp_path, 0.1, tensor=(same := np.random.default_rng(0).normal(size=(16, 6, 64)).astype(np.float32)))
    own_file(tmp_path, 0.2, tensor=same)
    with pytest.raises(InputError, match=r"Nu0\.2.* the same numbers as .*Nu0\.1"):
        run(tmp_path, **LOCAL, parameters={"nu": (0.1, 0.2)})


def test_dead_trajectories_are_told_and_enter_no_split(tmp_path, caplog):
    u = np.random.default_rng(0).normal(size=(20, 6, 64)).astype(np.float32)
    u[3], u[7], u[11], u[13, 3:] = 0, u[7, 0], u[2], u[13, 3]
    path = own_file(tmp_path, tensor=u)
    made = run(tmp_path, **LOCAL)
    found = {
        "are nothing but zeros": [3],
        "never change": [7],
        "repeat an earlier one": [11],
        "stop before their end": [13],
    }
    assert made["raw_manifest"]["files"][path.name]["checks"]["dead"] == found
    drawn = np.concatenate([made[f"{name}_trajectories"].read(slice(None), [0, 5]).numpy() for name in SPLITS])
    live = np.delete(u, [3, 7, 11, 13], 0)[:, [0, 5]]
    assert sorted(drawn.reshape(16, -1).tolist()) == sorted(live.reshape(16, -1).tolist())
    for line in ("1 of 20 trajectories are nothing but zeros (samples 3)", "repeat an earlier one (samples 11)"):
        assert line in caplog.text
        assert line in made["data_card"]


def test_where_the_live_ones_are_too_few_it_says_that_the_others_are_dead(tmp_path):
    u = np.random.default_rng(0).normal(size=(20, 6, 64)).astype(np.float32)
    u[12:] = 0
    own_file(tmp_path, tensor=u)
    with pytest.raises(InputError, match=r"samples = 12 in each file \(8 of 20 are dead\) must be at least the 16"):
        run(tmp_path, **LOCAL)


def test_data_in_which_nothing_changes_are_refused_as_that(tmp_path):
    still = np.repeat(np.random.default_rng(0).normal(size=(16, 1, 64)), 6, 1).astype(np.float32)
    own_file(tmp_path, tensor=still)
    with pytest.raises(InputError, match=r"16 of 16 trajectories never change .* nothing to learn"):
        run(tmp_path, **LOCAL)
    trembling = still + np.float32(3e-8) * np.random.default_rng(1).normal(size=(16, 6, 64)).astype(np.float32)
    own_file(tmp_path, tensor=trembling.astype(np.float32))
    with pytest.raises(InputError, match=r"change in one step = .* must be more than rounding"):
        run(tmp_path, **LOCAL)


def test_the_card_of_somebodys_own_data_claims_nothing_of_ours(tmp_path, small):
    own_file(tmp_path)
    theirs = run(tmp_path, **LOCAL)["data_card"]
    ours = run(tmp_path / "ours", "heat")["data_card"]
    for claim in ("pseudo-spectral", "same family", "was made with"):
        assert claim in ours
        assert claim not in theirs
    assert "the numbers were not held against them" in theirs
    assert "put there by the user" in theirs


def test_a_file_that_only_says_it_is_ours_is_not_described_as_ours(tmp_path):
    path = own_file(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["settings"] = '{"made by": "universal_simulator"}'
        file["crc32"] = np.zeros(16, np.uint32)
    card = run(tmp_path, **LOCAL)["data_card"]
    assert "says of itself that it was made" in card
    assert "pseudo-spectral" not in card
