"""One folder holds a model: what was written is read, and what was damaged or planted is refused."""

import json
import pickle

import pytest
import torch

from universal_simulator.serving.addresses import open_bundle, shipped
from universal_simulator.serving.bundle import CARD, WEIGHTS, Bundle
from universal_simulator.serving.emulator import Emulator
from universal_simulator.support.errors import InputError


@pytest.fixture
def folder(bundle, tmp_path):
    bundle.write(tmp_path / "golden" / "bundle")
    return tmp_path / "golden" / "bundle"


def test_what_was_written_is_read_bit_by_bit(bundle, folder):
    read = Bundle.read(folder)
    assert read.card.model_copy(update={"weights_sha256": ""}) == bundle.card
    for name, part in bundle.parts.items():
        assert read.parts[name].fingerprint == part.fingerprint
        assert not any(parameter.requires_grad for parameter in read.parts[name].network.parameters())


def test_the_emulator_of_a_read_bundle_forecasts_the_same(bundle, folder, emulator, u0):
    again = Emulator.load(folder, "cpu").rollout(u0, 0.05, [0.04], members=2, seed=3)
    assert torch.equal(again, emulator.rollout(u0, 0.05, [0.04], members=2, seed=3))


def test_an_experiments_folder_and_the_bundle_in_it_are_the_same_address(folder):
    assert open_bundle(folder.parent).card == open_bundle(str(folder)).card


def test_weights_of_another_bundle_are_refused(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"other bytes than bundle\.json names: must be whole"):
        Bundle.read(folder)


class Planted:
    def __reduce__(self):
        return (open, ("planted", "w"))


def test_code_in_the_weights_is_never_run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (folder / WEIGHTS).write_bytes(pickle.dumps(Planted()))
    with pytest.raises(InputError, match=r"weights\.safetensors = unreadable"):
        Bundle.read(folder)
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"version": 3}, r"not a model of this version \(version"),
        ({"experiment": None}, r"not a model of this version \(experiment"),
        ({"hook": "import os"}, r"not a model of this version \(hook"),
    ],
)
def test_a_card_of_another_layout_is_refused_by_name(folder, change, line):
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(card | change))
    with pytest.raises(InputError, match=line):
        Bundle.read(folder)


def test_weights_that_do_not_fit_the_recipe_are_refused(folder):
    card = json.loads((folder / CARD).read_text())
    card["recipes"]["operator"]["settings"]["hidden_width"] = 32
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match="not weights of this version"):
        Bundle.read(folder)


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("nowhere", r"nowhere/bundle\.json = missing: must be there; run --pipeline=evaluation"),
        ("golden", r"model = golden: must be an address; did you mean shipped:golden\?"),
        ("shipped:nobody", "model = shipped:nobody: no such weights came with the project; there are"),
        ("models:/nobody@champion", r"model = models:/nobody@champion: must be in the store of MLflow"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_in_one_line(address, line, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(InputError, match=line):
        open_bundle(address)


def test_shipped_models_are_found_in_the_folder_weights(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle.write(tmp_path / "weights" / "mine")
    assert shipped("mine") == tmp_path / "weights" / "mine"
    assert open_bundle("shipped:mine").card.experiment == "golden"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("address", ["", None, 3, b"weights", ["shipped:golden"]])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(
        InputError, match=r"model = .*: must be an address; give shipped:sota_v1, models:/… or a folder"
    ):
        open_bundle(address)


def test_a_folder_may_begin_with_the_home(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    bundle.write(tmp_path / "mine")
    assert open_bundle("~/mine").card.experiment == "golden"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("device", "line"),
    [
        ("gpu", "device = gpu: must be one of auto, cpu, cuda; choose one"),
        ("cuda", "device = cuda: must be there, and torch finds none; take device=cpu"),
        (None, "device = None: must be one of auto, cpu, cuda"),
    ],
)
def test_a_device_that_is_not_there_is_refused(folder, device, line, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=line):
        Emulator.load(folder, device)
