"""Configuration files as people write them: read by one reader, or refused in one line that names the file."""

import shutil
from pathlib import Path

import pytest

from universal_simulator.support.errors import InputError

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def conf(tmp_path) -> Path:
    """Return a copy of the configuration, without what this checkout's user has in ``local``."""
    copy = shutil.copytree(CONF, tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (copy / "local" / "experiments").mkdir(parents=True)
    return copy


@pytest.mark.parametrize(
    ("kind", "content", "line"),
    [
        ("parameters", b"seed: 3\nseed: 4\n", "seed stands twice"),
        ("parameters", "experiment: {purpose: \xe4}\n".encode("latin-1"), "must be UTF-8"),
        ("parameters", b"[1, 2]\n", "must hold `name: value` pairs"),
        ("parameters", b"seed: ${nowhere}\n", "must hold values that can be resolved"),
        ("parameters", b"seed: ${\n", "must hold values that can be resolved"),
        ("parameters", b"3: 4\n", "3 = 4: no such parameter"),
        ("parameters", b"operator: {7: 8}\n", "operator.7 = 8: no such parameter"),
        ("parameters", b"operator.: 8\n", "no such parameter"),
        ("parameters", b"seed: 1:30\n", "seed = 1:30: must be a valid integer"),
        ("parameters", b"seed: yes\n", "seed = yes: must be a valid integer"),
        ("catalog", b"scores: {type: a\n", "must be valid YAML"),
        ("catalog", b"- scores\n", "must hold `name: value` pairs"),
        ("mlflow", b"server: {a: 1, a: 2}\n", "a stands twice"),
        ("credentials", b"bucket:\n  key: ${nowhere}\n", "must hold values that can be resolved"),
        ("globals", b"\xff\n", "must be UTF-8"),
    ],
)
def test_an_odd_file_is_refused_in_one_line(conf, loader, kind, content, line):
    (conf / "local" / f"{kind}.yml").write_bytes(content)
    with pytest.raises(InputError) as refused:
        loader({}, conf, "local")[kind]
    assert line in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_two_files_with_one_parameter_are_refused(conf, loader):
    for name in ("parameters", "parameters_mine"):
        (conf / "local" / f"{name}.yml").write_text("seed: 3\n")
    with pytest.raises(InputError, match=r"Duplicate keys found in .* seed: must stand once; drop one"):
        loader({}, conf, "local")["parameters"]


@pytest.mark.parametrize("ending", [".yml", ".yaml", ".YAML", ".json"])
def test_files_of_every_ending_are_read(conf, loader, ending):
    (conf / "local" / f"parameters{ending}").write_text('{"seed": 017}')
    (conf / "local/experiments" / f"mine{ending}").write_text('{"extends": "sota_v1", "data": {"train": 0300}}')
    tree = loader({"experiment": "mine"}, conf, "local")["parameters"]
    assert (tree["seed"], tree["data"]["train"], tree["experiment"]["name"]) == (17, 300, "mine")


def test_an_experiment_in_two_files_of_one_folder_is_refused(conf, loader):
    for ending in ("yml", "yaml"):
        (conf / "local/experiments" / f"mine.{ending}").write_text("seed: 3\n")
    with pytest.raises(InputError, match=r"mine.yaml: must be the experiment's one file, and .*mine.yml is another"):
        loader({"experiment": "mine"}, conf, "local")["parameters"]


def test_an_experiment_that_cannot_be_read_is_refused(conf, loader):
    (conf / "local/experiments/mine.yml").mkdir()
    with pytest.raises(InputError, match=r"mine.yml: must be a file that can be read"):
        loader({"experiment": "mine"}, conf, "local")["parameters"]


def test_a_project_may_lie_in_a_folder_of_any_name(conf, loader):
    for name in ("a [1]", "what?", "50%", "run #3"):
        moved = conf.rename(conf.parent / name)
        (moved.parent / "outer").mkdir(exist_ok=True)
        assert loader({"experiment": "sota_v1"}, moved, "local")["parameters"]["experiment"]["name"] == "sota_v1"
        conf = moved


@pytest.mark.parametrize("name", ["compare", "Promote", "predictions", "golden-shipped"])
def test_no_experiment_has_the_folder_of_other_results(load, name):
    with pytest.raises(
        InputError,
        match=rf"experiment.name = {name}: must not be compare, promote, predict, .*, predictions or end",
    ):
        load(**{"experiment.name": name})


def test_every_folder_that_all_experiments_share_is_reserved(data, loader):
    def places(name):
        catalog = loader({"experiment.name": name})["catalog"].values()
        said = [str(entry.get("filepath") or entry.get("path") or entry.get("folder") or "") for entry in catalog]
        return {Path(one).relative_to(data).parts[:2] for one in said if one.startswith(str(data))}

    by_experiment = {layer for layer, name in places("first") - places("second") if name == "first"}
    shared = {parts[1] for parts in places("first") & places("second") if parts[0] in by_experiment and len(parts) > 1}
    assert shared == {"compare", "promote", "predictions", "audit", "score", "propagate", "assimilate", "infer"}


@pytest.mark.parametrize("names", [3, ["sota_v1", 7], {"name": 3.5}])
def test_names_of_another_type_are_refused_and_no_traceback(load, names):
    with pytest.raises(InputError):
        load(experiment=names)
