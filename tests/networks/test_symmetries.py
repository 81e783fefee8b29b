"""Symmetries that are built in, hence exact whatever the weights."""

import pytest
import torch
from torch import nn

from together import BURGERS
from universal_simulator.configuration import CircularUNet, FourierOperator
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.spectral import cell_centres, resample, shift
from universal_simulator.fields.symmetries import group
from universal_simulator.networks.autoencoder import Autoencoder
from universal_simulator.networks.blocks import Attention
from universal_simulator.networks.conditions import LowPass
from universal_simulator.networks.increment import FLUX_UNIT
from universal_simulator.networks.operator import LatentOperator
from universal_simulator.networks.truncation import Truncation
from universal_simulator.training.objectives import relative_error

SAMPLES, POINTS = 3, 128
FACTS, LATENT = BURGERS.facts, Grid.interval(32)
WAVES = LowPass(FACTS.channels, LATENT, Grid.interval(16))
WHOLE = LowPass(FACTS.channels, LATENT, LATENT)


@pytest.fixture
def autoencoder(tiny_autoencoder, statistics) -> Autoencoder:
    torch.manual_seed(0)
    network = Autoencoder(tiny_autoencoder, FACTS, LATENT, statistics).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


@pytest.fixture
def smooth() -> torch.Tensor:
    x = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS
    k = torch.arange(1, 6, dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    phase = torch.rand(SAMPLES, 5, 1, generator=generator, dtype=torch.float64)
    return torch.sin(2 * torch.pi * (k[:, None] * x + phase)).sum(1, keepdim=True)


NU = torch.full((SAMPLES, 1), 0.01, dtype=torch.float64)


@pytest.mark.parametrize("cells", [1, 5])
def test_a_shifted_field_has_rolled_latents(autoencoder, smooth, cells):
    with torch.no_grad():
        z = autoencoder.encode(smooth, NU)
        moved = autoencoder.encode(shift(smooth, torch.full((SAMPLES, 1), cells / 32, dtype=torch.float64)), NU)
    torch.testing.assert_close(moved, z.roll(cells, dims=-1), rtol=1e-9, atol=1e-9)


def test_a_reflected_field_has_reflected_latents_and_back(autoencoder, smooth):
    with torch.no_grad():
        z = autoencoder.encode(smooth, NU)
        mirrored = autoencoder.encode(-smooth.flip(-1), NU)
        back = autoencoder.decode(mirrored, NU, (POINTS,))
        there = autoencoder.decode(z, NU, (POINTS,))
    torch.testing.assert_close(mirrored, -z.flip(-1), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(back, -there.flip(-1), rtol=1e-9, atol=1e-9)


def test_decoded_fields_have_no_mean_at_any_resolution(autoencoder, smooth):
    with torch.no_grad():
        z = autoencoder.encode(smooth, NU)
        for points in (30, 64, 333):
            assert autoencoder.decode(z, NU, (points,)).mean(-1).abs().max() < 1e-12


def test_two_resolutions_of_one_field_have_the_same_latents(autoencoder, smooth):
    with torch.no_grad():
        fine, coarse = (autoencoder.encode(resample(smooth, n), NU) for n in (256, 64))
    torch.testing.assert_close(fine, coarse, rtol=1e-9, atol=1e-9)


def test_before_training_the_autoencoder_is_spectral_truncation(tiny_autoencoder, statistics, smooth):
    network = Autoencoder(tiny_autoencoder, FACTS, LATENT, statistics).double()
    with torch.no_grad():
        back = network.decode(network.encode(smooth, NU), NU, (POINTS,))
    torch.testing.assert_close(back, smooth, rtol=1e-7, atol=1e-7)


def test_an_encoder_of_random_weights_is_noticed(autoencoder, smooth):
    """The first version of this system scored latents of an encoder that was never trained."""
    with torch.no_grad():
        back = autoencoder.decode(autoencoder.encode(smooth, NU), NU, (POINTS,))
    assert relative_error(back - smooth, smooth, torch.zeros(SAMPLES, 1)) > 0.1


@pytest.mark.parametrize("flux_form", [False, True])
def test_the_operator_conserves_mass_and_commutes_with_rolls_of_pairs_of_tokens(flux_form, small, statistics):
    torch.manual_seed(0)
    operator = LatentOperator(small, FACTS, WAVES, statistics, flux_form=flux_form).double()
    for parameter in operator.parameters():
        nn.init.normal_(parameter, std=0.2)
    z = torch.randn(SAMPLES, 1, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    step = torch.full((SAMPLES,), 0.02, dtype=torch.float64)
    with torch.no_grad():
        after = operator(z, NU, step)
        rolled = operator(z.roll(16, dims=-1), NU, step)
    torch.testing.assert_close(after.mean(-1), z.mean(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(rolled, after.roll(16, dims=-1), rtol=1e-9, atol=1e-9)


def test_in_flux_form_a_step_is_the_derivative_of_what_the_network_gives(small, statistics):
    class Flux(nn.Module):
        def forward(self, states, conditions):
            return (0.7 + torch.sin(4 * torch.pi * cell_centres(states.shape[-1]))).view_as(states)

    z = torch.randn(1, 1, 32, dtype=torch.float64)
    z, steps = z - z.mean(), []
    for flux_form in (False, True):
        operator = LatentOperator(small, FACTS, WAVES, statistics, flux_form=flux_form).double()
        operator.network = Flux()
        after = operator(z, NU[:1], torch.full((1,), 0.02, dtype=torch.float64))
        steps.append((after - operator.low_pass.state(operator.low_pass.of(z))).flatten())
    plain, of_flux = steps
    quarter = len(plain) // 8  # of a wave of number 2, of which a flux has four times as much
    torch.testing.assert_close(of_flux, plain.roll(-quarter) * 2 / FLUX_UNIT, rtol=1e-9, atol=1e-12)


def test_a_mirrored_operator_commutes_with_reflection_exactly_and_is_the_mean_of_both(small, statistics):
    torch.manual_seed(0)
    plain, mirrored = (LatentOperator(small, FACTS, WAVES, statistics).double() for _ in range(2))
    mirrored.motions = group(FACTS.symmetries, LATENT)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.2)
    mirrored.load_state_dict(plain.state_dict())
    z = torch.randn(SAMPLES, 1, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    step = torch.full((SAMPLES,), 0.02, dtype=torch.float64)

    def image(state):
        return -state.flip(-1)

    with torch.no_grad():
        after, of_image = mirrored(z, NU, step), mirrored(image(z), NU, step)
        own, other = plain(z, NU, step), image(plain(image(z), NU, step))
    torch.testing.assert_close(of_image, image(after), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(after, (own + other) / 2, rtol=1e-12, atol=1e-12)
    assert (own - other).abs().max() > 1e-3
    torch.testing.assert_close(after.mean(-1), z.mean(-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("flux_form", [False, True])
@pytest.mark.parametrize(
    "settings", [CircularUNet(width=6, levels=3, kernel=3), FourierOperator(modes=5, width=6, layers=2)]
)
def test_baselines_conserve_mass_and_commute_with_the_rolls_that_their_grids_allow(settings, flux_form, statistics):
    torch.manual_seed(0)
    network = LatentOperator(settings, FACTS, WHOLE, statistics, flux_form=flux_form)
    for parameter in network.parameters():
        nn.init.normal_(parameter.data, std=0.2 if isinstance(settings, CircularUNet) else 0.5)
    z = torch.randn(SAMPLES, 1, 32, generator=torch.Generator().manual_seed(4))
    step = torch.full((SAMPLES,), 0.02)
    with torch.no_grad():
        after, rolled = network(z, NU.float(), step), network(z.roll(8, dims=-1), NU.float(), step)
    torch.testing.assert_close(after.mean(-1), z.mean(-1), rtol=0, atol=1e-5)
    torch.testing.assert_close(rolled, after.roll(8, dims=-1), rtol=1e-3, atol=1e-4)
    assert (after - z).abs().max() > 1e-3


@pytest.mark.parametrize("points", [32, 48])
def test_truncation_is_the_untrained_autoencoder(smooth, points):
    encoding = Truncation(FACTS, Grid.interval(points))
    with torch.no_grad():
        back = encoding.decode(encoding.encode(smooth, NU), NU, (POINTS,))
    torch.testing.assert_close(back, smooth, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("points", [4, 8])
def test_long_waves_are_kept_and_others_leave(smooth, points):
    waves = LowPass(FACTS.channels, LATENT, Grid.interval(4 * points))
    z = resample(smooth, 32)  # five waves: fewer than 4 tokens of 4 points can hold
    short = torch.cos(torch.pi * 30 / 32 * (torch.arange(32, dtype=torch.float64) + 0.5))
    back = waves.state(waves.of(z + short))
    torch.testing.assert_close(back, z if points == 4 else z + short, rtol=1e-9, atol=1e-9)


def test_attention_agrees_with_its_definition():
    """Written out per head with complex rotations: an independent formulation of rotary attention on a circle."""
    torch.manual_seed(0)
    width, heads, positions = 8, 2, 5
    attention = Attention(width, heads, ("periodic",)).double()
    nn.init.normal_(attention.out.weight)
    x = torch.randn(1, positions, width, dtype=torch.float64)
    q, k, v = attention.project(x)[0].view(positions, 3, heads, 4).permute(1, 2, 0, 3)
    j = torch.arange(positions)
    out = []
    for head in range(heads):
        turned = []
        for part in (q[head], k[head]):
            pairs = torch.complex(part[:, :2], part[:, 2:])
            angle = 2 * torch.pi * j[:, None] * torch.tensor([1, 2]) / positions
            turned.append(pairs * torch.exp(1j * angle))
        weights = ((turned[0] @ turned[1].conj().T).real / 2).softmax(-1)
        out.append(weights @ v[head])
    expected = attention.out(torch.cat(out, dim=-1))
    torch.testing.assert_close(attention(x)[0], expected)
