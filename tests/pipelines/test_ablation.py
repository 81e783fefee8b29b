"""Every named change really changes the training, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from solved import burgers
from universal_simulator.configuration import (
    Ablation,
    Change,
    Compute,
    ConvolutionalAutoencoder,
    Latent,
    Operator,
    Training,
    UTransformer,
)
from universal_simulator.fields.statistics import measure
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.pipelines.ablation import nodes
from universal_simulator.pipelines.ablation.nodes import ablate, built, changed, tabulate
from universal_simulator.pipelines.latents.nodes import precompute_latents

STRIDE, COMPUTE = 5, Compute(device="cpu")
OPERATOR = Operator(
    network=UTransformer(hidden_width=16, points_per_token=8, point_width=32, depths=(1, 1, 1), heads=2, group_size=8),
    training=Training(epochs=3, windows_per_epoch=64, batch_size=8, learning_rate=4e-3, ema_decay=0.9, validation_windows=8),
    time_strides=(5,),
)  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    trajectories = burgers(12, 41, 64)
    recipe = Recipe(
        stage="autoencoder", settings=ConvolutionalAutoencoder(width=4, refinement=1), latent=Latent(tokens=8, dim=8),
        facts=trajectories.facts, grid=trajectories.grid, statistics=measure(trajectories, STRIDE),
    )  # fmt: skip
    autoencoder = Trained(recipe, recipe.build().eval().requires_grad_(False))
    (chunk,) = precompute_latents(trajectories, autoencoder, COMPUTE)
    return chunk.part, trajectories, autoencoder


def run(parts, *changes: Change, steps: int = 8) -> pd.DataFrame:
    latents, trajectories, autoencoder = parts
    ablation = Ablation(seconds=steps + 1, epochs=1, seeds=(1, 2), trajectories=6, changes=changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "steps_per_second", lambda *_: 1.0)
        return ablate((latents, latents), trajectories, autoencoder, OPERATOR, ablation, STRIDE, COMPUTE)


def test_each_change_gives_other_errors_and_one_of_nothing_is_left_out(parts, caplog):
    changes = [
        Change(name="as it is"),
        Change(name="nothing", override={"training": {"ema_decay": 0.9}}),
        Change(name="rate", override={"training": {"learning_rate": 1e-3}}),
        Change(name="no attention", attention=False),
        Change(name="no augmentation", augmentation=False),
        Change(name="no amplitude", amplitude=False),
        Change(name="no mirror image", mirrored=False),
    ]
    with caplog.at_level("INFO"):
        table = run(parts, *changes).pivot_table(index="change", columns="seed", values="nrmse")
    assert "left out, as the experiment has them already: nothing" in caplog.text
    assert sorted(table.index) == sorted(change.name for change in changes if change.name != "nothing")
    again = run(parts, changes[0]).pivot_table(index="change", columns="seed", values="nrmse")
    assert again.loc["as it is"].tolist() == table.loc["as it is"].tolist()
    for change in changes[2:]:
        assert (table.loc[change.name] != table.loc["as it is"]).all(), change.name
    assert table.loc["as it is", 1] != table.loc["as it is", 2]


def test_every_parameter_is_judged(parts, monkeypatch):
    latents, trajectories, autoencoder = parts
    mixed = trajectories.subset(slice(None))
    mixed.parameters = np.repeat([0.05, 0.1], [8, 4])[:, None]
    judged = []
    monkeypatch.setattr(nodes, "rollout_error", lambda _, of, *rest: judged.append(of) or 0.0)
    run((latents, mixed, autoencoder), Change(name="as it is"), steps=1)
    assert sorted(judged[0].parameters[:, 0]) == [0.05] * 3 + [0.1] * 3


def test_longer_training_errs_less(parts):
    short, long = (run(parts, Change(name="as it is"), steps=steps)["nrmse"].mean() for steps in (3, 80))
    assert long < 0.7 * short


def test_without_attention_there_are_fewer_parameters_and_without_amplitude_one_scale(parts):
    autoencoder = parts[2]
    whole, bare = (built(Change(name="-", attention=asked), OPERATOR, autoencoder, 0) for asked in (True, False))
    assert sum(p.numel() for p in bare.parameters()) < sum(p.numel() for p in whole.parameters())
    z = torch.tensor([1.0, 3.0])[:, None, None].expand(2, 1, 64)
    assert built(Change(name="-", amplitude=False), OPERATOR, autoencoder, 0).scale(z).unique().numel() == 1
    assert whole.scale(z)[:, 0].tolist() == pytest.approx([1.0, 3.0], rel=1e-3)


def test_an_override_is_laid_over_the_section_and_a_wrong_one_is_refused():
    new = changed(OPERATOR, Change(name="-", override={"training": {"batch_size": 4}, "unroll": 2}))
    assert (new.training.batch_size, new.unroll) == (4, 2)
    assert new.training.learning_rate == OPERATOR.training.learning_rate
    with pytest.raises(ValueError, match="batchsize"):
        changed(OPERATOR, Change(name="-", override={"training": {"batchsize": 4}}))


def test_the_table_has_means_spreads_and_factors():
    rows = [("as it is", 0.01), ("as it is", 0.03), ("other", 0.05), ("other", 0.07)]
    frame = pd.DataFrame(
        [
            {"change": name, "seed": i, "nrmse": value, "steps": 7, "validation_loss": value / 4}
            for i, (name, value) in enumerate(rows)
        ]
    )
    text = tabulate(frame, Ablation(seeds=(1, 2), changes=(Change(name="as it is"), Change(name="other"))))
    assert "| as it is | 7 | 0.005 | 0.02 | 0.014 | 1.00 |" in text
    assert "| other | 7 | 0.015 | 0.06 | 0.014 | 3.00 |" in text
