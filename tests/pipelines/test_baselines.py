"""Baselines, really trained on a small sample: strong enough to be worth beating, and scored as the chain is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from solved import burgers
from universal_simulator.configuration import (
    Baselines,
    CircularUNet,
    CoarseSolver,
    Compute,
    Evaluation,
    FourierBaseline,
    FourierOperator,
    Latent,
    Operator,
    TestTimeConditioning,
    TrainedDecoder,
    Training,
    UNetBaseline,
    UTransformer,
)
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.emulation.forecasters import Hybrid
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.symmetries import discrete
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.networks.truncation import Truncation
from universal_simulator.pipelines import training_stage
from universal_simulator.pipelines.baselines import scoring
from universal_simulator.pipelines.baselines.nodes import plan_fno, plan_unet, prepare_fields
from universal_simulator.pipelines.baselines.scoring import Entries, clock, enter_baselines, score_baselines
from universal_simulator.pipelines.training_stage import Plan, select_best, train_stage
from universal_simulator.support.errors import InputError

NU, POINTS, SEED, STRIDE = 0.05, 128, 3, 5
COMPUTE = Compute(device="cpu")
EVALUATION = Evaluation(protocols=("rollout",), variants=("persistence", "deterministic", "ttc"), batch_size=6)
BASELINES = Baselines(
    seconds=100,
    epochs=1,
    points=64,
    unet=UNetBaseline(network=CircularUNet(width=12, levels=3, kernel=3)),
    fno=FourierBaseline(network=FourierOperator(modes=24, width=12, layers=3)),
    solvers=(CoarseSolver(points=48, courant=1.0), CoarseSolver(points=128, courant=0.5)),
)
TTC = TestTimeConditioning()
ALONE = EVALUATION.model_copy(update={"variants": ("persistence", "deterministic")})
"""For the chain's own part, which has no sampler of residuals here."""
ASKING = BASELINES.model_copy(update={"seconds": None})
"""Asks the chain for its time."""
STEPS_PER_SECOND = 3.0
"""Pretended, so that the same number of steps is taken on every machine."""

BETTER_THAN_PERSISTENCE = 5
"""How many times smaller each small network's error must be."""

TIMINGS = {"seconds": {"autoencoder": 10.0, "latents": 5.0, "operator": 85.0, "diffusion_residual": 7.0, "fast": 3.0}}
TRAINING = Training(epochs=9, windows_per_epoch=32, learning_rate=1e-3, ema_decay=0.98, validation_windows=16)
SMALL = UTransformer(hidden_width=16, points_per_token=8, point_width=32, depths=(1, 1, 1), heads=2, group_size=8)
OPERATOR = Operator(network=SMALL, training=TRAINING, time_strides=(STRIDE,), flux_form=False)


@dataclass(frozen=True)
class Trial:
    """Baselines and what they were made from."""

    known: Trajectories
    train: Latents
    test: Trajectories
    operator: Trained[Any]
    planned: dict[str, Plan]
    states: dict[str, dict[str, Any]]
    unet: Trained[Any]
    fno: Trained[Any]


@pytest.fixture(scope="module")
def trial() -> Trial:
    everything = burgers(60, 101, POINTS)
    train, test = everything.subset(slice(0, 48)), everything.subset(slice(48, 60))
    recipe = Recipe(
        stage="operator", settings=SMALL, latent=Latent(tokens=8, dim=8), facts=train.facts, grid=train.grid,
        statistics=measure(train, STRIDE), averaged=discrete(train.facts.symmetries)[:1],
    )  # fmt: skip
    operator = Trained(recipe, recipe.build())
    fields = prepare_fields(train, BASELINES, COMPUTE)
    planned = {name: plan(fields, operator) for name, plan in (("unet", unet_of), ("fno", fno_of))}
    states = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_stage, "steps_per_second", lambda *_: STEPS_PER_SECOND)
        for name, plan in planned.items():
            *_, (states[name], _) = train_stage(plan, SEED, COMPUTE, {})
    networks = {name: select_best(plan, states[name]) for name, plan in planned.items()}
    return Trial(train, fields, test, operator, planned, states, **networks)


def unet_of(fields: Latents, operator: Trained, baselines=BASELINES, section=OPERATOR, timings=None) -> Plan:
    return plan_unet(fields, fields, operator, section, baselines, timings or {}, COMPUTE)


