"""The audit as a command: what it leaves, how it ends, and what it refuses."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from kedro.io import DatasetError

from commands import run_command
from raw_files import two_channels, write_groups
from universal_simulator.acquisition.checks import REPEATED
from universal_simulator.catalog.trajectories import AuditedFilesDataset
from universal_simulator.configuration import Audit, Data
from universal_simulator.pipelines.audit.nodes import check_files, enforce
from universal_simulator.pipelines.data_engineering import nodes
from universal_simulator.reporting import data_page
from universal_simulator.support.errors import InputError

DATA = Data(source={"kind": "local"}, train=2, validation=1, test=1, time_stride=1)


def repeated(path: Path) -> Path:
    """A file in which the first sample, which is tested by the published split's mirror, stands there again last."""
    u = two_channels(samples=12)
    u[11] = u[0]
    write_groups(path, u)
    return path


def test_findings_have_a_name_a_severity_a_number_words_and_a_remedy(tmp_path):
    found, page = check_files([repeated(tmp_path / "a.h5")], "data_only", DATA, Audit())
    assert found.keys() == {"findings", "baselines"}
    assert {key for one in found["findings"] for key in one} == {"name", "severity", "value", "message", "remedy"}
    assert found["findings"][0]["name"] == "published_split_leaks", "the gravest first"
    assert {one["severity"] for one in found["findings"]} == {"error", "warning", "note"}
    assert all(one["remedy"] for one in found["findings"] if one["severity"] != "note")
    json.dumps(found, allow_nan=False)
    assert "1 of the 1 test trajectories of the published split (100 %) begin exactly" in page
    assert "<small>Remedy: split by content" in page
    assert set(found["baselines"]["persistence"]) == {"nrmse", "of_change", "c0", "c1"}


def test_of_several_files_findings_name_theirs_and_baselines_stand_by_file(tmp_path):
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
        repeated(tmp_path / folder / "a.h5")
    paths = AuditedFilesDataset(str(tmp_path)).load()
    found, page = check_files(paths, "data_only", DATA, Audit())
    assert set(found["baselines"]) == {"test/a.h5", "train/a.h5"}
    assert any(one["message"].startswith("train/a.h5: ") for one in found["findings"])
    assert "The files together" in page


def test_errors_end_a_strict_audit_and_no_other(tmp_path):
    found, page = check_files([repeated(tmp_path / "a.h5")], "data_only", DATA, Audit())
    enforce(found, page, Audit(input="a.h5"))
    with pytest.raises(
        InputError, match=r"audit.strict = true: a.h5 must have no finding of severity error, has \d \(pub"
    ):
        enforce(found, page, Audit(input="a.h5", strict=True))
    enforce({"findings": [one for one in found["findings"] if one["severity"] != "error"]}, page, Audit(strict=True))


def test_nothing_to_audit_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"audit.input = null: must name a file of trajectories, or a folder; add"):
        AuditedFilesDataset(None).load()
    with pytest.raises(DatasetError, match=r"audit.input = nowhere: must be a file or a folder; check its name"):
        AuditedFilesDataset("nowhere").load()
    with pytest.raises(DatasetError, match=r"must hold at least one file of trajectories \(.hdf5, .h5\); name one"):
        AuditedFilesDataset(str(tmp_path)).load()


def test_a_file_of_other_parameters_than_those_asked_for_is_refused(tmp_path):
    import numpy as np

    from raw_files import write_burgers

    write_burgers(tmp_path / "a.hdf5", two_channels(samples=3)[:, :, 0, 0], np.arange(5) * 0.1, nu=0.01)
    asked = DATA.model_copy(update={"parameters": {"nu": (0.1,)}})
    with pytest.raises(InputError, match=r"Nu = 0.01, must be 0.1, as asked for"):
        check_files([tmp_path / "a.hdf5"], "burgers", asked, Audit())


def test_the_summary_counts_by_severity():
    assert data_page.audit_summary(["note", "error", "note"]) == "1 error, 0 warnings, 2 notes"


def test_repeated_trajectories_stay_in_the_published_split_and_in_no_other(monkeypatch, unchecked):
    given = []
    monkeypatch.setattr(nodes, "split", lambda store, data, left_out: given.append(left_out) or dict.fromkeys(
        ("train", "validation", "test")))  # fmt: skip
    manifest = {"files": {"a": {"checks": {"dead": {REPEATED: [3], "never change": [5]}}}}}
    for kind in ("content", "published"):
        nodes.split_trajectories(None, manifest, DATA.model_copy(update={"split": kind}))
    assert given == [{3, 5}, {5}]


@pytest.mark.slow
def test_the_command_leaves_findings_and_a_page_and_ends_as_it_is_told(tmp_path):
    path = repeated(tmp_path / "my file.h5")

    def run(**more: str) -> subprocess.CompletedProcess:
        params = {"problem": "data_only", "data.source.kind": "local", "audit.input": str(path), **more}
        typed = ",".join(f"{key}={value}" for key, value in params.items())
        words = ["-m", "kedro", "run", "--pipeline=audit", f"--params={typed}"]
        environment = os.environ | {"UNIVERSAL_SIMULATOR_DATA": str(tmp_path / "data")}
        return run_command(words, environment, tmp_path / "said" / "audit")

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "data" / "08_reporting" / "audit" / "my_file"
    assert json.loads((folder / "audit.json").read_text())["findings"][0]["severity"] == "error"
    assert (folder / "audit.html").read_text().startswith("<!doctype html>")
    strict = run(**{"audit.strict": "true"})
    assert strict.returncode == 1
    assert strict.stderr.strip().splitlines()[-1].startswith("Error: audit.strict = true")
    path.write_bytes(b"nothing")
    assert run().returncode == 1
