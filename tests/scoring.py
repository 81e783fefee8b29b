"""Truths of which a test says as little as it needs."""

from collections.abc import Sequence

import numpy as np
import torch

from universal_simulator.evaluation.metrics import Truth
from universal_simulator.evaluation.scoreboard import Scoreboard
from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid


def grid_of(sides: str, points: Sequence[int]) -> Grid:
    """Axes x, y, z of unit length; of each side P is periodic, W a wall, O open: ``PW``."""
    kind = {"P": "periodic", "W": "wall", "O": "open"}
    axes = zip("xyz", sides, points, strict=False)
    return Grid(axes=tuple(Axis(name=name, points=n, sides=(kind[side],) * 2) for name, side, n in axes))


def truth_of(
    u: torch.Tensor,
    initial: torch.Tensor | None = None,
    grid: Grid | None = None,
    names: Sequence[str] = ("u",),
    conserved: Sequence[str] | None = None,
    parameters: dict[str, torch.Tensor] | None = None,
    times: np.ndarray | None = None,
) -> Truth:
    """The truth ``u`` (sample, time, channel, space); by default it begins with its first frame, all is conserved."""
    told = parameters or {}
    facts = Facts(
        name="made",
        channels=tuple(Channel(name=name) for name in names),
        parameters=tuple(Parameter(name=name, scale="linear") for name in told),
        conserved=tuple(names if conserved is None else conserved),
    )
    values = torch.stack(list(told.values()), 1) if told else u.new_zeros(len(u), 0)
    return Truth(
        u,
        u[:, 0].clone() if initial is None else initial,
        np.arange(float(u.shape[1])) if times is None else times,
        values,
        facts,
        grid or grid_of("P" * (u.ndim - 3), u.shape[3:]),
    )


def scores_of(truth: Truth, prediction: torch.Tensor) -> dict[str, float]:
    """The scores of one batch by metric."""
    board = Scoreboard()
    board.add("rollout", "made", truth, prediction)
    return {name.removeprefix("rollout/made/"): value for name, value in board.scores().items()}
