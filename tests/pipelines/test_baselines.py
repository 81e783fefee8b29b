"""Baselines, really trained on a small sample: strong enough to be worth beating, and scored as the chain is."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from universal_simulator.configuration import (
    Baselines,
    CircularUNet,
    CoarseSolver,
    Compute,
    Data,
    Evaluation,
    FourierBaseline,
    FourierOperator,
    Operator,
    TestTimeConditioning,
    Training,
    UNetBaseline,
)
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.autoencoder import Truncation
from universal_simulator.networks.trained import Trained
from universal_simulator.physics.burgers import Burgers
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.solver import solve
from universal_simulator.pipelines.baselines import nodes, scoring
from universal_simulator.pipelines.baselines.nodes import (
    Planned,
    plan_baselines,
    prepare_fields,
    select_fno,
    select_unet,
    train_fno,
    train_unet,
)
from universal_simulator.pipelines.baselines.scoring import clock, score_baselines
from universal_simulator.support.errors import InputError

NU, POINTS, SEED = 0.05, 128, 3
COMPUTE, DATA = Compute(device="cpu"), Data(viscosities=(NU,), time_stride=5)
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
STEPS_PER_SECOND = 3.0
"""Pretended, so that the same number of steps is taken on every machine."""

BETTER_THAN_PERSISTENCE = 5
"""How many times smaller each small network's error must be."""

TIMINGS = {"seconds": {"autoencoder": 10.0, "latents": 5.0, "operator": 85.0, "diffusion_residual": 7.0}}
TRAINING = Training(epochs=9, windows_per_epoch=32, learning_rate=1e-3, ema_decay=0.98, validation_windows=16)
OPERATOR = Operator(training=TRAINING, time_strides=(5,), flux_form=False)


@dataclass(frozen=True)
class Trial:
    """Baselines and what they were made from."""

    train: Latents
    test: Trajectories
    planned: dict[str, Planned]
    states: dict[str, dict[str, Any]]
    unet: Trained[Any]
    fno: Trained[Any]


@pytest.fixture(scope="module")
def trial() -> Trial:
    times = np.arange(101) * 0.01
    values = solve(
        Burgers(NU), lambda x: torch.stack([initial_condition(x, 0, i) for i in range(60)]), times, POINTS
    ).values.float()
    everything = Trajectories.of(values.numpy(), NU, times)
    train, test = everything.subset(slice(0, 48)), everything.subset(slice(48, 60))
    planned = plan_baselines({}, measure(train, 5).model_dump(), BASELINES, OPERATOR)
    fields = prepare_fields(train, BASELINES, DATA, COMPUTE)
    states = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "steps_per_second", lambda *_: STEPS_PER_SECOND)
        for name, training in (("unet", train_unet), ("fno", train_fno)):
            *_, (states[name], _) = training(planned, fields, fields, DATA, SEED, COMPUTE, {})
    return Trial(
        fields,
        test,
        planned,
        states,
        select_unet(planned, states["unet"], DATA),
        select_fno(planned, states["fno"], DATA),
    )


def scores(trial: Trial, **other: Trained[Any]) -> dict[str, float]:
    entered = {"unet": trial.unet, "fno": trial.fno} | other
    return score_baselines(entered["unet"], entered["fno"], trial.test, EVALUATION, BASELINES, TTC, DATA, COMPUTE)[0]


def test_small_networks_beat_persistence_by_the_stated_factor(trial):
    found = scores(trial)
    for name in ("unet", "fno"):
        factor = found["rollout/persistence/nrmse"] / found[f"rollout/{name}/nrmse"]
        assert factor > BETTER_THAN_PERSISTENCE, (name, found[f"rollout/{name}/nrmse"])
        assert found[f"rollout/{name}/conservation_gap"] < 1e-5


def test_a_network_that_was_never_trained_fails_that(trial):
    fake = Trained(trial.unet.recipe, trial.unet.recipe.build().requires_grad_(False), {"training_s": 0.0})
    found = scores(trial, unet=fake)
    assert found["rollout/unet/nrmse"] > found["rollout/persistence/nrmse"] / BETTER_THAN_PERSISTENCE


def test_the_equation_guides_a_baseline_as_it_guides_the_chain(trial):
    found = scores(trial)
    for name in ("unet", "fno"):
        assert found[f"rollout/{name}_guided/nrmse"] < 0.95 * found[f"rollout/{name}/nrmse"]
    plain = score_baselines(trial.unet, trial.fno, trial.test, ALONE, BASELINES, TTC, DATA, COMPUTE)[0]
    assert not [name for name in plain if "guided" in name]
    assert plain["rollout/unet/nrmse"] == found["rollout/unet/nrmse"]


