"""An ensemble Kalman filter on chaos: by the solver beside published errors, and by a trained model.

    python -m benchmarks.filtering                                          # the published case, by the solver
    python -m benchmarks.filtering shipped:kuramoto_sivashinsky --length 64 # the same questions of a model

Kuramoto-Sivashinsky on 128 points, all of them seen each time unit with noise 1. With a period of 32π and 20 members
this is the case of Bocquet & Farchi (2019) as DAPPER runs it (``mods/KS/bocquet2019``), whose square-root filter errs
by 0.115 and whose climatology by 1.3.
"""

import argparse
import math
import time

import torch

from universal_simulator.fields.grid import Grid
from universal_simulator.inverse.filtering import Advance, filtered
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.physics.numerics import Clock, Coarse
from universal_simulator.problems import find
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.filtering import advance

POINTS, SPIN_UP, START = 128, 150, 0.3


def by_solver(length: float, points: int, courant: float) -> Advance:
    """Return the solver's forward model, one time unit a step."""
    problem, grid = find("kuramoto_sivashinsky"), Grid.interval(POINTS)

    def forward(u: torch.Tensor, steps: int) -> torch.Tensor:
        told = torch.full((len(u), 1), length, dtype=torch.float64)
        setting = Coarse(points, courant, together=True)
        assert problem.solver is not None
        return problem.solver.forecast(u, told, Clock(1.0, steps), grid, setting)[:, -1]

    return forward


def by_model(address: str, length: float, members: int, model_error: bool) -> Advance:
    """Return a trained model's, in steps of its own."""
    model = Emulator.load(address)
    step = max(one for one in model.time_steps if abs(1 / one - round(1 / one)) < 1e-6)
    told, generator = torch.full((members, 1), length), torch.Generator().manual_seed(7)
    forward = advance(model, told, step, model_error, generator)
    return lambda u, steps: forward(u, steps * round(1 / step))


def score(name: str, forward: Advance, asked: argparse.Namespace) -> None:
    """Filter, and print what it errs by; everything is in the equation's own unit, L times ours."""
    generator = torch.Generator().manual_seed(asked.seed)
    exact, length, grid = by_solver(asked.length, POINTS, 4.0), asked.length, Grid.interval(POINTS)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) / length

    path = [exact(noise(1, 1, POINTS), SPIN_UP)]
    for _ in range(asked.cycles):
        path.append(exact(path[-1], 1))
    truth = torch.cat(path)[1:, 0]
    seen = Observations.snapshots(
        truth + noise(asked.cycles, POINTS), 1.0 + torch.arange(asked.cycles), grid, 1 / length
    )
    sensing = Sensing.of(seen, find("kuramoto_sivashinsky").facts, grid, 1.0)
    members, began = path[0] + START * noise(asked.members, 1, POINTS), time.process_time()
    kept = [
        (before[:, 0], after[:, 0])
        for _, before, after in filtered(forward, members, sensing, asked.inflation, generator)
    ]
    seconds = time.process_time() - began
    burn = asked.cycles // 10
    forecast, analysis = (torch.stack([pair[i] for pair in kept])[burn:] for i in (0, 1))
    truth = truth[burn:]

    def rmse(made: torch.Tensor) -> float:
        return float(length * (made.mean(1) - truth).square().mean(-1).sqrt().mean())

    spread = float(length * analysis.var(1).mean(-1).sqrt().mean())
    line = f"{name:44} analysis {rmse(analysis):.3f}  forecast {rmse(forecast):.3f}  spread {spread:.3f}"
    print(f"{line}  {seconds / asked.cycles:.3f} CPU s a cycle", flush=True)  # noqa: T201


def main() -> None:
    """Print a row for each forward model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--length", type=float, default=32 * math.pi)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--inflation", type=float, default=1.03)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    case = f"L = {asked.length:.2f}, {asked.members} members, inflation {asked.inflation}, {asked.cycles} cycles"
    print(f"{case}, a tenth of them left out; noise 1")  # noqa: T201
    score("solver, 128 points, steps of 0.5", by_solver(asked.length, POINTS, 4.0), asked)
    score("solver, 96 points, steps of 0.5", by_solver(asked.length, 96, 4.0), asked)
    for error in (True, False) if asked.model else ():
        name = f"{asked.model}, {'its own error drawn' if error else 'taken to be perfect'}"
        score(name, by_model(asked.model, asked.length, asked.members, error), asked)


if __name__ == "__main__":
    main()
