"""The whole chain in miniature, for two channels between walls: with an equation, and with nothing but data."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from solved import solved
from universal_simulator.configuration import (
    Autoencoder,
    Baselines,
    CoarseSolver,
    Compute,
    ConsistencyDistillation,
    DiffusionResidual,
    Ensemble,
    EnsembleCalibration,
    Evaluation,
    Latent,
    Operator,
    Outside,
    SpectralTruncation,
    TestTimeConditioning,
    Training,
    UTransformer,
)
from universal_simulator.emulation.emulator import Emulator, assemble
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.autoencoder.nodes import plan_autoencoder
from universal_simulator.pipelines.baselines.nodes import plan_fno, plan_unet, prepare_fields
from universal_simulator.pipelines.baselines.scoring import enter_baselines, score_baselines
from universal_simulator.pipelines.calibration.nodes import calibrate_ensemble
from universal_simulator.pipelines.consistency_distillation.nodes import plan_consistency_distillation
from universal_simulator.pipelines.diffusion_residual.nodes import plan_diffusion_residual
from universal_simulator.pipelines.evaluation.nodes import evaluate, keep_examples, make_bundle, write_card
from universal_simulator.pipelines.evaluation.out_of_distribution import evaluate_out_of_distribution
from universal_simulator.pipelines.latents.nodes import precompute_latents
from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import Plan, select_best, train_stage
from universal_simulator.problems import find
from universal_simulator.serving.bundle import Bundle
from universal_simulator.serving.emulator import Emulator as Served

SEED, STRIDE, COMPUTE = 3, 1, Compute(device="cpu")
SHORT = Training(epochs=1, windows_per_epoch=12, batch_size=4, learning_rate=1e-3, validation_windows=4)
SMALL = UTransformer(points_per_token=2, point_width=0, hidden_width=8, depths=(1, 1, 1), heads=2, group_size=4)
STEPPER = Operator(network=SMALL, training=SHORT, time_strides=(STRIDE,))
RESIDUAL = DiffusionResidual(network=SMALL, training=SHORT, time_strides=(STRIDE,), holdout=0.4)
STUDENT = ConsistencyDistillation(training=SHORT, noise_levels_per_batch=2, schedule=(3,))
EVALUATION = Evaluation(ensemble=Ensemble(members=2), outside=Outside(trajectories=1, amplitude=(0.5,)), examples=1)
TTC = TestTimeConditioning(candidates=2, beam=1, budget=2)
BASELINES = Baselines.model_validate(
    {
        "seconds": 1, "epochs": 1, "points": 16, "solvers": [{"points": 16, "courant": 1.0}],
        "unet": {"network": {"width": 8, "levels": 2, "kernel": 3}, "batch_size": 4},
        "fno": {"network": {"modes": 4, "width": 4, "layers": 1}, "batch_size": 4},
    }
)  # fmt: skip
TREE = {
    "experiment": {"name": "miniature"}, "data": {"parameters": {}}, "ttc": TTC.model_dump(mode="json"),
    "diffusion_residual": RESIDUAL.model_dump(mode="json"),
    "consistency_distillation": STUDENT.model_dump(mode="json"),
}  # fmt: skip
NAMES = ["diffusion_reaction", "data_only"]


@dataclass(frozen=True)
class Chain:
    """Trajectories, trained networks, and their emulator."""

    train: Trajectories
    validation: Trajectories
    test: Trajectories
    parts: tuple[Trained[Any], ...]
    emulator: Emulator


def trained(plan: Plan) -> Trained[Any]:
    *_, (state, rows) = train_stage(plan, SEED, COMPUTE, {})
    assert np.isfinite(rows[["train_loss", "validation_loss"]].to_numpy(float)).all()
    return select_best(plan, state)


def trajectories(name: str) -> Trajectories:
    """FitzHugh and Nagumo's equation, or its numbers alone."""
    made = solved("diffusion_reaction", 9, np.arange(13) * 0.05, (16, 16))
    if name == "diffusion_reaction":
        return made
    told = made.facts.model_copy(update={"symmetries": ()})
    facts = find(name).with_facts(told, made.grid).facts
    return Trajectories.of(made.read(slice(None)).numpy(), (), made.times, facts, made.grid)


@pytest.fixture(scope="module")
def chains() -> Callable[[str], Chain]:
    made: dict[str, Chain] = {}

    def chain(name: str) -> Chain:
        if name not in made:
            made[name] = made_of(trajectories(name))
        return made[name]

    return chain


def made_of(everything: Trajectories) -> Chain:
    train, validation, test = (everything.subset(slice(*ends)) for ends in ((0, 5), (5, 7), (7, 9)))
    known, latent = measure(train, STRIDE).model_dump(), Latent(tokens=4, dim=2)
    section = Autoencoder(network=SpectralTruncation(), training=SHORT)
    codec = trained(plan_autoencoder(train, validation, known, section, latent, COMPUTE))
    latents = [next(precompute_latents(part, codec, COMPUTE)).part for part in (train, validation)]
    operator = trained(plan_operator(*latents, codec, STEPPER, RESIDUAL.holdout, COMPUTE))
    teacher = trained(plan_diffusion_residual(*latents, operator, RESIDUAL, COMPUTE))
    student = trained(plan_consistency_distillation(*latents, operator, teacher, STUDENT, RESIDUAL, COMPUTE))
    parts = (codec, operator, student)
    return Chain(train, validation, test, parts, assemble(*parts, RESIDUAL, STUDENT, COMPUTE))


