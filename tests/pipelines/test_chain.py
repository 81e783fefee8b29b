"""A small chain, really trained: it must forecast, and whatever would fake a forecast must be noticed."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from universal_simulator.configuration import (
    Autoencoder,
    Compute,
    ConsistencyDistillation,
    ConvolutionalAutoencoder,
    Data,
    DiffusionResidual,
    Ensemble,
    Evaluation,
    Latent,
    Operator,
    TestTimeConditioning,
    Training,
    UTransformer,
)
from universal_simulator.emulation.assembly import assemble
from universal_simulator.emulation.emulator import Emulator
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.physics.burgers import Burgers
from universal_simulator.physics.initial_conditions import initial_condition
from universal_simulator.physics.solver import solve
from universal_simulator.pipelines.autoencoder.nodes import select_autoencoder, train_autoencoder
from universal_simulator.pipelines.consistency_distillation.nodes import (
    select_consistency_student,
    train_consistency_student,
)
from universal_simulator.pipelines.diffusion_residual.nodes import select_diffusion_residual, train_diffusion_residual
from universal_simulator.pipelines.evaluation.nodes import evaluate
from universal_simulator.pipelines.latents.nodes import latents_fingerprint, precompute_latents
from universal_simulator.pipelines.operator.nodes import select_operator, train_operator

NU, POINTS = 0.05, 128
SEED, COMPUTE = 3, Compute(device="cpu")
DATA = Data(viscosities=(NU,), time_stride=5)
BETTER_THAN_PERSISTENCE = 5
"""How many times smaller the small chain's error must be; it reaches about 20."""

WORSE_WITH_A_RANDOM_ENCODER = 3


def short(steps: int, rate: float, batch: int = 16) -> Training:
    return Training(
        epochs=1, windows_per_epoch=steps * batch, batch_size=batch, learning_rate=rate, ema_decay=0.98,
        validation_windows=32,
    )  # fmt: skip


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
    times = np.arange(101) * 0.01
    values = solve(
        Burgers(NU), lambda x: torch.stack([initial_condition(x, 0, i) for i in range(60)]), times, POINTS
    ).values.float()
    everything = Trajectories.of(values.numpy(), NU, times)
    train, validation, test = (everything.subset(slice(*ends)) for ends in ((0, 40), (40, 48), (48, 60)))
    statistics = measure(train, DATA.time_stride).model_dump()
    latent = Latent(tokens=8, dim=16)
    section = Autoencoder(network=ConvolutionalAutoencoder(width=4, refinement=1), training=short(30, 1e-3))
    *_, (state, _) = train_autoencoder(train, validation, statistics, section, latent, SEED, COMPUTE, {})
    autoencoder = select_autoencoder(state, validation, statistics, section, latent)
    (encoded,) = precompute_latents(train, autoencoder, DATA, COMPUTE, "")
    (held,) = precompute_latents(validation, autoencoder, DATA, COMPUTE, "")
    shape = UTransformer(hidden_width=32, heads=2, group_size=8)
    section = Operator(network=shape, training=short(400, 4e-3), time_strides=(5,))
    *_, (state, _) = train_operator(encoded.part, held.part, autoencoder, section, 0.1, DATA, SEED, COMPUTE, {})
    operator = select_operator(state, autoencoder, section, DATA)
    diffusion = DiffusionResidual(network=shape, training=short(60, 2e-3), time_strides=(5,))
    *_, (state, _) = train_diffusion_residual(encoded.part, held.part, operator, diffusion, DATA, SEED, COMPUTE, {})
    teacher = select_diffusion_residual(state, operator, diffusion)
    distill = ConsistencyDistillation(training=short(15, 1e-3, 4))
    *_, (state, _) = train_consistency_student(
        encoded.part, held.part, operator, teacher, distill, diffusion, DATA, SEED, COMPUTE, {}
    )
    student = select_consistency_student(state, teacher)
    emulator = assemble(autoencoder, operator, student, diffusion, distill, DATA, COMPUTE)
    return Chain(test, train, encoded.part, autoencoder, operator, student, emulator)


