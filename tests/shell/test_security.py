"""Secrets stay where they were given, nothing is unpickled, and a folder in the configuration leads nowhere else."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kedro.framework.project import configure_project
from kedro.framework.session import KedroSession

from toys import run_toy
from universal_simulator.catalog.networks import NetworkDataset
from universal_simulator.catalog.results import ExamplesDataset
from universal_simulator.tracking import provenance

PROJECT = Path(__file__).parents[2]
CANARY = "canary-7f3a"
GIVEN = {
    "B2_KEY": f"{CANARY}-key", "B2_SECRET": f"{CANARY}-secret", "AWS_SECRET_ACCESS_KEY": f"{CANARY}-aws",
    "MLFLOW_TRACKING_PASSWORD": f"{CANARY}-mlflow", "MLFLOW_TRACKING_TOKEN": f"{CANARY}-token",
}  # fmt: skip


@pytest.mark.parametrize("does", ["", "fail", "refuse"])
def test_a_secret_appears_in_no_log_record_report_or_error(tmp_path, does):
    result = run_toy(tmp_path, "--pipeline=full", TOY_DOES=does, **GIVEN)
    assert result.returncode == (1 if does else 0)
    assert CANARY not in result.stdout + result.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "mlflow.db" for path in files)
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


def test_a_password_in_a_command_is_not_recorded(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["kedro", "run", f"--params=weights=https://me:{CANARY}@host/model"])
    assert provenance.command() == "kedro run --params=weights=https://***@host/model"


@pytest.mark.parametrize("password", [CANARY, f"p@{CANARY}", f"p/{CANARY}", f"{CANARY}@@"])
def test_a_password_is_blanked_out_whatever_stands_in_it(password):
    shown = provenance.without_credentials(f"cannot reach https://me:{password}@host/model, try again")
    assert shown == "cannot reach https://***@host/model, try again"


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path):
    hostile = Hostile(tmp_path / "ran")
    torch.save({"recipe": "{}", "weights": {"a": hostile}, "provenance": "{}"}, tmp_path / "operator.pt")
    np.savez(tmp_path / "examples.npz", truth=np.array([hostile], dtype=object))
    for dataset in (NetworkDataset(str(tmp_path / "operator.pt")), ExamplesDataset(str(tmp_path / "examples.npz"))):
        with pytest.raises(Exception, match=r"unreadable|allow_pickle"):
            dataset.load()
    assert not (tmp_path / "ran").exists()


def test_no_line_of_ours_loads_a_pickle():
    """Every ``torch.load`` says ``weights_only=True``, every ``np.load`` ``allow_pickle=False``."""
    wanted = {("torch", "load"): ("weights_only", True), ("np", "load"): ("allow_pickle", False)}
    seen = 0
    for path in sorted((PROJECT / "src").rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            function = call.func
            if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
                continue
            assert (function.value.id, function.attr) not in {
                ("pickle", "load"),
                ("pickle", "loads"),
                ("joblib", "load"),
            }
            if function.value.id == "yaml":  # whose own loader makes whatever a text names
                assert function.attr not in ("unsafe_load", "full_load"), path
                assert function.attr != "load" or "yaml.SafeLoader)" in path.read_text(), path
            if rule := wanted.get((function.value.id, function.attr)):
                given = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
                assert given.get(rule[0]) is rule[1], f"{path}:{call.lineno}"
                seen += 1
    assert seen >= 3


def test_every_artefact_lies_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path / "data"))
    configure_project("universal_simulator")
    with KedroSession.create(runtime_params={"data.folder": "mine..", "experiment.name": "a..b"}) as session:
        entries = session.load_context().config_loader["catalog"]
    places = [entry.get("filepath") or entry.get("path") for entry in entries.values() if isinstance(entry, dict)]
    root = (tmp_path / "data").resolve()
    found = [Path(str(place)).resolve() for place in places if place and "://" not in str(place)]
    outside = [path for path in found if not path.is_relative_to(root) and not path.is_relative_to(PROJECT)]
    assert len(found) > 20
    assert not outside
