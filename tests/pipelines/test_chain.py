"""A small chain, really trained: it must forecast, and whatever would fake a forecast must be noticed."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from solved import burgers
from universal_simulator.configuration import (
    Autoencoder,
    Compute,
    ConsistencyDistillation,
    ConvolutionalAutoencoder,
    DiffusionResidual,
    Ensemble,
    Evaluation,
    Latent,
    Operator,
    TestTimeConditioning,
    Training,
    UTransformer,
)
from universal_simulator.emulation.emulator import Emulator, assemble
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.autoencoder.nodes import plan_autoencoder
from universal_simulator.pipelines.consistency_distillation.nodes import plan_consistency_distillation
from universal_simulator.pipelines.diffusion_residual.nodes import plan_diffusion_residual
from universal_simulator.pipelines.evaluation.nodes import evaluate
from universal_simulator.pipelines.latents.nodes import latents_fingerprint, precompute_latents
from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import Plan, select_best, train_stage

POINTS, STRIDE = 128, 5
SEED, COMPUTE = 3, Compute(device="cpu")
SMALL = UTransformer(hidden_width=16, points_per_token=8, point_width=32, depths=(1, 1, 1), heads=2, group_size=8)
BETTER_THAN_PERSISTENCE = 5
"""How many times smaller the small chain's error must be; it reaches about 20."""

WORSE_WITH_A_RANDOM_ENCODER = 3


def short(steps: int, rate: float, batch: int = 16) -> Training:
    return Training(
        epochs=1, windows_per_epoch=steps * batch, batch_size=batch, learning_rate=rate, ema_decay=0.98,
        validation_windows=32,
    )  # fmt: skip


def trained(plan: Plan) -> Trained[Any]:
    *_, (state, _) = train_stage(plan, SEED, COMPUTE, {})
    return select_best(plan, state)


@dataclass(frozen=True)
class Chain:
    """Trained parts, and what they were trained on."""

    test: Trajectories
    train: Trajectories
    latents: Latents
    autoencoder: Trained[Any]
    operator: Trained[Any]
    student: Trained[Any]
    emulator: Emulator


@pytest.fixture(scope="module")
def chain() -> Chain:
    everything = burgers(60, 101, POINTS)
    train, validation, test = (everything.subset(slice(*ends)) for ends in ((0, 40), (40, 48), (48, 60)))
    statistics, latent = measure(train, STRIDE).model_dump(), Latent(tokens=8, dim=16)
    section = Autoencoder(network=ConvolutionalAutoencoder(width=4, refinement=1), training=short(30, 1e-3))
    autoencoder = trained(plan_autoencoder(train, validation, statistics, section, latent, COMPUTE))
    encoded, held = (next(precompute_latents(part, autoencoder, COMPUTE)).part for part in (train, validation))
    shape = SMALL.model_copy(update={"hidden_width": 32})
    section = Operator(network=shape, training=short(250, 4e-3), time_strides=(5,))
    operator = trained(plan_operator(encoded, held, autoencoder, section, 0.1, COMPUTE))
    diffusion = DiffusionResidual(network=shape, training=short(60, 2e-3), time_strides=(5,))
    teacher = trained(plan_diffusion_residual(encoded, held, operator, diffusion, COMPUTE))
    distill = ConsistencyDistillation(training=short(15, 1e-3, 4))
    student = trained(plan_consistency_distillation(encoded, held, operator, teacher, distill, diffusion, COMPUTE))
    emulator = assemble(autoencoder, operator, student, diffusion, distill, COMPUTE)
    return Chain(test, train, encoded, autoencoder, operator, student, emulator)


def scores(emulator: Emulator, chain: Chain, **changes: Any) -> dict[str, float]:
    evaluation = Evaluation(
        protocols=("rollout",), variants=("persistence", "deterministic"), ensemble=Ensemble(members=3)
    ).model_copy(update=changes)
    settings = TestTimeConditioning(candidates=3, beam=2, threshold=0.0, budget=10)
    return evaluate(emulator, chain.train, chain.test, evaluation, settings, STRIDE, SEED)[0]


def randomised(network: nn.Module) -> nn.Module:
    """Return a copy that was never trained, with random weights in every layer."""
    other = deepcopy(network)
    torch.manual_seed(0)
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.2)
    return other.requires_grad_(False)


def test_a_small_budget_beats_persistence_by_the_stated_factor(chain):
    found = scores(chain.emulator, chain)
    assert found["rollout/deterministic/nrmse"] < found["rollout/persistence/nrmse"] / BETTER_THAN_PERSISTENCE


def test_an_operator_that_was_never_trained_fails_that(chain):
    fake = replace(chain.emulator, operator=randomised(chain.emulator.operator))
    found = scores(fake, chain)
    assert found["rollout/deterministic/nrmse"] > found["rollout/persistence/nrmse"] / BETTER_THAN_PERSISTENCE


