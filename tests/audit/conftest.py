"""The seven defects and their clean twins, made once by the project's own script."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from universal_simulator.catalog.trajectories import AuditedFilesDataset
from universal_simulator.configuration import Audit, Data
from universal_simulator.pipelines.audit.nodes import check_files

SCRIPT = Path(__file__).parents[2] / "examples" / "defects.py"
PROBLEMS = {"shallow_water": "data_only", "two_files": "advection"}
DATA = Data(source={"kind": "local"}, train=2, validation=1, test=1, time_stride=1)

Found = dict[str, list[dict]]


@pytest.fixture(scope="session")
def defects():
    spec = importlib.util.spec_from_file_location("defects", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def audited(defects, tmp_path_factory) -> Callable[[str, str], Found]:
    """Return findings by name of a defect, or of its clean twin."""
    folder, known = tmp_path_factory.mktemp("defects"), {}

    def audit(name: str, kind: str) -> Found:
        if name not in known:
            defects.DEFECTS[name](folder / "faulty", folder / "clean")
            known[name] = {one: _findings(folder / one, name) for one in ("faulty", "clean")}
        return known[name][kind]

    return audit


def _findings(folder: Path, name: str) -> Found:
    (path,) = folder.glob(f"{name}*")
    found, _ = check_files(AuditedFilesDataset(str(path)).load(), PROBLEMS.get(name, name), DATA, Audit())
    by_name: Found = {}
    for one in found["findings"]:
        by_name.setdefault(one["name"], []).append(one)
    return by_name
