"""Between a field on any number of points and its latent numbers, by a trained convolutional codec.

The encoder samples the field's band-limited interpolant on the latent grid and adds what a small convolution network
says; the decoder does the reverse on a finer grid, where it can draw the part of a front that falls between latent
points. It starts as plain spectral truncation, so training is an improvement on that classical baseline, and both
errors are reported. It is equivariant by construction: to shifts by one latent point along periodic axes, and to the
problem's reflections. The operator uses both as free training data.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import ConvolutionalAutoencoder, UShapedDecoder
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid, constants
from universal_simulator.fields.spectral import resized
from universal_simulator.fields.statistics import Statistics
from universal_simulator.fields.symmetries import Motion, Reflection, group, removable
from universal_simulator.networks.blocks import Convolution, kinds
from universal_simulator.networks.conditions import Conditions, amplitude, amplitude_floor, wide

Settings = ConvolutionalAutoencoder | UShapedDecoder


class Autoencoder(nn.Module):
    """Encode and decode fields without the mean that the frame takes away."""

    time_step: Tensor
    squared_floor: Tensor

    def __init__(self, settings: Settings, facts: Facts, grid: Grid, statistics: Statistics) -> None:
        super().__init__()
        self.facts, self.grid = facts, grid
        self.fine = grid.resized(tuple(settings.refinement * n for n in grid.shape))
        self.register_buffer("squared_floor", amplitude_floor(statistics).square(), persistent=False)
        self.conditions = Conditions(statistics)
        self.register_buffer("time_step", torch.tensor(statistics.time_step, dtype=torch.float32))
        self.analysis = self.correction(settings)
        self.synthesis = self.correction(settings)

    def correction(self, settings: Settings) -> nn.Module:
        """Return a network from a field of size one and its conditions to what is to be added; zero before training."""
        assert isinstance(settings, ConvolutionalAutoencoder)
        return Correction(settings, self.facts, self.grid, self.conditions.count - 1)

    def encode(
        self, v: Float[Tensor, "sample channel *space"], parameters: Float[Tensor, "sample parameter"]
    ) -> Float[Tensor, "sample channel *latent"]:
        """Return the latent state of fields on any number of points."""
        points = resized(v, self.grid, self.facts.channels, self.grid.shape)
        return self._corrected(points, parameters, self.analysis)

    def decode(
        self,
        z: Float[Tensor, "sample channel *latent"],
        parameters: Float[Tensor, "sample parameter"],
        shape: tuple[int, ...],
    ) -> Float[Tensor, "sample channel *space"]:
        """Return the field on so many cell centres, without the mean that the frame takes away."""
        fine = resized(z, self.grid, self.facts.channels, self.fine.shape)
        v = resized(self._corrected(fine, parameters, self.synthesis), self.fine, self.facts.channels, shape)
        mean, free = self.grid.mean(v), removable(self.facts.symmetries, self.facts.channels)
        return v - self.grid.wide(mean if all(free) else mean * constants(tuple(free), mean.dtype, mean.device))

    def compile(self, *arguments: Any, **named: Any) -> None:
        """Compile its networks alone: torch's compilers know no complex numbers, of which waves are made."""
        for part in self.children():  # a decoder has but one
            if part is not self.conditions:
                part.compile(*arguments, **named)

    def _corrected(self, v: Tensor, parameters: Tensor, correction: nn.Module) -> Tensor:
        scale = amplitude(v, self.squared_floor)
        conditions = self.conditions(scale, parameters, self.time_step.expand(len(v)))[:, :-1]
        return v + wide(scale, v) * correction(v / wide(scale, v), conditions)


class Correction(nn.Module):
    """A convolution network on the channels, equivariant under reflections, zero before training."""

    def __init__(self, settings: ConvolutionalAutoencoder, facts: Facts, grid: Grid, conditions: int) -> None:
        super().__init__()
        width, kernel = settings.width, settings.kernel
        self.channels, self.grid = facts.channels, grid
        self.motions = group([s for s in facts.symmetries if isinstance(s, Reflection)], grid)
        layers = [len(facts.channels)] + [width] * (settings.depth - 1) + [len(facts.channels)]
        self.convolutions = nn.ModuleList(Convolution(a, b, kernel, kinds(grid)) for a, b in pairwise(layers))
        self.modulation = nn.Linear(conditions, width * (settings.depth - 1))
        last = self.convolutions[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(
        self, w: Float[Tensor, "sample channel *space"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample channel *space"]:
        """Return what to add; the mean over the images of the network's answers to all images is equivariant."""
        shifts = self.modulation(conditions)
        images = (self._image(w, shifts, motion) for motion in self.motions)
        return sum(images, next(images)) / len(self.motions)

    def _image(self, w: Tensor, shifts: Tensor, motion: Motion) -> Tensor:
        moved = self._one_way(motion.apply(w, self.grid, self.channels), shifts)
        return motion.inverse().apply(moved, self.grid, self.channels)

    def _one_way(self, w: Tensor, shifts: Tensor) -> Tensor:
        x = w.movedim(1, -1)
        hidden = self.convolutions[:-1]
        for convolution, shift in zip(hidden, shifts.chunk(len(hidden), dim=-1), strict=True):
            x = nn.functional.gelu(convolution(x) + shift.view(len(x), *[1] * self.grid.dimensions, -1))
        return self.convolutions[-1](x).movedim(-1, 1)


def build(settings: ConvolutionalAutoencoder, facts: Facts, grid: Grid, statistics: Statistics) -> nn.Module:
    """Return it with fresh weights."""
    return Autoencoder(settings, facts, grid, statistics)
