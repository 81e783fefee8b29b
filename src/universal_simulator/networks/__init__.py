"""What is learned: modules from tensors to tensors. A network knows no equation.

Conventions here: a latent state is ``z: (sample, channel, *space)``: samples of the field's channels on a
coarser grid of the same domain, ``latent.tokens × latent.dim`` along each axis, ``dim`` neighbours to a token. So a
shift of a periodic field by one latent point is a roll of the latent, and every symmetry of the grid acts on it as on
the field. Networks work on the points of its long waves (``conditions.py``). Conditions are scalars per sample,
standardised by the caller: ``(sample, condition)``.

A network is found by the ``kind`` of its settings: the module of that name in this package, whose ``build`` makes it.
"""

from importlib import import_module
from typing import Any

from torch import nn

from universal_simulator.support.errors import InputError

PACKAGE = __name__


def build(kind: str, *arguments: Any, **options: Any) -> nn.Module:
    """Return what the module of this name in this package builds; only that module is imported."""
    try:
        module = import_module(f"{PACKAGE}.{kind}")
    except ModuleNotFoundError as error:
        if error.name != f"{PACKAGE}.{kind}":
            raise
        raise InputError(f"network.kind = {kind}: must be a module of {PACKAGE}; correct it") from None
    return module.build(*arguments, **options)
