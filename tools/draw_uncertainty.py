"""Draw the pictures of docs/alarm.md and docs/propagate.md with shipped models.

python tools/draw_uncertainty.py docs/pictures
"""

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from universal_simulator.configuration import Propagate, Uncertain
from universal_simulator.fields.grid import Grid
from universal_simulator.problems import find
from universal_simulator.reporting.style import STYLE
from universal_simulator.serving import Emulator
from universal_simulator.serving.request import ask

POINTS, TIME, TRAINED, STRANGE = 256, 0.5, 0.01, 0.005
BLUE, RED, BLACK = "#0072B2", "#D55E00", "#000000"


def solved(viscosity: float) -> np.ndarray:
    """Return the solver's field at ``TIME`` from one of the initial fields, which no model was trained on."""
    problem = find("burgers")
    assert problem.solver is not None
    times = np.linspace(0, TIME, 26)
    found = problem.solver.solve((viscosity,), lambda fine: initial(fine), times, Grid.interval(POINTS), torch.float64)
    last: np.ndarray = found.values[0, -1, 0].numpy()
    return last


def initial(grid: Grid) -> torch.Tensor:
    """Return that field."""
    return find("burgers").family(None).batch(grid, 99, [4])


def band(axes: Axes, members: np.ndarray, truth: np.ndarray, title: str) -> None:
    """Draw what members hold between them, and the truth."""
    x = (np.arange(POINTS) + 0.5) / POINTS
    low, high = np.quantile(members, (0.05, 0.95), axis=0)
    axes.fill_between(x, low, high, color=BLUE, alpha=0.35, lw=0, label="members, 5 to 95 %")
    axes.plot(x, np.median(members, 0), color=BLUE, label="their median")
    axes.plot(x, truth, "--", color=BLACK, lw=1.2, label="truth (solver)")
    axes.set(title=title, xlabel="x (domain lengths)")


def alarm() -> Figure:
    """Return forecasts inside and outside of training, and what the alarm makes of the latter."""
    emulator, u0 = Emulator.load("shipped:sota_v1"), initial(Grid.interval(POINTS))[0, 0].numpy()
    figure = Figure(figsize=(11, 3))
    inside, plain, moved = figure.subplots(1, 3, sharey=True)
    with warnings.catch_warnings(action="ignore"):
        members = {nu: emulator.rollout(u0, nu, [TIME], members=16, seed=1)[:, 0] for nu in (TRAINED, STRANGE)}
        scores = {nu: emulator.judge(u0, emulator.rollout(u0, nu, [TIME]), [TIME], {"nu": nu}) for nu in members}
    request = ask(emulator.model, u0, {"nu": STRANGE}, [TIME], 16, False, 1)
    bare = emulator.answer(request)[0, :, 0, 0].numpy()
    band(inside, members[TRAINED], solved(TRAINED), f"ν as trained: silent ({scores[TRAINED][0]:.1f})")
    band(plain, bare, solved(STRANGE), "half of that: too sure")
    band(moved, members[STRANGE], solved(STRANGE), f"the alarm rings ({scores[STRANGE][0]:.0f})")
    inside.set_ylabel("u (velocity units)")
    moved.legend(fontsize=7)
    return figure


def propagation() -> Figure:
    """Return what uncertain inputs make of a forecast, by a model and by the solver."""
    emulator, x = Emulator.load("shipped:burgers_all"), (np.arange(POINTS) + 0.5) / POINTS
    told = {"nu": Uncertain(kind="uniform", first=0.005, second=0.1)}
    asked = Propagate(spread=0.1, modes=2, parameters=told, times=(TIME,), samples=32, members=2, solver_samples=32)
    made = emulator.propagate(np.sin(2 * np.pi * x), asked, seed=1)
    assert made.solved is not None
    figure = Figure(figsize=(7, 3))
    axes = figure.subplots()
    forecasts = made.fields[:, :, 0, 0].reshape(-1, POINTS)
    low, middle, high = np.quantile(forecasts, (0.05, 0.5, 0.95), axis=0)
    axes.fill_between(x, low, high, color=BLUE, alpha=0.3, lw=0, label="model, 5 to 95 %")
    axes.plot(x, middle, color=BLUE, label="model, median")
    edges = np.quantile(made.solved[:, 0, 0, 0], (0.05, 0.95), axis=0)
    axes.plot(x, edges.T, "--", color=BLACK, lw=1, label=["solver, 5 and 95 %", "_"])
    axes.set(xlabel="x (domain lengths)", ylabel="u (velocity units)", title=f"t = {TIME:g}: field and ν uncertain")
    axes.legend(fontsize=8)
    return figure


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with mpl.rc_context(STYLE):
        for name, figure in (("alarm", alarm()), ("propagate", propagation())):
            figure.savefig(folder / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
