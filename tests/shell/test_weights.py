"""Weights from elsewhere in place of trained ones: only those that fit the experiment, and only to be evaluated."""

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from universal_simulator.errors import InputError
from universal_simulator.hooks.weights import WeightsHooks


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


def test_results_of_shipped_weights_lie_beside_the_experiments_own(loader):
    assert loader({"experiment": "sota_v1"}).folder() == "sota_v1"
    assert loader({"experiment": "sota_v1", "weights": "shipped"}).folder() == "sota_v1-shipped"
