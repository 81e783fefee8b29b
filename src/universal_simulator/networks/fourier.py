"""The Fourier neural operator (Li et al. 2021, arXiv 2010.08895) of the library ``neuraloperator``, as a baseline.

The library is an optional extra: it brings much that only its own trainer needs.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from universal_simulator.configuration import FourierOperator
from universal_simulator.support.errors import InputError


class FourierNetwork(nn.Module):
    """Map stacked states and scalar conditions to one state; the conditions enter as constant channels."""

    def __init__(self, settings: FourierOperator, *, states: int, conditions: int) -> None:
        super().__init__()
        self.fno = _library()(
            n_modes=(2 * (settings.modes - 1),),  # the library counts both signs of a wave number
            in_channels=states + conditions,
            out_channels=1,
            hidden_channels=settings.width,
            n_layers=settings.layers,
            positional_embedding=None,  # the equation looks alike everywhere
        )
        self.register_state_dict_post_hook(_without_metadata)

    def forward(
        self, states: Float[Tensor, "sample state token dim"], conditions: Float[Tensor, "sample condition"]
    ) -> Float[Tensor, "sample token dim"]:
        """Return one value per point."""
        fields = states.flatten(-2)
        told = conditions[..., None].expand(-1, -1, fields.shape[-1])
        return self.fno(torch.cat((fields, told), dim=1))[:, 0].unflatten(-1, states.shape[-2:])


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
