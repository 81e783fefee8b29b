r"""The Gray-Scott reaction in two dimensions: A is fed, B eats it and dies, both diffuse; periodic on (-1, 1)².

    A_t = D_A ΔA - A B² + F (1 - A),    B_t = D_B ΔB + A B² - (F + k) B,    D_A = 2·10⁻⁵, D_B = 10⁻⁵

(Gray & Scott, Chem. Eng. Sci. 39 (1984) 1087; Pearson, Science 261 (1993) 189), as in The Well (Ohana et al. 2024,
arXiv 2412.00568), whose files have these channels, this domain and these diffusivities. Feed F and kill k are
parameters. The Well's are in ``PATTERNS``, one of which is the default. Its frames are 10 time units apart, too, on
128² points up to t = 10 000; ours by default on 64², up to t = 1000, in which the patterns form. (0, 0) means 1 for A
and 0 for B everywhere: a state of rest, from which nothing grows.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.fields.symmetries import Reflection, Translation, Transpose
from universal_simulator.physics.reaction import ReactionRate, ReactionSolver
from universal_simulator.problems.problem import Problem


@dataclass(frozen=True)
class GrayScott:
    feed: float
    kill: float
    first: float = 2e-5
    second: float = 1e-5
    cells = None
    front_width = 0.03

    @property
    def identity(self) -> str:
        return "x"

    @property
    def diffusivities(self):
        return self.first, self.second

    def reaction(self, u):
        a, b = u.unbind(1)
        eaten = a * b.square()
        return torch.stack((self.feed * (1 - a) - eaten, eaten - (self.feed + self.kill) * b), 1)

    def steepest(self, u) -> float:
        a, b = u.unbind(1)
        eaten, helped = b.square(), (2 * a * b)
        first = (eaten + self.feed + helped.abs()).max()
        second = (eaten + (helped - self.feed - self.kill).abs()).max()
        return float(torch.maximum(first, second))
