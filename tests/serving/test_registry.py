"""From a finished run to the champion and back, in a real MLflow store."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from universal_simulator.configuration import Promotion
from universal_simulator.pipelines.promote.nodes import compare_with_champion, enforce_conditions, promote_candidate
from universal_simulator.serving import Emulator
from universal_simulator.serving.addresses import default_store, open_bundle
from universal_simulator.serving.pyfunc import Served
from universal_simulator.serving.registry import ALIAS, MODEL, Registry
from universal_simulator.support.errors import InputError

RULE = Promotion()
HEADLINE = "rollout/deterministic/nrmse"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "mlflow"
    folder.mkdir()
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(
        experiment_id=MlflowClient(uri).create_experiment("universal_simulator", str(folder / "artifacts"))
    )
    yield uri
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def record(uri, bundle, tmp_path_factory):
    """Record a finished run of an experiment whose errors are ``factor`` times the bundle's; return its id."""

    def record(name: str, factor: float, **changes) -> str:
        scores = bundle.card.scores | {HEADLINE: factor * bundle.card.scores[HEADLINE]}
        card = bundle.card.model_copy(update={"experiment": name, "scores": scores} | changes)
        folder = tmp_path_factory.mktemp(name) / "bundle"
        replace(bundle, card=card).write(folder)
        with mlflow.start_run(tags={"experiment": name}) as run:
            mlflow.log_artifacts(str(folder), "bundle")
        return run.info.run_id

    return record


@pytest.fixture(scope="module")
def registry(uri):
    return Registry(uri, "universal_simulator")


def promote(registry, candidate, rule=RULE):
    conditions = compare_with_champion(registry, candidate, rule)
    history = promote_candidate(registry, conditions, candidate, rule)
    enforce_conditions(conditions, history, candidate)
    return history


def champions(history) -> list[tuple[int, str]]:
    return [(row["number"], row["experiment"]) for row in history.to_dict("records") if row["champion"]]


@pytest.fixture(scope="module")
def first(registry, record):
    """The first champion, of an empty registry, made where another tool left a finished run in the environment."""
    run_id, other = record("golden", 1.0), record("left over", 1.0)
    with pytest.raises(InputError, match="there must be a champion to demote"):
        registry.demote()
    before = mlflow.get_run(other).to_dictionary()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_RUN_ID", other)
        history = promote(registry, "golden")
    assert mlflow.get_run(other).to_dictionary() == before
    return run_id, history


def test_the_first_champion_needs_no_predecessor(first):
    run_id, history = first
    assert champions(history) == [(1, "golden")]
    assert history.loc[0, "run_id"] == run_id


def test_promoting_twice_changes_nothing(registry, first, caplog):
    caplog.set_level(logging.INFO)
    assert promote(registry, first[0]).equals(first[1])
    assert "is the champion already: nothing changes" in caplog.text


def test_the_champion_is_opened_by_its_name_and_is_the_model_that_was_recorded(first, bundle):
    opened = Emulator.load(f"models:/{MODEL}@{ALIAS}", "cpu")
    field = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)
    np.testing.assert_array_equal(
        opened.rollout(field, 0.05, [0.1]), Emulator.of(bundle, "cpu").rollout(field, 0.05, [0.1])
    )
    assert opened.card.provenance["data_fingerprint"] == "abcd1234"


def test_without_a_named_store_it_is_found_in_the_projects_own(first, uri, tmp_path, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(Path(uri.removeprefix("sqlite:///")).parents[1]))
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(None)
    try:
        opened = Emulator.load(f"models:/{MODEL}@{ALIAS}", "cpu")
        assert not mlflow.is_tracking_uri_set()
        monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path))
        with pytest.raises(InputError, match=r"must be in the store of MLflow, and there is none yet; run and promote"):
            Emulator.load(f"models:/{MODEL}@{ALIAS}", "cpu")
    finally:
        mlflow.set_tracking_uri(uri)
    assert opened.card.experiment == "golden"
    assert not list(tmp_path.iterdir())


