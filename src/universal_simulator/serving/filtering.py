"""An ensemble Kalman filter through a trained model: what is known is carried on, and each observation sharpens it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.emulation import differentiable
from universal_simulator.emulation.ensembles import ensemble
from universal_simulator.inverse.filtering import Advance, filtered
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.serving.inversion import longest_step
from universal_simulator.serving.request import Fields, ask

if TYPE_CHECKING:
    from universal_simulator.serving.emulator import Emulator


@dataclass(frozen=True)
class Filtered:
    """What is known of the state each time after something was seen."""

    times: tuple[float, ...]
    before: Float[Tensor, "time member channel *space"]
    """Members as forecast, before the observations of that time."""
    members: Float[Tensor, "time member channel *space"]
    """The same after them."""

    @property
    def mean(self) -> Float[Tensor, "time channel *space"]:
        """Return the estimates."""
        return self.members.mean(1)

    @property
    def sd(self) -> Float[Tensor, "time channel *space"]:
        """Return how sure they are."""
        return self.members.std(1)


def filter_by_model(
    model: "Emulator",
    observations: Observations,
    members: Fields,
    parameters: Mapping[str, Any],
    inflation: float,
    model_error: bool,
    seed: int,
) -> Filtered:
    """Return the members at every time of observations; ``members`` are fields at time 0, one for each."""
    request = ask(model.model, members, parameters, model.model.time_step, None, False, seed)
    step = longest_step(observations.times, model.time_steps)
    grid = model.card.grid.resized(tuple(request.u.shape[2:]))
    sensing = Sensing.of(observations, model.card.facts, grid, step)
    generator = torch.Generator().manual_seed(seed)
    forward = advance(model, request.parameters, step, model_error, generator)
    found = list(filtered(forward, request.u.double(), sensing, inflation, generator))
    times = tuple(moment * step for moment, _, _ in found)
    return Filtered(times, torch.stack([one for _, one, _ in found]), torch.stack([one for _, _, one in found]))


def advance(
    model: "Emulator",
    parameters: Float[Tensor, "member parameter"],
    step: float,
    model_error: bool,
    generator: torch.Generator,
) -> Advance:
    """Return what carries members on; with ``model_error`` each by a draw of the model's error in every step."""
    parts = model.parts

    @torch.no_grad()
    def forward(u: Tensor, steps: int) -> Tensor:
        start, told = u.to(parts.device, parts.dtype), parameters.to(parts.device, parts.dtype)
        if not model_error or parts.sampler is None:
            return differentiable.forecast(parts, start, told, step, [steps])[:, 0].to(u)
        begun = parts.start(start, told, step)
        states = ensemble(parts, begun, steps, 1, generator)[:, 0, -1:]
        return parts.decode(states, begun, states.new_tensor([steps * step]), tuple(u.shape[2:]))[:, 0].to(u)

    return forward
