"""Rollouts that gradients flow back through, to the initial field and to the problem's parameters.

Of every step only the latent state before it is kept; what happens inside is computed again on the way back (gradient
checkpointing, arXiv 1604.06174), so memory grows by one latent state per step.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from universal_simulator.compute.apart import single_precision
from universal_simulator.emulation.emulator import Emulator, RolloutState


def forecast(
    emulator: Emulator,
    u: Float[Tensor, "sample channel *space"],
    parameters: Float[Tensor, "sample parameter"],
    time_step: float,
    steps: Sequence[int],
) -> Float[Tensor, "sample time channel *space"]:
    """Return the fields after these numbers of steps; 0 is ``u`` itself. Differentiable in ``u`` and ``parameters``."""
    shape, fields = tuple(u.shape[2:]), {0: u}
    start = emulator.start(u, parameters, time_step)
    z = start.z
    for step in range(1, max(steps, default=0) + 1):
        z = _again(partial(emulator.step, start=start), z)
        if step in steps:
            fields[step] = _again(partial(_field, emulator, start, step, shape), z)
    return torch.stack([fields[step] for step in steps], 1)


class FieldStepper(nn.Module):
    """From a field ``(sample, channel, *space)`` in the problem's units to the field one ``time_step`` later.

    A plain torch module: it holds the networks, its parameters are theirs, and gradients flow through it. Parameters
    of the problem are by name, one number or one per sample; tensors among them get gradients, too.
    """

    def __init__(self, emulator: Emulator, parameters: Mapping[str, Tensor], time_step: float, steps: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(one for one in (emulator.codec, emulator.operator) if isinstance(one, nn.Module))
        self.emulator, self.told = emulator, dict(parameters)
        self.time_step, self.steps = time_step, steps

    def forward(self, u: Float[Tensor, "sample channel *space"]) -> Float[Tensor, "sample channel *space"]:
        """Return the next field, on the same points."""
        names = [one.name for one in self.emulator.facts.parameters]
        columns = [self.told[name].to(u).flatten().expand(len(u)) for name in names]
        parameters = torch.stack(columns, -1) if columns else u.new_zeros(len(u), 0)
        return forecast(self.emulator, u, parameters, self.time_step / self.steps, [self.steps])[:, 0]


def _field(emulator: Emulator, start: RolloutState, step: int, shape: tuple[int, ...], z: Tensor) -> Tensor:
    elapsed = z.new_tensor([step * start.time_step])
    return emulator.decode(z[:, None], start, elapsed, shape)[:, 0]


def _again(work: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return what ``work`` makes of a state, and forget how; it is done again on the way back."""

    def run(state: Tensor) -> Tensor:
        with single_precision():  # on the way back this runs in the caller's thread
            return work(state)

    return checkpoint(run, z, use_reentrant=False, preserve_rng_state=False) if torch.is_grad_enabled() else run(z)