def test_a_frozen_random_encoder_is_noticed_in_reconstruction_and_in_the_rollout(chain):
    """The first version of this system never trained its encoder, and nothing told."""
    fake = replace(chain.emulator, codec=randomised(chain.emulator.codec))
    honest, faked = scores(chain.emulator, chain), scores(fake, chain)
    assert honest["reconstruction/autoencoder/nrmse"] < 1e-3
    assert faked["reconstruction/autoencoder/nrmse"] > 0.1
    assert faked["rollout/deterministic/nrmse"] > WORSE_WITH_A_RANDOM_ENCODER * honest["rollout/deterministic/nrmse"]


class Recoded(nn.Module):
    """The same autoencoder with latents in another unit."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.grid, self.facts = inner, inner.grid, inner.facts

    def encode(self, v, parameters):
        return 7 * self.inner.encode(v, parameters)

    def decode(self, z, parameters, shape):
        return self.inner.decode(z / 7, parameters, shape)


class RecodedOperator(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.rate = inner, inner.rate

    def forward(self, z, parameters, time_step):
        return 7 * self.inner(z / 7, parameters, time_step)


@pytest.mark.usefixtures("unchecked")  # stand-ins of another type
def test_scores_do_not_depend_on_how_latents_are_coded(chain):
    """A metric taken on latents instead of decoded fields would be seven times as large."""
    inner = chain.emulator
    recoded = replace(inner, codec=Recoded(inner.codec), operator=RecodedOperator(inner.operator))
    honest, same = scores(inner, chain), scores(recoded, chain)
    for name in ("nrmse", "rmse", "max_error", "boundary_violation"):
        assert same[f"rollout/deterministic/{name}"] == pytest.approx(honest[f"rollout/deterministic/{name}"], rel=1e-3)


def test_scores_grow_with_the_field_not_with_its_latents(chain):
    found = scores(chain.emulator, chain)
    truth = chain.test.read(slice(None))[:, 5::5]
    start = chain.test.read(slice(None), [0])
    by_hand = ((start - truth).square().mean(-1) / truth.square().mean(-1)).sqrt().mean()
    assert found["rollout/persistence/nrmse"] == pytest.approx(by_hand.item(), rel=1e-4)


def test_every_variant_is_scored_and_the_seed_decides(chain):
    everything = {"variants": ("deterministic", "ensemble", "ttc")}
    first, again = (scores(chain.emulator, chain, **everything) for _ in range(2))
    assert first == again
    for variant in ("deterministic", "ensemble", "ttc"):
        assert np.isfinite(first[f"rollout/{variant}/nrmse"])
    assert first["rollout/ensemble/crps"] != first["rollout/deterministic/crps"]
    assert first["rollout/deterministic/conservation_gap"] < 1e-5


def small(**changes: Any) -> Operator:
    return Operator(network=SMALL, training=short(3, 1e-3), time_strides=(5,)).model_copy(update=changes)


def plan(chain: Chain, section: Operator, train: Latents | None = None, judge: Latents | None = None) -> Plan:
    return plan_operator(train or chain.latents, judge or chain.latents, chain.autoencoder, section, 0.1, COMPUTE)


def test_a_trained_stage_is_not_trained_again_and_other_data_start_over(chain):
    def run(previous: dict[str, Any], seed: int = SEED, **latents: Latents) -> list[Any]:
        return list(train_stage(plan(chain, small(), **latents), seed, COMPUTE, previous))

    ((state, history),) = run({})
    ((same, told),) = run(state)
    assert same is state
    assert told.to_dict("records") == history.to_dict("records")
    ((other, _),) = run(state, seed=SEED + 1)
    assert other["facts"] != state["facts"]
    renamed = replace(chain.latents, fingerprint=f"other-{chain.autoencoder.fingerprint}")
    for changed in (run(state, train=renamed), run(state, judge=renamed)):
        ((again, _),) = changed
        assert again["facts"] != state["facts"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"training": short(3, 2e-3)}, "training.learning_rate was 0.001, is 0.002"),
        ({"unroll": 2}, "unroll was 1, is 2"),
        ({}, 'code was "older", is '),
    ],
)
def test_a_state_of_another_kind_is_not_gone_on_with_and_the_reason_is_said(chain, change, reason, caplog):
    caplog.set_level("INFO")

    def run(previous: dict[str, Any], **changes: Any) -> dict[str, Any]:
        *_, (state, _) = train_stage(plan(chain, small(**changes)), SEED, COMPUTE, previous)
        return state

    first = run({})
    if not change:
        first = {**first, "facts": {**first["facts"], "code": '"older"'}}
    again = run(first, **change)
    assert again is not first
    assert f"operator: starting over: the earlier training is of another kind ({reason}" in caplog.text


def test_how_often_states_are_saved_makes_nothing_stale(chain):
    section = small()
    often = section.model_copy(update={"training": section.training.model_copy(update={"save_every_s": 1e-9})})
    saved = list(train_stage(plan(chain, often), SEED, COMPUTE, {}))
    assert [len(rows) for _, rows in saved] == [0, 0, 0, 1]
    ((same, _),) = train_stage(plan(chain, section), SEED, COMPUTE, saved[-1][0])
    assert same is saved[-1][0]
    *_, (resumed, rows) = train_stage(plan(chain, section), SEED, COMPUTE, saved[1][0])
    for name, value in same["best"].items():
        assert torch.equal(resumed["best"][name], value)
    assert len(rows) == 1


def test_latents_of_another_encoder_are_refused(chain):
    stale = replace(chain.latents, fingerprint="data-of-another-encoder")
    with pytest.raises(ValueError, match="run --pipeline=latents"):
        plan(chain, small(), stale, stale)


def test_a_store_of_latents_is_named_by_its_order_where_parameters_take_turns(chain):
    facts, grid, times = chain.train.facts, chain.train.grid, np.arange(3.0)
    fields = np.zeros((4, 3, 1, POINTS), np.float32)
    one, two = (
        Trajectories.of(fields, parameters, times, facts, grid)
        for parameters in ((0.01,), np.repeat([0.01, 0.1], 2)[:, None])
    )
    assert "interleaved" not in latents_fingerprint(one, chain.autoencoder)
    name = latents_fingerprint(two, chain.autoencoder)
    assert "interleaved" in name
    replace(chain.latents, fingerprint=name).refuse_stale(chain.autoencoder.fingerprint)  # it is of this encoder


def begun(chain: Chain, section: Operator, given: dict[str, Trained[Any]], rate: float) -> tuple[Trained[Any], Any]:
    """Train the operator from others' weights; return it and its history."""
    *_, (state, rows) = train_stage(plan(chain, section), SEED, COMPUTE, {}, given, rate)
    return select_best(plan(chain, section), state), rows