def fno_of(fields: Latents, operator: Trained, baselines=BASELINES, section=OPERATOR, timings=None) -> Plan:
    return plan_fno(fields, fields, operator, section, baselines, timings or {}, COMPUTE)


def enter(trial: Trial, evaluation=EVALUATION, **other: Trained[Any]) -> Entries:
    networks = {"unet": trial.unet, "fno": trial.fno} | other
    return enter_baselines(networks["unet"], networks["fno"], trial.known, evaluation, BASELINES, TTC)


def scores(trial: Trial, evaluation=EVALUATION, **other: Trained[Any]) -> dict[str, float]:
    return score_baselines(enter(trial, evaluation, **other), trial.test, evaluation, BASELINES, STRIDE)[0]


@pytest.fixture(scope="module")
def found(trial) -> dict[str, float]:
    return scores(trial)


def test_small_networks_beat_persistence_by_the_stated_factor(found):
    for name in ("unet", "fno"):
        factor = found["rollout/persistence/nrmse"] / found[f"rollout/{name}/nrmse"]
        assert factor > BETTER_THAN_PERSISTENCE, (name, found[f"rollout/{name}/nrmse"])
        assert found[f"rollout/{name}/conservation_gap"] < 1e-5


def test_a_network_that_was_never_trained_fails_that(trial):
    fake = Trained(trial.unet.recipe, trial.unet.recipe.build().requires_grad_(False), {"training_s": 0.0})
    found = scores(trial, ALONE, unet=fake)
    assert found["rollout/unet/nrmse"] > found["rollout/persistence/nrmse"] / BETTER_THAN_PERSISTENCE


def test_the_equation_guides_a_baseline_as_it_guides_the_chain(trial, found):
    for name in ("unet", "fno"):
        assert found[f"rollout/{name}_guided/nrmse"] < 0.95 * found[f"rollout/{name}/nrmse"]
    plain = scores(trial, ALONE)
    assert not [name for name in plain if "guided" in name]
    assert plain["rollout/unet/nrmse"] == found["rollout/unet/nrmse"]


def test_the_solver_is_better_the_finer_it_is_and_the_points_alone_lose_little(found):
    assert found["rollout/solver_128_c0.5/nrmse"] < 1e-4 < found["rollout/solver_48_c1/nrmse"]
    assert (
        0 < found["truncation/points_64/nrmse"] < 0.2 * min(found[f"rollout/{name}/nrmse"] for name in ("unet", "fno"))
    )


def test_a_baseline_learns_as_long_as_encoder_latents_and_operator_took(trial):
    for plan in (unet_of, fno_of):
        assert plan(trial.train, trial.operator, ASKING, timings=TIMINGS).seconds == 100.0
    taken = trial.states["unet"]["rows"][-1]["step"]
    assert taken == pytest.approx(100 * STEPS_PER_SECOND, rel=0.02)
    assert trial.unet.provenance["training_s"] == sum(row["seconds"] for row in trial.states["unet"]["rows"])


def test_an_experiment_that_has_not_run_cannot_lend_its_time(trial):
    with pytest.raises(InputError, match=r"no time of latents, operator.*--pipeline=full.*baselines\.seconds"):
        unet_of(trial.train, trial.operator, ASKING, timings={"seconds": {"autoencoder": 3.0}})


def test_a_baseline_is_trained_as_the_operator_is_but_for_its_own_rates(trial):
    section = trial.planned["fno"].section
    assert section.training.betas == TRAINING.betas
    assert section.training.ema_decay == TRAINING.ema_decay
    assert (section.time_strides, section.unroll) == (OPERATOR.time_strides, OPERATOR.unroll)
    assert section.training.optimizer == BASELINES.fno.optimizer
    assert section.training.learning_rate == BASELINES.fno.learning_rate > section.training.final_learning_rate > 0


