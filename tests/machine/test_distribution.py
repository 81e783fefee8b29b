"""Version 0.1.0 is one number everywhere, and what is built from the project installs and runs anywhere."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.metadata import Metadata

import universal_simulator

PROJECT = Path(__file__).parents[2]


def test_version_and_date_are_the_same_wherever_they_stand():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    cited = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    dated = re.findall(r"^## (\d\S*) - (\S+)$", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert version == universal_simulator.__version__ == cited["version"]
    assert dated[0] == (version, cited["date-released"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build source distribution and wheel from what is tracked, with what the environment holds."""
    folder = tmp_path_factory.mktemp("built")
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        if name.startswith("src/") or "/" not in name:
            (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / "project" / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "project"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "dist"


@pytest.mark.slow
def test_what_is_built_says_what_it_is_and_is_whole(built):
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        (described,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        known = Metadata.from_email(file.read(described), validate=True)
    assert (known.name, known.license_expression) == ("universal_simulator", "Apache-2.0")
    assert known.description_content_type == "text/markdown"
    assert {"page.css", "page.html.j2"} <= {Path(name).name for name in names}
    with tarfile.open(source) as file:
        assert {"README.md", "LICENSE", "pyproject.toml"} <= {Path(name).name for name in file.getnames()}


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_folder_with_the_configuration_named(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    place, empty = tmp_path / "installed", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", place, wheel]
    subprocess.run(install, check=True)
    small = "dry_run,data.train=8,data.validation=2,data.test=2,autoencoder.training.windows_per_epoch=64"
    done = subprocess.run(
        [sys.executable, "-m", "universal_simulator", f"--conf-source={PROJECT / 'conf'}",
         "--pipeline=data_engineering", f"--params={small}"],
        cwd=empty, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(place), "UNIVERSAL_SIMULATOR_DATA": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert list((tmp_path / "01_raw").glob("1D_Burgers*.hdf5"))