def of_width(chain: Chain, width: int) -> Operator:
    shape = SMALL.model_copy(update={"hidden_width": width, "point_width": width})
    return small(network=shape, training=short(3, 1e-3).model_copy(update={"ema_decay": 0.0}))


def test_a_training_begins_from_given_weights_of_its_stage_at_a_rate_of_its_own(chain):
    given = {"operator": chain.operator}
    still, rows = begun(chain, of_width(chain, 32), given, 1e-9)
    assert rows["learning_rate"].iloc[-1] < 1e-11
    for name, value in chain.operator.network.state_dict().items():
        assert torch.allclose(still.network.state_dict()[name], value, atol=1e-6), name
    assert still.provenance["initial"] == chain.operator.fingerprint
    fresh, _ = begun(chain, of_width(chain, 32), {}, 1e-9)
    assert fresh.provenance["validation_loss"] > 2 * still.provenance["validation_loss"]


def test_a_network_that_does_not_fit_begins_from_fresh_weights_and_it_is_said(chain, caplog):
    caplog.set_level("INFO")
    section = of_width(chain, 16)
    other, _ = begun(chain, section, {"operator": chain.operator}, 0.5)
    alone, _ = begun(chain, section, {}, 1.0)
    assert other.fingerprint == alone.fingerprint
    assert "operator: begins from fresh weights: of the initial model's, too few fit (not " in caplog.text
    begun(chain, section, {"autoencoder": chain.autoencoder}, 0.5)
    assert "operator: begins from fresh weights: the initial model has no such network" in caplog.text


def test_what_alone_does_not_fit_is_fresh(chain, caplog):
    """Of another problem, networks are told other parameters: the layers that read them are new."""
    caplog.set_level("INFO")
    weights = chain.operator.network.state_dict()
    odd = min((name for name in weights if weights[name].ndim > 1), key=lambda name: weights[name].numel())
    stranger = deepcopy(chain.operator.network)
    holder = stranger.get_submodule(odd.rpartition(".")[0])
    setattr(holder, odd.rpartition(".")[2], nn.Parameter(torch.zeros(1)))
    made, _ = begun(chain, of_width(chain, 32), {"operator": replace(chain.operator, network=stranger)}, 1e-9)
    assert f"operator: begins from the initial model's weights, but {odd}" in caplog.text
    found = made.network.state_dict()
    assert not torch.allclose(found[odd], weights[odd])
    for name in found.keys() - {odd}:
        assert torch.allclose(found[name], weights[name], atol=1e-6), name


def test_a_training_from_other_weights_is_another_training(chain):
    section = of_width(chain, 32)
    *_, (state, _) = train_stage(plan(chain, section), SEED, COMPUTE, {})
    *_, (other, _) = train_stage(plan(chain, section), SEED, COMPUTE, state, {"operator": chain.operator}, 1.0)
    assert other is not state
    ((same, _),) = train_stage(plan(chain, section), SEED, COMPUTE, other, {"operator": chain.operator}, 1.0)
    assert same is other
