"""Layers of parameters, and one line for every mistake in them."""

import shutil
from pathlib import Path

import pytest

from universal_simulator.configuration import Parameters
from universal_simulator.configuration.tree import nest, overlay
from universal_simulator.problems import names
from universal_simulator.shell.configuration_loader import fingerprint
from universal_simulator.shell.hooks.preparation import refuse_misfit
from universal_simulator.support.errors import InputError

CONF = Path(__file__).parents[2] / "conf"


def test_without_a_name_the_experiment_is_golden(load):
    assert load()["experiment"]["name"] == "golden"


def test_an_override_wins_over_the_experiment_and_leaves_its_neighbours(load):
    tree = load(experiment="sota_v1", **{"operator.training.epochs": 3})
    assert tree["operator"]["training"]["epochs"] == 3
    assert tree["operator"]["training"]["betas"] == [0.9, 0.95]


def test_nested_and_dotted_overrides_mean_the_same(load):
    assert load(operator={"training": {"epochs": 3}}) == load(**{"operator.training.epochs": 3})


def test_of_several_experiments_the_later_wins_and_the_name_tells_both(load):
    tree = load(experiment="sota_v1,dry_run")
    assert tree == load(experiment=["sota_v1", "dry_run"])
    assert tree["experiment"]["name"] == "sota_v1-dry_run"
    assert tree["operator"]["network"]["hidden_width"] == 80
    assert tree["operator"]["training"]["epochs"] == 1


def test_the_environment_lies_between_the_defaults_and_the_experiment(tmp_path, loader):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "local" / "parameters.yml").write_text("operator: {training: {epochs: 99, patience: 99}}\nseed: 5\n")
    tree = loader({"experiment": "sota_v1"}, conf, "local")["parameters"]
    assert (tree["seed"], tree["operator"]["training"]["epochs"], tree["operator"]["training"]["patience"]) == (
        5,
        20,
        12,
    )


def test_an_environment_may_bring_experiments_of_its_own(tmp_path, loader):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "local" / "experiments").mkdir(exist_ok=True)
    (conf / "local" / "experiments" / "mine.yml").write_text("extends: sota_v2\nseed: 8\n")
    tree = loader({"experiment": "mine"}, conf, "local")["parameters"]
    assert (tree["seed"], tree["operator"]["network"]["depths"]) == (8, [2, 2, 2])


def test_experiments_that_extend_each_other_are_refused(tmp_path, loader):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    for name, parent in (("hen", "egg"), ("egg", "hen")):
        (conf / "base" / "experiments" / f"{name}.yml").write_text(f"extends: {parent}\n")
    with pytest.raises(InputError, match="extends = hen: must not lead back"):
        loader({"experiment": "hen"}, conf)["parameters"]


@pytest.mark.parametrize("content", ["- a list", "a: [1"])
def test_an_experiment_file_that_is_no_mapping_is_refused_by_name(tmp_path, content, loader):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    (conf / "base" / "experiments" / "odd.yml").write_text(content)
    with pytest.raises(InputError, match=r"odd\.yml: must "):
        loader({"experiment": "odd"}, conf)["parameters"]


def test_another_kind_replaces_a_section_entirely(load):
    assert load(**{"data.source.kind": "published"})["data"]["source"].keys() == {"kind", "files", "address"}
    assert overlay({"kind": "a", "x": 1}, {"kind": "a", "y": 2}) == {"kind": "a", "x": 1, "y": 2}