def scores(emulator: Emulator, test: Trajectories, **changes: Any) -> dict[str, float]:
    evaluation = Evaluation(
        protocols=("rollout",), variants=("persistence", "deterministic"), ensemble=Ensemble(members=3)
    ).model_copy(update=changes)
    settings = TestTimeConditioning(candidates=3, beam=2, threshold=0.0, budget=10)
    return evaluate(emulator, test, evaluation, settings, DATA, SEED, COMPUTE)[0]


def error(emulator: Emulator, test: Trajectories) -> float:
    return scores(emulator, test)["rollout/deterministic/nrmse"]


def randomised(network: nn.Module) -> nn.Module:
    """Return a copy that was never trained, with random weights in every layer."""
    other = deepcopy(network)
    torch.manual_seed(0)
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.2)
    return other.requires_grad_(False)


def test_a_small_budget_beats_persistence_by_the_stated_factor(chain):
    found = scores(chain.emulator, chain.test)
    assert found["rollout/deterministic/nrmse"] < found["rollout/persistence/nrmse"] / BETTER_THAN_PERSISTENCE


def test_an_operator_that_was_never_trained_fails_that(chain):
    fake = replace(chain.emulator, operator=randomised(chain.emulator.operator))
    found = scores(fake, chain.test)
    assert found["rollout/deterministic/nrmse"] > found["rollout/persistence/nrmse"] / BETTER_THAN_PERSISTENCE


def test_a_frozen_random_encoder_is_noticed_in_reconstruction_and_in_the_rollout(chain):
    """The first version of this system never trained its encoder, and nothing told."""
    fake = replace(chain.emulator, autoencoder=randomised(chain.emulator.autoencoder))
    honest, faked = scores(chain.emulator, chain.test), scores(fake, chain.test)
    assert honest["reconstruction/autoencoder/nrmse"] < 1e-3
    assert faked["reconstruction/autoencoder/nrmse"] > 0.1
    assert faked["rollout/deterministic/nrmse"] > WORSE_WITH_A_RANDOM_ENCODER * honest["rollout/deterministic/nrmse"]


