"""A state that is damaged is noticed, named, and replaced by the one before it."""

import random

import pytest
import torch
from kedro.io import DatasetError
from torch import nn

from universal_simulator.catalog.networks import (
    OptionalNetworkDataset,
    StateDataset,
    checksum,
    read_tensors,
    write_tensors,
)
from universal_simulator.support.errors import InputError


def state(value):
    optimizer = torch.optim.AdamW(nn.Linear(4, 4).parameters())
    return {
        "epoch": value,
        "network": {"weight": torch.full((8, 8), float(value))},
        "optimizer": optimizer.state_dict(),
    }


@pytest.fixture
def dataset(tmp_path):
    found = StateDataset(str(tmp_path / "state/operator.pt"))
    for value in (1, 2):
        found.save(state(value))
    return found


def test_the_last_state_is_loaded_as_it_was_saved(dataset):
    loaded = dataset.load()
    assert loaded["epoch"] == 2
    assert checksum(loaded) == checksum(state(2))


def test_a_network_that_an_experiment_need_not_have_is_read_as_none_and_known_to_be_missing(tmp_path):
    nothing = OptionalNetworkDataset(str(tmp_path / "fast.pt"))
    assert (nothing.exists(), nothing.load(), nothing.fingerprint()) == (True, None, "none")


def test_no_state_is_none_wanted_or_none_there(dataset, tmp_path):
    assert StateDataset(str(tmp_path / "state/operator.pt"), resume=False).load() == {}
    assert StateDataset(str(tmp_path / "state/nobody.pt")).load() == {}


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbled", "missing"])
def test_where_the_last_state_is_damaged_the_one_before_is_used(dataset, tmp_path, damage, caplog):
    path = tmp_path / "state/operator.pt"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":  # which is how a crash between the two renames looks
        path.write_bytes({"truncated": content[:-100], "emptied": b"", "garbled": b"x" * len(content)}[damage])
        assert dataset.load()["epoch"] == 1
        assert f"Not used: {path} = unreadable" in caplog.text
    assert dataset.load()["epoch"] == 1


def test_a_damaged_state_never_takes_the_place_of_the_good_one_before_it(dataset, tmp_path, monkeypatch):
    (tmp_path / "state/operator.pt").write_bytes(b"damaged")
    assert dataset.load()["epoch"] == 1
    monkeypatch.setattr("universal_simulator.catalog.networks.write_tensors", _full)
    with pytest.raises(DatasetError, match="No space left"):
        dataset.save(state(3))
    assert dataset.load()["epoch"] == 1


def _full(*_):
    raise OSError(28, "No space left on device")


def test_where_both_are_damaged_training_begins_anew(dataset, tmp_path):
    for path in (tmp_path / "state").iterdir():
        path.write_bytes(b"nothing")
    assert dataset.load() == {}


def test_no_flipped_bit_is_taken_for_the_content(tmp_path):
    path = tmp_path / "state.pt"
    write_tensors(path, state(3))
    content, expected = path.read_bytes(), checksum(state(3))
    chance, noticed = random.Random(0), 0
    for _ in range(200):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            assert checksum(read_tensors(path)) == expected, "a flip in what nobody reads"
        except InputError:
            noticed += 1
    assert noticed > 20


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": torch.zeros(2)}, {"a": torch.zeros(1, 2)}),
        ({"a": torch.zeros(2)}, {"a": -torch.zeros(2)}),
        ({"a": [1, 2]}, {"a": [12]}),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
    ],
)
def test_different_contents_have_different_checksums(one, other):
    assert checksum(one) != checksum(other)
    assert checksum(dict(reversed(one.items()))) == checksum(one)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"epoch": Hostile()}, tmp_path / "state.pt")
    with pytest.raises(InputError, match="unreadable"):
        read_tensors(tmp_path / "state.pt")
    assert not (tmp_path / "ran").exists()
