"""What every network must do, whatever it is for."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from together import BURGERS, STATISTICS
from universal_simulator.configuration import CircularUNet, FourierOperator, Section
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.support.errors import InputError

STAGES = ("autoencoder", "operator", "diffusion_residual", "consistency_distill", "unet", "fno")


@pytest.fixture
def shape(small, tiny_autoencoder) -> Callable[[str], Section]:
    """Return the settings of a small network of each stage."""
    others = {
        "autoencoder": tiny_autoencoder,
        "unet": CircularUNet(width=6, levels=3, kernel=3),
        "fno": FourierOperator(modes=5, width=6, layers=2),
    }
    return lambda stage: others.get(stage, small)


@pytest.fixture
def build(recipe, shape) -> Callable[[str], nn.Module]:
    """Networks with random weights everywhere: those that start at zero would hide a mistake."""

    def make(stage: str) -> nn.Module:
        torch.manual_seed(0)
        network = recipe.model_copy(update={"stage": stage, "settings": shape(stage)}).build()
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.5 if stage == "fno" else 0.2)  # its layers shrink what they are given
        return network

    return make


def _call(stage: str, network: nn.Module, rows: slice = slice(None), kind: torch.dtype = torch.float32) -> Tensor:
    """Let the network act on some of three samples, which are the same at every call."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"z": (1, 32), "after": (1, 32), "noisy": (1, 16), "v": (1, 64)}
    drawn = {name: torch.randn(3, *shape, generator=generator).to(kind)[rows] for name, shape in shapes.items()}
    nu, noise = torch.linspace(0.001, 0.1, 3, dtype=kind)[rows, None], torch.linspace(-1, 1, 3, dtype=kind)[rows]
    step = torch.full((3,), 0.02, dtype=kind)[rows]
    match stage:
        case "autoencoder":
            v = drawn["v"] - drawn["v"].mean(-1, keepdim=True)
            return network.decode(network.encode(v, nu), nu, (48,))
        case "operator" | "unet" | "fno":
            return network(drawn["z"], nu, step)
        case _:
            return network(drawn["noisy"], noise, drawn["z"], drawn["after"], nu, step)


@pytest.mark.parametrize("stage", STAGES)
def test_gradient_reaches_every_parameter(stage, build):
    network = build(stage)
    _call(stage, network).square().sum().backward()
    untouched = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert untouched == []


@pytest.mark.parametrize("stage", STAGES)
def test_members_of_a_batch_do_not_mix(stage, build):
    network, kind, rounding = build(stage), torch.float32, 1e-5
    if stage != "fno":  # its library has complex weights of single precision
        network, kind, rounding = network.double(), torch.float64, 1e-12
    one = slice(1, 2)
    with torch.no_grad():
        whole, part = _call(stage, network, kind=kind), _call(stage, network, one, kind)
    torch.testing.assert_close(part, whole[one], rtol=rounding, atol=rounding / 10)


@pytest.mark.parametrize("stage", STAGES)
def test_what_was_saved_is_loaded_bit_by_bit(stage, build, recipe, shape):
    own = recipe.model_copy(update={"stage": stage, "settings": shape(stage)})
    trained = Trained(own, build(stage), {"epochs": 3})
    again = Trained.rebuild(
        Recipe.model_validate_json(own.model_dump_json()), trained.network.state_dict(), trained.provenance
    )
    with torch.no_grad():
        assert torch.equal(_call(stage, again.network), _call(stage, trained.network))
    assert again.fingerprint == trained.fingerprint


@pytest.mark.parametrize(
    "form", [{"averaged": BURGERS.facts.symmetries[1:2]}, {"flux_form": True}, {"linear": BURGERS.linear}]
)
def test_an_operator_of_another_form_stays_so_and_is_another_network_and_a_plain_one_says_nothing_of_it(
    form, build, recipe
):
    other, weights = recipe.model_copy(update=form), build("operator").state_dict()
    own = weights | ({"usual": STATISTICS.rms()} if "linear" in form else {})
    assert not any(recipe.model_dump().get(name) for name in form)
    again = Trained.rebuild(Recipe.model_validate_json(other.model_dump_json()), own, {})
    plain = Trained.rebuild(recipe, weights, {})
    for trained, has in ((again, form), (plain, {})):
        assert len(trained.network.motions) == (2 if "averaged" in has else 1)
        assert trained.network.increment.flux_form == ("flux_form" in has)
        assert (trained.network.exponential is not None) == ("linear" in has)
    assert again.fingerprint != plain.fingerprint
    assert not {"flux_form", "linear"} & set(recipe.model_dump())


@pytest.mark.parametrize("stage", STAGES)
def test_one_changed_weight_changes_the_fingerprint(stage, build, recipe, shape):
    network = build(stage)
    trained = Trained(recipe.model_copy(update={"stage": stage, "settings": shape(stage)}), network)
    before = trained.fingerprint
    with torch.no_grad():
        next(network.parameters()).flatten()[0] += 1e-6
    assert trained.fingerprint != before


@pytest.mark.parametrize("stage", ["operator", "diffusion_residual", "unet", "fno"])
def test_every_condition_matters(stage, build):
    network = build(stage)
    z = torch.randn(2, 1, 32, generator=torch.Generator().manual_seed(3))
    nu, step, noise = torch.full((2, 1), 0.01), torch.full((2,), 0.02), torch.zeros(2)

    def out(z: Tensor = z, nu: Tensor = nu, step: Tensor = step, noise: Tensor = noise) -> Tensor:
        if stage != "diffusion_residual":
            return network(z, nu, step) - network.low_pass.state(network.low_pass.of(z))
        return network(z[..., :16], noise, z, 1.1 * z, nu, step)

    with torch.no_grad():
        reference = out()
        changed = [out(nu=2 * nu), out(step=2 * step), out(z=2 * z)]
        changed += [out(noise=noise + 1)] if stage == "diffusion_residual" else []
    for value in changed:
        assert (value - reference).abs().max() > 1e-4


def test_a_recipe_of_the_wrong_kind_is_refused(recipe):
    with pytest.raises(ValueError, match="does not describe a network of stage autoencoder"):
        recipe.model_copy(update={"stage": "autoencoder"}).build()


def test_the_fno_without_its_library_is_refused_with_the_remedy(recipe, shape, monkeypatch):
    monkeypatch.setitem(sys.modules, "neuralop.models", None)
    with pytest.raises(InputError, match=r"neuraloperator = missing.*pip install .*\[baselines\]"):
        recipe.model_copy(update={"stage": "fno", "settings": shape("fno")}).build()