class Recoded(nn.Module):
    """The same autoencoder with latents in another unit."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.latent = inner, inner.latent

    def encode(self, v, viscosity):
        return 7 * self.inner.encode(v, viscosity)

    def decode(self, z, viscosity, points):
        return self.inner.decode(z / 7, viscosity, points)


class RecodedOperator(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z, viscosity, time_step):
        return 7 * self.inner(z / 7, viscosity, time_step)


@pytest.mark.usefixtures("unchecked")  # stand-ins of another type
def test_scores_do_not_depend_on_how_latents_are_coded(chain):
    """A metric taken on latents instead of decoded fields would be seven times as large."""
    inner = chain.emulator
    recoded = replace(inner, autoencoder=Recoded(inner.autoencoder), operator=RecodedOperator(inner.operator))
    honest, same = scores(inner, chain.test), scores(recoded, chain.test)
    for name in ("nrmse", "rmse", "max_error", "boundary_violation"):
        assert same[f"rollout/deterministic/{name}"] == pytest.approx(honest[f"rollout/deterministic/{name}"], rel=1e-3)


def test_scores_grow_with_the_field_not_with_its_latents(chain):
    found = scores(chain.emulator, chain.test)
    truth = chain.test.read(slice(None))[:, 5::5]
    start = chain.test.read(slice(None), [0])
    by_hand = ((start - truth).square().mean(-1) / truth.square().mean(-1)).sqrt().mean()
    assert found["rollout/persistence/nrmse"] == pytest.approx(by_hand.item(), rel=1e-4)


def test_every_variant_is_scored_and_the_seed_decides(chain):
    everything = {"variants": ("deterministic", "ensemble", "ttc")}
    first, again = (scores(chain.emulator, chain.test, **everything) for _ in range(2))
    assert first == again
    for variant in ("deterministic", "ensemble", "ttc"):
        assert np.isfinite(first[f"rollout/{variant}/nrmse"])
    assert first["rollout/ensemble/crps"] != first["rollout/deterministic/crps"]
    assert first["rollout/deterministic/conservation_gap"] < 1e-5


def test_a_trained_stage_is_not_trained_again_and_other_data_start_over(chain):
    section = Operator(
        network=UTransformer(hidden_width=16, heads=2, group_size=8), training=short(3, 1e-3), time_strides=(5,)
    )

    def run(latents: Latents, previous: dict[str, Any], seed: int = SEED, judge: Latents = chain.latents) -> list[Any]:
        return list(train_operator(latents, judge, chain.autoencoder, section, 0.1, DATA, seed, COMPUTE, previous))

    ((state, history),) = run(chain.latents, {})
    ((same, told),) = run(chain.latents, state)
    assert same is state
    assert told.to_dict("records") == history.to_dict("records")
    ((other, _),) = run(chain.latents, state, seed=SEED + 1)
    assert other["identity"] != state["identity"]
    renamed = replace(chain.latents, fingerprint=f"other-{chain.autoencoder.fingerprint}")
    for changed in (run(renamed, state), run(chain.latents, state, judge=renamed)):
        ((again, _),) = changed
        assert again["identity"] != state["identity"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"training": short(3, 2e-3)}, "training.learning_rate was 0.001, is 0.002"),
        ({"unroll": 2}, "unroll was 1, is 2"),
        ({}, 'code was "older", is '),
    ],
)
def test_a_state_of_another_kind_is_not_gone_on_with_and_the_reason_is_said(chain, change, reason, caplog):
    section = Operator(network=UTransformer(hidden_width=16, heads=2), training=short(3, 1e-3), time_strides=(5,))
    caplog.set_level("INFO")

    def run(previous: dict[str, Any], of: Operator) -> dict[str, Any]:
        *_, (state, _) = train_operator(
            chain.latents, chain.latents, chain.autoencoder, of, 0.1, DATA, SEED, COMPUTE, previous
        )
        return state

    first = run({}, section)
    if not change:
        first = {**first, "facts": {**first["facts"], "code": '"older"'}}
    again = run(first, section.model_copy(update=change))
    assert again is not first
    assert f"operator: starting over: the earlier training is of another kind ({reason}" in caplog.text


def test_how_often_states_are_saved_makes_nothing_stale(chain):
    section = Operator(network=UTransformer(hidden_width=16, heads=2), training=short(3, 1e-3), time_strides=(5,))
    often = section.model_copy(update={"training": section.training.model_copy(update={"save_every_s": 1e-9})})
    given = (chain.latents, chain.latents, chain.autoencoder)
    saved = list(train_operator(*given, often, 0.1, DATA, SEED, COMPUTE, {}))
    assert [len(rows) for _, rows in saved] == [0, 0, 0, 1]
    ((same, _),) = train_operator(*given, section, 0.1, DATA, SEED, COMPUTE, saved[-1][0])
    assert same is saved[-1][0]
    *_, (resumed, rows) = train_operator(*given, section, 0.1, DATA, SEED, COMPUTE, saved[1][0])
    for name, value in same["best"].items():
        assert torch.equal(resumed["best"][name], value)
    assert len(rows) == 1


def test_latents_of_another_encoder_are_refused_and_fresh_ones_not_made_again(chain):
    stale = replace(chain.latents, fingerprint="data-of-another-encoder")
    with pytest.raises(ValueError, match="run --pipeline=latents"):
        next(
            train_operator(
                stale, stale, chain.autoencoder, Operator(training=short(1, 1e-3)), 0.1, DATA, SEED, COMPUTE, {}
            )
        )
    assert list(precompute_latents(chain.train, chain.autoencoder, DATA, COMPUTE, chain.latents.fingerprint)) == []


def test_a_store_of_latents_is_named_by_its_order_where_viscosities_take_turns(chain):
    fields = np.zeros((4, 3, 64), np.float32)
    one, two = (Trajectories.of(fields, viscosity, np.arange(3.0)) for viscosity in (0.01, np.repeat([0.01, 0.1], 2)))
    assert "interleaved" not in latents_fingerprint(one, chain.autoencoder)
    name = latents_fingerprint(two, chain.autoencoder)
    assert "interleaved" in name
    replace(chain.latents, fingerprint=name).refuse_stale(chain.autoencoder.fingerprint)  # it is of this encoder
