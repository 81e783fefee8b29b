"""The fast mode's pipeline: a decoder learns from the coarse solver's own roll-outs, and is scored beside it."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from solved import burgers
from universal_simulator.compute.device import stream
from universal_simulator.configuration import (
    CoarseSolver,
    Compute,
    Evaluation,
    Fast,
    TestTimeConditioning,
    TrainedDecoder,
    Training,
    UShapedDecoder,
)
from universal_simulator.emulation.forecasters import Hybrid, Numerical
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.baselines.scoring import scored
from universal_simulator.pipelines.evaluation.nodes import assemble_fast, keep_examples, make_tasks
from universal_simulator.pipelines.fast.nodes import plan_fast
from universal_simulator.pipelines.training_stage import Plan, select_best, train_stage
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from untrained import untrained

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


def scores_of(trained: Trained, test: Trajectories, fast: Fast, stride: int) -> dict[str, float]:
    """Return the scores of the solver with its decoder and without, as the evaluation enters them."""
    entered = {"solver": Numerical(test.facts.name, fast.solver), "fast": Hybrid(trained.network, fast.solver)}
    return scored(entered, test, EVALUATION, stride).scores()


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
    found = scores_of(select_best(plan, state), known[1], FAST, STRIDE)
    assert found["rollout/fast/nrmse"] < found["rollout/solver/nrmse"] / 2
    assert found["rollout/fast/conservation_gap"] < 1e-6


def test_an_untrained_one_errs_as_the_solver_does(plan, known):
    untrained = Trained(plan.recipe, plan.recipe.build().eval().requires_grad_(False), {})
    found = scores_of(untrained, known[1], FAST, STRIDE)
    assert found["rollout/fast/nrmse"] == pytest.approx(found["rollout/solver/nrmse"], rel=1e-3)


SCORED = Evaluation(protocols=("rollout",), variants=("deterministic", "fast"))


@pytest.fixture
def decoder(plan) -> Trained:
    """Return one that knows what it learned from, as a training leaves it."""
    return Trained(plan.recipe, plan.recipe.build(), {**plan.sources, "seed": "3"})


def test_a_decoder_that_fits_is_the_fast_mode_where_it_is_asked_for(decoder, known):
    (one,) = assemble_fast(decoder, FAST, SCORED, known[0], STRIDE, 3, "trained").values()
    assert (one.codec, one.setting) == (decoder.network, FAST.solver)
    assert assemble_fast(decoder, FAST, EVALUATION, known[0], STRIDE, 3, "trained") == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fast": None}, "is not trained"),
        ({"settings": None}, "is not trained"),
        ({"settings": FAST.model_copy(update={"solver": CoarseSolver(points=64, courant=1.0)})}, "another solver"),
        ({"stride": 5}, "another stride"),
        ({"seed": 4}, "another seed"),
        ({"train": burgers(4, 41, 128, 0.02)}, "another data"),
        ({"train": burgers(4, 41, 128, 0.02), "seed": 4}, "another data, seed"),
    ],
)
def test_one_that_does_not_fit_is_left_out_and_that_is_said(decoder, known, caplog, changes, why):
    given = {"fast": decoder, "settings": FAST, "evaluation": SCORED, "train": known[0], "stride": STRIDE, "seed": 3}
    with caplog.at_level(logging.INFO):
        assert assemble_fast(**(given | changes), weights="trained") == {}
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("Left out: fast mode, whose decoder ")
    assert said.endswith(f"{why}; run --pipelines=fast,evaluation,reporting")


def test_one_of_other_weights_may_be_of_data_solved_elsewhere_but_not_of_another_problem(decoder, known, caplog):
    fresh = burgers(4, 41, 128, 0.02)
    assert assemble_fast(decoder, FAST, SCORED, fresh, STRIDE, 4, "shipped")
    facts = decoder.recipe.facts.model_copy(update={"name": "heat"})
    foreign = replace(decoder, recipe=decoder.recipe.model_copy(update={"facts": facts}))
    with caplog.at_level(logging.INFO):
        assert assemble_fast(foreign, FAST, SCORED, fresh, STRIDE, 4, "shipped") == {}
    assert "another problem" in caplog.text


def test_every_protocol_and_the_examples_take_it(decoder, known):
    quick = {"fast": Hybrid(decoder.network, FAST.solver)}
    for name in ("rollout", "one_step"):
        (task,) = make_tasks(known[1], Evaluation(protocols=(name,)), STRIDE, torch.device("cpu"))
        assert quick["fast"](task, stream(0)).shape == (6, 1, *task.truth.shape[1:])
    emulator = untrained(known[0].facts, known[0].grid, known[0].grid.resized((32,)))
    kept = keep_examples(emulator, known[1], SCORED, TestTimeConditioning(), STRIDE, 3, quick)
    assert kept["fast"].shape == kept["deterministic"].shape
    assert "violation_fast" in kept


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


WATER = find("shallow_water")
U_FAST = FAST.model_copy(
    update={
        "solver": CoarseSolver(points=16, courant=1.0),
        "network": UShapedDecoder(hidden_width=16, heads=2, group_size=4),
        "training": TRAINING.model_copy(update={"epochs": 2, "windows_per_epoch": 320, "ema_decay": 0.5}),
        "start_exponent": 1.0,
        "spectral_loss_weight": 0.1,
    }
)


@pytest.fixture(scope="module")
def water():
    grid, times = WATER.grid.resized((32, 32)), np.arange(5) * 0.2
    of = WATER.family().batch
    u = WATER.solver.solve((), lambda grid: of(grid, 0, range(12)), times, grid, refinement=2).values.numpy()
    everything = Trajectories.of(u.astype(np.float32), np.zeros((12, 0)), times, WATER.facts, grid)
    train, test = everything.subset(slice(0, 10)), everything.subset(slice(10, 12))
    return train, test, plan_fast(train, test, measure(train, 1).model_dump(mode="json"), U_FAST, 1, 3, COMPUTE)


def test_a_u_shaped_decoder_learns_from_fields_that_are_moved_as_the_solvers_are(water):
    """Among moved fields are some whose flow goes the other way; the solver's always go the truth's."""
    train, _, plan = water
    network, generator = plan.recipe.build(), stream(1)
    draw = plan.equip(network, network).draw
    for _ in range(12):
        batch = draw(generator)
        found = resized(batch.z, plan.recipe.latent_grid, WATER.facts.channels, (32, 32))
        gone = (found - batch.v).flatten(2).norm(dim=2) / batch.v.flatten(2).norm(dim=2)
        assert (gone < 0.7).all()  # a flow that goes the other way would err by 2, an unmoved one by 1.4
    known = torch.as_tensor(train.read(slice(None)))[:, 1:].flatten(0, 1)
    assert torch.cdist(batch.v.flatten(1), known.flatten(1)).amin(1).max() > 0.1  # moved, or among the known


def test_a_u_shaped_decoder_sharpens_what_a_finite_volume_solver_widens_and_keeps_the_water(water):
    _, test, plan = water
    *_, (state, _) = train_stage(plan, 3, COMPUTE, {})
    found = scores_of(select_best(plan, state), test, U_FAST, 1)
    assert found["rollout/fast/nrmse"] < 0.9 * found["rollout/solver/nrmse"]
    assert found["rollout/fast/conservation_gap"] < 1e-6
