"""The equations there are, by name. A new one is one file beside this one and one line below."""

from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Complex, Float
from torch import Tensor

from universal_simulator.physics.advection import Advection
from universal_simulator.physics.burgers import Burgers
from universal_simulator.physics.heat import Heat
from universal_simulator.support.errors import InputError

NAMES = ("burgers", "advection", "heat")


@runtime_checkable
class Equation(Protocol):
    """A scalar equation ``u_t = L u + N(u)`` on the periodic unit interval, with one number as its parameter.

    It is known by its files: ``1D_<title>_Sols_<symbol><parameter>.hdf5`` with the attribute ``symbol``.
    """

    title: ClassVar[str]
    symbol: ClassVar[str]
    reflects: ClassVar[bool]

    @property
    def parameter(self) -> float:
        """Return the number that tells one of these equations from another: viscosity, speed."""
        ...

    @property
    def identity(self) -> str:
        """Return the equation in one line, constants included; equal strings mean equal solutions."""
        ...

    def __hash__(self) -> int:
        """Return the same for equal equations."""
        ...

    def linear(self, k: Float[Tensor, " mode"]) -> Tensor:
        """Return the symbol of L, real or complex."""
        ...

    def nonlinear(self, u_hat: Complex[Tensor, "... mode"], k: Float[Tensor, " mode"]) -> Complex[Tensor, "... mode"]:
        """Return the spectrum of N(u)."""
        ...

    def front_width(self, jump: float) -> float:
        """Return how thin a front can become that jumps by this much; infinite where the equation forms none."""
        ...

    def drift(self, mean: Tensor) -> Tensor:
        """Return the speed of the frame in which a field of this mean may be looked at as one of mean zero."""
        ...


def equation(name: str, parameter: float) -> Equation:
    """Return the equation of this name with this parameter."""
    match name:
        case "burgers":
            return Burgers(parameter)
        case "advection":
            return Advection(parameter)
        case "heat":
            return Heat(parameter)
        case _:
            raise InputError(f"data.equation = {name!r} must be one of {', '.join(NAMES)}; choose one of them")


def file_name(of: Equation) -> str:
    """Return the name of the file of this equation's trajectories, as PDEBench names it."""
    return f"1D_{of.title}_Sols_{of.symbol}{float(of.parameter)}.hdf5"