def test_the_solver_is_better_the_finer_it_is_and_the_points_alone_lose_little(trial):
    found = scores(trial)
    assert found["rollout/solver_128_c0.5/nrmse"] < 1e-4 < found["rollout/solver_48_c1/nrmse"]
    assert (
        0 < found["truncation/points_64/nrmse"] < 0.2 * min(found[f"rollout/{name}/nrmse"] for name in ("unet", "fno"))
    )


def test_a_baseline_learns_as_long_as_encoder_latents_and_operator_took(trial):
    normal = trial.unet.recipe.statistics.model_dump()
    planned = plan_baselines(TIMINGS, normal, BASELINES.model_copy(update={"seconds": None}), OPERATOR)
    assert {name: plan.seconds for name, plan in planned.items()} == {"unet": 100.0, "fno": 100.0}
    taken = trial.states["unet"]["rows"][-1]["step"]
    assert taken == pytest.approx(100 * STEPS_PER_SECOND, rel=0.02)
    assert trial.unet.provenance["training_s"] == sum(row["seconds"] for row in trial.states["unet"]["rows"])


def test_an_experiment_that_has_not_run_cannot_lend_its_time(trial):
    normal = trial.unet.recipe.statistics.model_dump()
    with pytest.raises(InputError, match=r"no time of latents, operator.*--pipeline=full.*baselines\.seconds"):
        plan_baselines(
            {"seconds": {"autoencoder": 3.0}}, normal, BASELINES.model_copy(update={"seconds": None}), OPERATOR
        )


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
    normal = trial.unet.recipe.statistics.model_dump()
    planned = plan_baselines(TIMINGS, normal, baselines, operator)
    assert (planned["unet"].recipe.flux_form, planned["unet"].section.flux_form) == (form, form)
    assert not planned["fno"].recipe.flux_form


def test_a_finished_baseline_is_neither_measured_nor_trained_again(trial, monkeypatch):
    def measured(*_):
        raise AssertionError("the speed was measured again")

    monkeypatch.setattr(nodes, "steps_per_second", measured)
    ((state, rows),) = train_unet(trial.planned, trial.train, trial.train, DATA, SEED, COMPUTE, trial.states["unet"])
    assert state is trial.states["unet"]
    assert len(rows) == BASELINES.epochs
    planned = trial.planned["unet"]
    slower = planned.section.model_copy(update={"network": CircularUNet(width=16, levels=3, kernel=3)})
    for other in (replace(planned, seconds=200.0), replace(planned, section=slower)):
        with pytest.raises(AssertionError, match="measured again"):
            next(train_unet({"unet": other}, trial.train, trial.train, DATA, SEED, COMPUTE, trial.states["unet"]))


def test_fields_are_kept_in_the_frame_that_moves_with_their_mean(trial):
    """Where no fluctuation is left, nothing moves: in the frame at rest fronts would."""
    assert trial.train.values.shape == (48, 101, 1, 64)
    assert np.abs(trial.train.values.mean(-1)).max() < 1e-6
    assert np.abs(trial.train.mean).max() > 0.1


def test_everybody_is_clocked_in_one_run_and_the_chain_pays_for_all_its_stages(trial):
    emulator = Emulator(Truncation(64), trial.unet.network, None, "burgers")
    table = clock(
        trial.unet, trial.fno, emulator, trial.test, ALONE, BASELINES, TTC, DATA, COMPUTE,
        TIMINGS,
    ).set_index("name")  # fmt: skip
    assert set(table.index) == {"persistence", "unet", "fno", "solver_48_c1", "solver_128_c0.5", "deterministic"}
    assert table.loc["deterministic", "training_s"] == 100.0
    assert table.loc["unet", "training_s"] == trial.unet.provenance["training_s"]
    assert table.loc["solver_48_c1", "training_s"] == 0
    assert (table["rollout_s"] > 0).all()
    assert table["rollout_s"].idxmin() == "persistence"
    size = sum(p.numel() for p in trial.unet.network.parameters())
    assert table.loc["unet", "parameters"] == table.loc["deterministic", "parameters"] == size


def test_the_clock_is_held_to_every_viscosity(trial, monkeypatch):
    mixed, seen = trial.test.subset(slice(None)), []
    mixed.viscosity = np.repeat([NU, 2 * NU], [8, 4])
    monkeypatch.setattr(scoring, "make_tasks", lambda part, *_: seen.extend(part.viscosity) or [])
    emulator = Emulator(Truncation(64), trial.unet.network, None, "burgers")
    clock(trial.unet, trial.fno, emulator, mixed, ALONE, BASELINES, TTC, DATA, COMPUTE, TIMINGS)
    assert sorted(seen) == [NU] * 3 + [2 * NU] * 3