@pytest.mark.parametrize(
    ("runtime", "line"),
    [
        ({"experiment": "sota_v3"}, "experiment = sota_v3: no such experiment; did you mean sota_v2?"),
        ({"experiment": "../secrets"}, "experiment = ../secrets: no such experiment;"),
        ({"experiment": "operator.training.epochs"}, "write operator.training.epochs=VALUE"),
        ({"operator.trainng.epochs": 3}, "operator.trainng = {'epochs': 3}: no such parameter; did you mean operator.training?"),
        ({"operator.training.epoch": 3}, "did you mean operator.training.epochs?"),
        ({"epochs": 3}, "did you mean ablation.epochs or autoencoder.training.epochs or"),
        ({"operator": 3}, "operator = 3: must be a section, not a value"),
        ({"operator.training.epochs": 0}, "operator.training.epochs = 0: must be greater than or equal to 1; the default is 15"),
        ({"operator.training.epochs": "many"}, "operator.training.epochs = many: must be a valid integer"),
        ({"operator.training.learning_rate": float("nan")}, "learning_rate = nan: must be a finite number"),
        ({"operator.network.heads": 3}, "operator.network: heads = 3 must divide hidden_width = 64; change either"),
        ({"operator.network.depths": [1, 2]}, "operator.network.depths[2] = missing: must be there, in a list of that length"),
        ({"data.source.kind": "publishd"}, "did you mean published?"),
        ({"data.source.chunkk": 1}, "data.source.chunkk = 1: no such parameter; did you mean data.source.chunk?"),
        ({"compute.device": "gpu"}, "compute.device = gpu: must be 'auto', 'cpu' or 'cuda'; the default is auto"),
        ({"seed": True}, "seed = True must not be true or false"),
        ({"baselines.seconds": True}, "seconds = True must not be true or false"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line_with_name_value_rule_and_remedy(load, runtime, line):
    with pytest.raises(InputError) as refusal:
        load(**runtime)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_fingerprint_knows_content_and_not_spelling(load):
    same = fingerprint(load(), "data", "seed"), fingerprint(load(**{"data.train": 2000.0}), "data", "seed")
    other = fingerprint(load(**{"data.train": 1000}), "data", "seed")
    assert same[0] == same[1] != other
    assert len(other) == 8


def test_the_catalog_puts_results_into_the_experiments_folder_and_shares_data(data, loader):
    golden, sota = loader({})["catalog"], loader({"experiment": "sota_v1"})["catalog"]
    assert golden["scores"]["filepath"] == f"{data}/08_reporting/golden/scores.json"
    assert sota["scores"]["filepath"] == f"{data}/08_reporting/sota_v1/scores.json"
    assert golden["statistics"] == sota["statistics"]
    assert golden["{split}_latents"] != sota["{split}_latents"]


def test_runs_are_recorded_beside_the_data_unless_the_environment_names_a_server(data, monkeypatch, loader):
    assert loader({})["mlflow"]["server"]["mlflow_tracking_uri"] == f"sqlite:///{data}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert loader({})["mlflow"]["server"]["mlflow_tracking_uri"] == "http://127.0.0.1:5000"


def test_parameters_that_came_later_make_nothing_stale_while_they_say_what_was_done_before():
    earlier = {"data": {"source": {"kind": "published", "address": "http://a/{id}"}, "train": 4}}
    later = {"data": {"source": {**earlier["data"]["source"], "files": []}, "train": 4, "split": "content"}}
    named = {"data": {"source": {**earlier["data"]["source"], "files": ["a.hdf5"]}, "train": 4, "split": "content"}}
    assert fingerprint(earlier, "data") == fingerprint(later, "data") != fingerprint(named, "data")


def test_dotted_keys_nest_and_the_later_wins():
    assert nest({"a.b": 1, "a.c": 2, "a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize(
    ("problem", "experiment"), [("shallow_water", "shallow_water"), ("heat", "golden"), (None, "golden")]
)
def test_a_problem_alone_stands_for_the_experiment_of_its_name(loader, problem, experiment):
    made = loader({"problem": problem} if problem else {})
    assert made.names == [experiment]
    assert made["parameters"]["problem"] == (problem or "burgers")
    assert loader({"experiment": "diffusion_reaction", "problem": "shallow_water"}).names == ["diffusion_reaction"]


@pytest.mark.parametrize("problem", [name for name in names() if name != "data_only"])
def test_the_usual_parameters_fit_every_problem_that_has_a_solver(loader, problem):
    refuse_misfit(Parameters.model_validate(loader({"problem": problem})["parameters"]))