@pytest.mark.parametrize("name", NAMES)
def test_everybody_who_can_forecast_is_scored_over_all_channels_and_each(chains, name, caplog):
    caplog.set_level("INFO")
    chain = chains(name)
    scores = evaluate(chain.emulator, chain.train, chain.test, EVALUATION, TTC, STRIDE, SEED)[0]
    for variant in ("persistence", "mean", "nearest", "deterministic", "ensemble"):
        for protocol in EVALUATION.protocols:
            found = [scores[f"{protocol}/{variant}/{metric}"] for metric in ("nrmse", "nrmse/u", "nrmse/v")]
            assert np.isfinite(found).all()
            assert found[0] > 0
    physical = name != "data_only"
    assert ("rollout/ttc/nrmse" in scores) == physical
    said = [one.message for one in caplog.records if "Left out" in one.message]
    assert said == ([] if physical else ["Left out, as data_only has no rate of change: ttc"])


def test_persistence_and_mean_are_scored_as_by_hand(chains):
    chain = chains("data_only")
    scores = evaluate(chain.emulator, chain.train, chain.test, EVALUATION, TTC, STRIDE, SEED)[0]
    u, train = (part.read(slice(None)).double() for part in (chain.test, chain.train))
    truth, size = u[:, 1:], u[:, 1:].square().mean((-2, -1)).sqrt()
    guesses = {"persistence": u[:, :1], "mean": train.mean(0, keepdim=True)[:, 1:]}
    for name, guess in guesses.items():
        errors = (guess - truth).square().mean((-2, -1)).sqrt() / size
        for channel, error in zip("uv", errors.mean((0, 1)).tolist(), strict=True):
            assert scores[f"rollout/{name}/nrmse/{channel}"] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_outside_is_solved_where_there_is_a_solver(chains, name, caplog):
    caplog.set_level("INFO")
    chain = chains(name)
    table = evaluate_out_of_distribution(chain.emulator, chain.test, EVALUATION, TTC, STRIDE, SEED)
    said = [one.message for one in caplog.records if "Left out" in one.message]
    if name == "data_only":
        assert (len(table), said) == (0, ["Left out, as data_only has no solver: forecasts outside of training"])
    else:
        assert (table["amplitude"].tolist(), said) == ([1.0, 0.5], [])
        assert np.isfinite(table["nrmse"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_baselines_are_scored_without_those_that_need_a_solver_or_a_rate(chains, name, caplog):
    chain, operator = chains(name), chains(name).parts[1]
    fields = [prepare_fields(part, BASELINES, COMPUTE) for part in (chain.train, chain.validation)]
    plans = [plan(*fields, operator, STEPPER, BASELINES, {}, COMPUTE) for plan in (plan_unet, plan_fno)]
    caplog.set_level("INFO")
    entered = enter_baselines(*(trained(plan) for plan in plans), chain.train, EVALUATION, BASELINES, TTC)
    said = [one.message for one in caplog.records if "Left out" in one.message]
    scores = score_baselines(entered, chain.test, EVALUATION, BASELINES, STRIDE)[0]
    plain = {"unet", "fno", "persistence", "mean", "nearest"}
    if name == "data_only":
        assert (set(entered), said) == (plain, ["Left out, as data_only has no solver: numerical baselines"])
    else:
        assert (set(entered), said) == (
            plain | {"unet_guided", "fno_guided", CoarseSolver(points=16, courant=1).name},
            [],
        )
        assert scores["rollout/solver_16_c1/nrmse"] < scores["rollout/persistence/nrmse"] / 10
    assert all(np.isfinite(scores[f"rollout/{one}/nrmse/{channel}"]) for one in entered for channel in "uv")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_calibrated_shown_carried_away_and_asked_again(chains, name, tmp_path, caplog):
    chain = chains(name)
    few = EnsembleCalibration(trajectories=2, memories=(0.0,))
    with caplog.at_level(logging.INFO):
        calibration = calibrate_ensemble(chain.emulator, chain.validation, few, EVALUATION, TTC, STRIDE, SEED)
    assert f"The alarm knows {len(chain.validation)} validation trajectories, must know 64" in caplog.text
    kept = keep_examples(chain.emulator, chain.test, EVALUATION, TTC, STRIDE, SEED)
    assert ("violation_truth" in kept) == (name != "data_only")
    assert kept["deterministic"].shape == kept["truth"].shape == (1, 12, 2, 16, 16)
    card = write_card(TREE, {}, calibration, chain.test, {}, {})
    make_bundle(card, *chain.parts).write(tmp_path)
    again = Served.of(Bundle.read(tmp_path), "cpu")
    found = again.rollout(chain.test.read([0], [0])[:, 0].numpy(), times=np.arange(1, 13) * 0.05)
    np.testing.assert_allclose(found, kept["deterministic"], atol=1e-5)
