"""The fast mode of a model: a coarse solver and its decoder in the bundle, asked for by name."""

import pytest
import torch

from together import normal
from universal_simulator.configuration import Latent, TrainedDecoder
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.pipelines.evaluation.nodes import make_bundle
from universal_simulator.serving.bundle import PARTS
from universal_simulator.serving.emulator import Emulator
from universal_simulator.support.errors import InputError

SOLVER = {"points": 64, "courant": 1.0}


@pytest.fixture(scope="module")
def quick(bundle, tmp_path_factory) -> Emulator:
    """Return a model with that mode, written and read again."""
    facts, grid = bundle.card.facts, bundle.card.grid
    recipe = Recipe(
        stage="fast", settings=TrainedDecoder(width=4, kernel=3), latent=Latent(tokens=1, dim=64), facts=facts,
        grid=grid, statistics=normal(facts, grid),
    )  # fmt: skip
    parameters = bundle.card.parameters | {"fast": {"solver": SOLVER}}
    scores = bundle.card.scores | {"rollout/fast/nrmse": 0.01}
    card = bundle.card.model_copy(update={"parameters": parameters, "scores": scores})
    torch.manual_seed(0)
    folder, fast = tmp_path_factory.mktemp("fast"), Trained(recipe, recipe.build().eval())
    make_bundle(card, *(bundle.parts[name] for name in PARTS), fast).write(folder)
    return Emulator.load(folder, "cpu")


def test_it_is_the_coarse_solver_and_comes_back_with_the_bundle(quick, u0):
    given = {"parameters": {"nu": 0.05}, "times": [0.1, 0.2]}
    found = quick.rollout(u0, mode="fast", **given)
    known = torch.full((3, 1), 0.05)
    expected = quick.fast.fields(u0[:, None], known, 0.02, [5, 10], (128,))[:, :, 0]
    torch.testing.assert_close(found[:, :, 0] if found.ndim == 4 else found, expected, rtol=0, atol=1e-6)
    assert not torch.allclose(quick.rollout(u0, **given), found, atol=1e-3)
    assert quick.rollout(u0[0], mode="fast", **given).shape == (2, 128)


def test_a_decoder_that_was_not_scored_is_no_part_of_the_bundle(bundle, quick):
    parts, fast = [bundle.parts[name] for name in PARTS], Trained(quick.card.recipes["fast"], quick.fast.codec)
    assert "fast" not in make_bundle(bundle.card, *parts, fast).parts
    assert "fast" in make_bundle(quick.card, *parts, fast).parts


def test_what_cannot_be_had_is_refused(quick, emulator, u0):
    given = {"parameters": {"nu": 0.05}, "times": [0.1]}
    with pytest.raises(InputError, match="mode = quick: must be full or fast; choose one"):
        quick.rollout(u0, mode="quick", **given)
    with pytest.raises(InputError, match="mode = fast: golden has no such mode; leave it out"):
        emulator.rollout(u0, mode="fast", **given)
    with pytest.raises(InputError, match="mode = fast: must be without gradients; detach u0, or leave mode out"):
        quick.rollout(u0.clone().requires_grad_(), mode="fast", **given)
    for more in ({"members": 2}, {"guided": True}):
        with pytest.raises(InputError, match="mode = fast: must be without members and guided; leave them out"):
            quick.rollout(u0, mode="fast", **given, **more)


def test_a_range_of_parameters_is_told_and_its_middle_is_typical(bundle):
    data = bundle.card.parameters["data"] | {"parameters": {"nu": {"low": 0.01, "high": 1.0}}}
    card = bundle.card.model_copy(update={"parameters": bundle.card.parameters | {"data": data}})
    (span,) = card.sets[0]
    assert (span.low, span.high, card.typical) == (0.01, 1.0, pytest.approx((0.1,)))
    assert bundle.card.typical == (0.05,)