@pytest.mark.parametrize(("own", "chain", "form"), [(None, True, True), (None, False, False), (False, True, False)])
def test_a_baseline_gives_a_flux_where_the_operator_does_unless_it_has_a_will_of_its_own(trial, own, chain, form):
    tree = BASELINES.model_dump(mode="json")
    baselines = Baselines.model_validate(tree | {"unet": tree["unet"] | {"flux_form": own}})
    operator = OPERATOR.model_copy(update={"flux_form": chain})
    unet, fno = (plan(trial.train, trial.operator, baselines, operator) for plan in (unet_of, fno_of))
    assert (unet.recipe.flux_form, unet.section.flux_form) == (form, form)
    assert not fno.recipe.flux_form


def test_a_finished_baseline_is_neither_measured_nor_trained_again(trial, monkeypatch):
    def measured(*_):
        raise AssertionError("the speed was measured again")

    monkeypatch.setattr(training_stage, "steps_per_second", measured)
    ((state, rows),) = train_stage(trial.planned["unet"], SEED, COMPUTE, trial.states["unet"])
    assert state is trial.states["unet"]
    assert len(rows) == BASELINES.epochs
    slower = UNetBaseline(network=CircularUNet(width=16, levels=3, kernel=3))
    for change in ({"seconds": 200.0}, {"unet": slower}):
        other = unet_of(trial.train, trial.operator, BASELINES.model_copy(update=change))
        with pytest.raises(AssertionError, match="measured again"):
            next(train_stage(other, SEED, COMPUTE, trial.states["unet"]))


def test_fields_are_kept_in_the_frame_that_moves_with_their_mean(trial):
    """Where no fluctuation is left, nothing moves: in the frame at rest fronts would."""
    assert trial.train.values.shape == (48, 101, 1, 64)
    assert np.abs(trial.train.values.mean(-1)).max() < 1e-6
    assert np.abs(trial.train.mean).max() > 0.1


def chain_of(trial: Trial) -> Emulator:
    """The U-Net in place of the chain's operator, which has no sampler then."""
    codec = Truncation(trial.known.facts, trial.known.grid.resized((BASELINES.points,)))
    return Emulator(codec, trial.unet.network, None, trial.known.facts, trial.known.grid)


def test_everybody_is_clocked_in_one_run_and_the_chain_pays_for_all_its_stages(trial):
    entered = enter(trial, ALONE)
    table = clock(entered, chain_of(trial), trial.test, ALONE, TTC, STRIDE, TIMINGS).set_index("name")
    assert set(table.index) == {"persistence", "unet", "fno", "solver_48_c1", "solver_128_c0.5", "deterministic"}
    assert table.loc["deterministic", "training_s"] == 100.0
    assert table.loc["unet", "training_s"] == trial.unet.provenance["training_s"]
    assert table.loc["solver_48_c1", "training_s"] == 0
    assert (table["rollout_s"] > 0).all()
    assert table["rollout_s"].idxmin() == "persistence"
    size = sum(p.numel() for p in trial.unet.network.parameters())
    assert table.loc["unet", "parameters"] == table.loc["deterministic", "parameters"] == size


def test_the_fast_mode_pays_for_its_own_training_and_weights(trial):
    codec = TrainedDecoder(width=4, kernel=3)
    recipe = trial.unet.recipe.model_copy(
        update={"stage": "fast", "settings": codec, "latent": Latent(tokens=1, dim=48)}
    )
    asked = ALONE.model_copy(update={"variants": ("deterministic", "fast")})
    quick = Hybrid(recipe.build(), CoarseSolver(points=48, courant=1.0))
    given = (chain_of(trial), trial.test, asked, TTC, STRIDE, TIMINGS)
    assert list(clock({}, *given)["name"]) == ["deterministic"]
    table = clock({}, *given, {"fast": quick}).set_index("name")
    assert table.loc["fast", "training_s"] == 3.0
    assert table.loc["fast", "parameters"] == sum(p.numel() for p in quick.codec.parameters())
    assert table.loc["fast", "rollout_s"] > 0


def test_the_clock_is_held_to_every_parameter(trial, monkeypatch):
    mixed, seen = trial.test.subset(slice(None)), []
    mixed.parameters = np.repeat([NU, 2 * NU], [8, 4])[:, None]
    monkeypatch.setattr(scoring, "make_tasks", lambda part, *_: seen.extend(part.parameters[:, 0]) or [])
    clock(enter(trial, ALONE), chain_of(trial), mixed, ALONE, TTC, STRIDE, TIMINGS)
    assert sorted(seen) == [NU] * 3 + [2 * NU] * 3
