"""Weights from elsewhere in place of trained ones: only those that fit the experiment, and only to be evaluated."""

import runpy
import sys
from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node

from universal_simulator.catalog.models import InitialNetworksDataset
from universal_simulator.catalog.networks import OptionalNetworkDataset
from universal_simulator.serving.addresses import open_bundle
from universal_simulator.shell.hooks.weights import WeightsHooks
from universal_simulator.support.errors import InputError

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def hooks(load):
    """Return the hooks as a run of ``golden`` with shipped weights would have them."""
    hooks = WeightsHooks()
    hooks._parameters = load(weights="shipped")
    return hooks


def test_weights_of_the_same_parameters_are_taken(hooks, load):
    hooks._refuse_another("golden", load(**{"operator.training.epochs": 1}))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"data.test": 100}, "data"),
        ({"latent.tokens": 8}, "latent"),
        ({"diffusion_residual.sigma_max": 5.0}, "diffusion_residual.sigma_max"),
        ({"consistency_distillation.sampler_steps": 2}, "consistency_distillation.sampler_steps"),
    ],
)
def test_weights_of_other_data_or_another_latent_space_are_refused(hooks, load, change, path):
    with pytest.raises(InputError, match=f"weights = shipped: were made with another {path}, must be with this one"):
        hooks._refuse_another("golden", load(**change))


def test_weights_of_another_experiment_are_refused_by_its_name(hooks, load):
    with pytest.raises(InputError, match=r"are those of sota_v1, must be of golden; write --params=sota_v1,weights="):
        hooks._refuse_another("sota_v1", load(experiment="sota_v1"))


def test_nothing_is_trained_with_weights_from_elsewhere(hooks):
    training = Pipeline([node(len, "latents", "operator_state")])
    with pytest.raises(InputError, match="weights = shipped: must be `trained` where networks are trained"):
        hooks.before_pipeline_run(training, DataCatalog())


def test_a_decoder_that_another_model_left_is_not_taken_for_that_of_one_without(hooks, tmp_path):
    bootstrap_project(PROJECT)
    left = tmp_path / "fast.pt"
    left.write_bytes(b"another model's")
    names = ("autoencoder", "operator", "consistency_distill", "ensemble_calibration", "timings")
    catalog = DataCatalog({name: MemoryDataset() for name in names} | {"fast": OptionalNetworkDataset(str(left))})
    hooks.before_pipeline_run(Pipeline([node(len, "operator", "scores")]), catalog)
    assert not left.exists()
    assert catalog.load("operator").recipe.stage == "operator"


def test_results_of_shipped_weights_lie_beside_the_experiments_own(loader):
    assert loader({"experiment": "sota_v1"}).folder() == "sota_v1"
    assert loader({"experiment": "sota_v1", "weights": "shipped"}).folder() == "sota_v1-shipped"


@pytest.mark.parametrize(
    ("there", "first"),
    [
        ((), "autoencoder = missing: must be there before this begins; run --pipeline=data_engineering with"),
        (("autoencoder", "operator", "consistency_distill", "test_trajectories"),
         "ensemble_calibration = missing: must be there before this begins; run --pipeline=calibration with"),
    ],
)  # fmt: skip
def test_what_an_experiment_lacks_to_be_shipped_is_told_in_one_line(tmp_path, monkeypatch, capsys, there, first):
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, runtime_params={"experiment": "golden"}) as session:
        catalog = session.load_context().catalog
    for name in there:
        path = Path(catalog.config_resolver.resolve_pattern(name)["filepath"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setattr(sys, "argv", ["ship_weights.py", "golden", "--to", str(tmp_path / "weights")])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(PROJECT / "tools/ship_weights.py"), run_name="__main__")
    told = capsys.readouterr().err
    assert (end.value.code, told.count("\n")) == (1, 1)
    assert told.startswith(f"Error: {first}")
    assert not (tmp_path / "weights").exists()


def test_a_model_to_begin_from_must_be_there_before_anything_is_made(load):
    hooks, training = WeightsHooks(), Pipeline([node(len, "initial_networks", "operator_state")])
    hooks._parameters = load(initial="shipped:nobody")
    with pytest.raises(
        InputError, match=r"initial = shipped:nobody: must name a model to begin from .*no such weights"
    ):
        hooks.before_pipeline_run(training, DataCatalog())
    hooks._parameters = load(initial="shipped:golden")
    hooks.before_pipeline_run(training, DataCatalog())


def test_trainings_that_never_begin_from_others_weights_refuse_them(load):
    hooks, sweep = WeightsHooks(), Pipeline([node(len, "latents", "sweep_trials")])
    hooks._parameters = load(initial="shipped:golden")
    with pytest.raises(InputError, match="initial = shipped:golden: must be null for an ablation or a sweep"):
        hooks.before_pipeline_run(sweep, DataCatalog())


def test_the_networks_to_begin_from_are_named_by_their_weights(tmp_path):
    given, none = InitialNetworksDataset("shipped:golden"), InitialNetworksDataset(None)
    assert none.load() == {}
    assert none.fingerprint() == "none"
    assert set(given.load()) >= {"autoencoder", "operator"}
    assert given.fingerprint() == open_bundle("shipped:golden").card.weights_sha256[:16]
    with pytest.raises(DatasetError, match="initial = shipped:golden: must not be saved to"):
        given.save({})
