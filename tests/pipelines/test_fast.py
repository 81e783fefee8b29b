"""The fast mode's pipeline: a decoder learns from the coarse solver's own roll-outs, and is scored beside it."""

import numpy as np
import pytest
import torch

from solved import burgers
from universal_simulator.compute.device import stream
from universal_simulator.configuration import CoarseSolver, Compute, Evaluation, Fast, TrainedDecoder, Training
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.statistics import measure
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.fast.nodes import plan_fast, score_fast
from universal_simulator.pipelines.training_stage import Plan, select_best, train_stage
from universal_simulator.support.errors import InputError

STRIDE, COMPUTE = 2, Compute(device="cpu")
EVALUATION = Evaluation(protocols=("rollout",), batch_size=6)
TRAINING = Training(
    epochs=3, windows_per_epoch=640, batch_size=16, learning_rate=3e-3, ema_decay=0.9, validation_windows=32,
    optimizer="muon",
)  # fmt: skip
FAST = Fast(
    solver=CoarseSolver(points=48, courant=1.0),
    network=TrainedDecoder(width=16, depth=3, kernel=5, refinement=2),
    training=TRAINING,
)


@pytest.fixture(scope="module")
def known():
    everything = burgers(28, 41, 128, 0.02)
    return everything.subset(slice(0, 22)), everything.subset(slice(22, 28))


@pytest.fixture(scope="module")
def plan(known) -> Plan:
    train, test = known
    return plan_fast(train, test, measure(train, STRIDE).model_dump(mode="json"), FAST, STRIDE, 3, COMPUTE)


def test_a_trained_decoder_errs_less_than_the_solver_it_decodes(plan, known):
    *_, (state, _) = train_stage(plan, 3, COMPUTE, {})
    found = score_fast(select_best(plan, state), known[1], FAST, EVALUATION, STRIDE)
    assert found["rollout/fast/nrmse"] < found["rollout/solver/nrmse"] / 2
    assert found["rollout/fast/conservation_gap"] < 1e-6


def test_an_untrained_one_errs_as_the_solver_does(plan, known):
    untrained = Trained(plan.recipe, plan.recipe.build().eval().requires_grad_(False), {})
    found = score_fast(untrained, known[1], FAST, EVALUATION, STRIDE)
    assert found["rollout/fast/nrmse"] == pytest.approx(found["rollout/solver/nrmse"], rel=1e-3)


def test_what_it_learns_from_are_frames_of_the_same_trajectory_and_time_on_both_sides(plan, known):
    network = plan.recipe.build()
    batch = plan.equip(network, network).draw(stream(1))
    facts, grid = known[0].facts, plan.recipe.latent_grid
    long = resized(batch.v, known[0].grid, facts.channels, (16,))
    solver = resized(batch.z, grid, facts.channels, (16,))
    assert (long - solver).square().mean().sqrt() < 0.02 * long.square().mean().sqrt()
    assert len(np.unique(batch.mean.numpy())) > 8
    assert torch.isfinite(batch.z).all()


def test_an_experiment_without_the_section_is_refused(known):
    with pytest.raises(InputError, match="fast = null: must say the solver's setting and the training; set fast"):
        plan_fast(*known, {}, None, STRIDE, 3, COMPUTE)