def test_several_threads_may_open_it_from_the_projects_own_store(first, uri, monkeypatch):
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(Path(uri.removeprefix("sqlite:///")).parents[1]))
    mlflow.set_tracking_uri(None)
    before = dict(os.environ)
    try:
        with ThreadPoolExecutor(3) as pool:
            opened = list(pool.map(open_bundle, [f"models:/{MODEL}@{ALIAS}"] * 3))
        assert dict(os.environ) == before
    finally:
        mlflow.set_tracking_uri(uri)
    assert {one.card.experiment for one in opened} == {"golden"}


def test_mlflow_serves_it_without_code_in_the_model(first, emulator):
    from mlflow.artifacts import download_artifacts

    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@{ALIAS}")
    fields = np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)[None].astype(np.float32)
    inputs = {"u0": fields, "viscosity": np.array([0.05], np.float32)}
    one = model.predict(inputs, params={"times": [0.1]})
    np.testing.assert_allclose(one["u"], emulator.rollout(fields, 0.05, [0.1])[:, None], atol=1e-6)
    assert model.predict(inputs, params={"times": [0.02, 0.1], "members": 3})["u"].shape == (1, 3, 2, 64)
    kept = {file.suffix for file in Path(download_artifacts(f"models:/{MODEL}@{ALIAS}")).rglob("*") if file.is_file()}
    assert not kept & {".py", ".pkl", ".pickle", ".pt"}


def test_a_candidate_that_gains_too_little_is_refused_and_the_champion_stays(registry, first, record):
    record("close", 0.995)
    with pytest.raises(
        InputError,
        match=r"candidate = close: must meet every condition, missed error of a rollout = 0.0498 \(champion 0.05\), wanted at least 0.01 lower, relatively; version 1 stays champion",
    ):
        promote(registry, "close")
    assert champions(promote_candidate(registry, compare_with_champion(registry, "golden", RULE), "golden", RULE)) == [
        (1, "golden")
    ]


def test_scores_on_other_data_cannot_be_held_against_the_champions(registry, first, record, bundle):
    other = bundle.card.parameters | {"data": bundle.card.parameters["data"] | {"test": 4}}
    record("elsewhere", 0.5, parameters=other)
    with pytest.raises(
        InputError, match=r"missed data and protocol = –, wanted the champion's, but differs in data\.test"
    ):
        promote(registry, "elsewhere")


def test_a_better_candidate_takes_over_and_demotion_gives_back(registry, first, record, caplog):
    caplog.set_level(logging.INFO)
    record("better", 0.9)
    history = promote(registry, "better")
    assert champions(history) == [(2, "better")]
    assert history["over"].tolist() == ["1", ""]
    demote = Promotion(demote=True)
    nothing = compare_with_champion(registry, None, demote)
    back = promote_candidate(registry, nothing, None, demote)
    assert champions(back) == [(1, "golden")]
    assert back.loc[0, "demoted_at"]
    assert "version 1 (golden) is champion again" in caplog.text
    again = promote(registry, "better")
    assert champions(again) == [(2, "better")]
    assert len(again) == 2


@pytest.mark.parametrize(
    ("candidate", "line"),
    [
        (None, "candidate = null: must name a run or an experiment"),
        ("nobody", "candidate = nobody: is no finished run and no experiment with one in this store"),
        ("bare", "candidate = bare: has recorded no model; run --pipeline=full --params=bare first"),
    ],
)
def test_a_candidate_without_a_model_is_refused(registry, uri, candidate, line):
    with mlflow.start_run(tags={"experiment": "bare"}):
        pass
    with pytest.raises(InputError, match=line):
        promote(registry, candidate)


@pytest.mark.parametrize("name", ["u0", "nu"])
def test_a_request_without_a_field_or_its_viscosity_is_refused(emulator, name):
    inputs = {"u0": np.zeros((1, 64)), "nu": np.array([0.05])}
    del inputs[name]
    with pytest.raises(InputError, match=f"{name} = missing: must be in the inputs"):
        Served(emulator).predict(inputs)


def test_the_projects_own_store_is_found_whatever_its_folder_is_called(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("UNIVERSAL_SIMULATOR_DATA", str(tmp_path / "a%2Fb"))
    assert default_store() is None
    (tmp_path / "a%2Fb/mlflow").mkdir(parents=True)
    (tmp_path / "a%2Fb/mlflow/mlflow.db").touch()
    assert default_store().endswith("/a%252Fb/mlflow/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert default_store() is None
