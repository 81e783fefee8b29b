"""The Fourier neural operator (Li et al. 2021, arXiv 2010.08895) of the library ``neuraloperator``, as a baseline.

The library is an optional extra: it brings much that only its own trainer needs.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import FourierOperator
from universal_simulator.networks.u_shape import Shape
from universal_simulator.support.errors import InputError

PADDING = 0.125
"""Of the domain, added along axes that do not close: the library's layers are periodic."""


class FourierNetwork(nn.Module):
    """Map stacked states and scalar conditions to fields; the conditions enter as constant channels."""

    def __init__(self, settings: FourierOperator, shape: Shape) -> None:
        super().__init__()
        padding = [0.0 if kind == "periodic" else PADDING for kind in shape.axes]
        self.fno = _library()(
            n_modes=(2 * (settings.modes - 1),) * len(shape.axes),  # the library counts both signs of a wave number
            in_channels=shape.states + shape.conditions,
            out_channels=shape.outputs,
            hidden_channels=settings.width,
            n_layers=settings.layers,
            positional_embedding=None,  # the equation looks alike everywhere
            **({"domain_padding": padding} if any(padding) else {}),
        )
        self.register_state_dict_post_hook(_without_metadata)

    def forward(
        self, states: Float[Tensor, "sample state *space"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample output *space"]:
        """Return one value per output and point."""
        space = states.shape[2:]
        told = conditions[(..., *(None,) * len(space))].expand(*conditions.shape, *space)
        return self.fno(torch.cat((states, told), dim=1))


def build(settings: FourierOperator, shape: Shape) -> nn.Module:
    """Return it with fresh weights."""
    return FourierNetwork(settings, shape)


def _library() -> Any:
    """Return the library's network; importing it takes seconds, which only this baseline pays."""
    try:
        from neuralop.models import FNO
    except ImportError as error:
        raise InputError(
            "neuraloperator = missing: the FNO among the baselines is this library's; "
            "pip install -c requirements.lock -e '.[baselines]'"
        ) from error
    return FNO


def _without_metadata(_module: nn.Module, state: dict, _prefix: str, _local: dict) -> None:
    """Drop what the library adds to the tensors: it is not data, and the recipe says it already."""
    state.pop("_metadata", None)
