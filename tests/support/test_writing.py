"""A file is replaced as a whole, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from universal_simulator.catalog.networks import digest
from universal_simulator.catalog.records import CSVDataset, JSONDataset, TextDataset
from universal_simulator.support.files import replace


@pytest.mark.parametrize(
    ("dataset", "old", "new"),
    [(JSONDataset, {"a": 1}, {"a": 2}), (TextDataset, "old", "new"), (CSVDataset, pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}))],
)  # fmt: skip
def test_a_record_that_cannot_be_written_leaves_the_old_one(dataset, old, new, tmp_path, monkeypatch):
    record = dataset(filepath=str(tmp_path / "folder" / "record"))
    record.save(old)
    before = (tmp_path / "folder" / "record").read_bytes()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(Exception, match="No space left"):
            record.save(new)
    assert (tmp_path / "folder" / "record").read_bytes() == before
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["record"]
    record.save(new)
    assert str(record.load()) == str(new)


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = tmp_path / f".record.{os.getppid()}.part"
    for left in (tmp_path / f".record.{dead.pid}.part", living):
        left.write_text("half")
    replace(tmp_path / "record", lambda part: part.write_text("whole"))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["record", living.name])


def test_no_record_of_ours_is_written_in_place():
    entries = yaml.safe_load((Path(__file__).parents[2] / "conf/base/catalog.yml").read_text())
    types = {entry["type"] for name, entry in entries.items() if not name.startswith("_")} - {"MemoryDataset"}
    assert not [kind for kind in types if not kind.startswith("universal_simulator.catalog.")]


def test_a_digest_names_content_and_follows_changes(tmp_path):
    (tmp_path / "a").write_text("one")
    first = digest(tmp_path)
    (tmp_path / ".hidden").write_text("not counted")
    assert digest(tmp_path) == first
    (tmp_path / "a").write_text("two")
    assert digest(tmp_path) != first
    assert digest(tmp_path / "nothing") is None
