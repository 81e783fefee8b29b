"""The chain among others: who has which error for which cost, in sentences, pictures and one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from universal_simulator.evaluation.scores import paired_gain, score_intervals
from universal_simulator.reporting.curves import PROTOCOLS, learning, legend_above, plain_ticks
from universal_simulator.reporting.page import Cell, Group, Page, Row, Section, Table
from universal_simulator.reporting.page import render as render_page
from universal_simulator.reporting.results import TRIVIAL
from universal_simulator.reporting.style import COLOURS, WORDS, Picture, canvas
from universal_simulator.reporting.verdict import duration, number, percent

NETWORKS, GUIDED = ("unet", "fno"), ("unet_guided", "fno_guided")
CHAIN = ("deterministic", "ensemble", "ttc", "fast")
NAMES = WORDS | {"unet": "U-Net", "fno": "FNO", "deterministic": "Latent chain", "ensemble": "Latent chain, ensemble"}
NAMES |= {"ttc": "Latent chain, guided", "unet_guided": "U-Net, guided", "fno_guided": "FNO, guided"}
PAINT = COLOURS | {"unet": "#CC79A7", "fno": "#E69F00", "solver": "#000000"}
PAINT |= {"unet_guided": PAINT["unet"], "fno_guided": PAINT["fno"]}
MARKS = {"deterministic": "o", "ensemble": "s", "ttc": "D", "fast": "P", "unet": "^", "fno": "v", "solver": "x"}
MARKS |= {"unet_guided": "2", "fno_guided": "1"}

TABLE = (
    "The same test trajectories, split and scores for everybody. Below an error stands its 95\u00a0% interval over "
    "trajectories. Seconds of inference are those of one batch, divided by its trajectories, everybody after everybody "
    "on one machine in one run; training is wall-clock, the chain's with all stages that its variant needs."
)
PICTURES = (
    "Lower and further left is better. The solver is not trained: where training is the cost, its settings are lines, "
    "with their number of points. Test-time conditioning and the solver know the equation, the plain networks do not."
)


@dataclass(frozen=True)
class Field:
    """Everybody's scores and costs on the same test trajectories."""

    experiment: str
    scores: Mapping[str, float]
    trajectory_scores: pd.DataFrame
    costs: pd.DataFrame
    """One row each: name, parameters, training_s, and ``<protocol>_s`` of inference for one trajectory."""
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def protocols(self) -> list[str]:
        """Return the protocols that everybody was clocked under."""
        return [name.removesuffix("_s") for name in self.costs.columns if name.endswith("_s") and name != "training_s"]

    @property
    def solvers(self) -> list[str]:
        """Return the solver's settings."""
        return [name for name in self.costs["name"] if name.startswith("solver")]

    def error(self, protocol: str, name: str) -> float:
        """Return nRMSE."""
        return self.scores[f"{protocol}/{name}/nrmse"]

    def errors(self, protocol: str, name: str) -> np.ndarray:
        """Return each trajectory's nRMSE, in the order of trajectories."""
        frame = self.trajectory_scores
        mine = frame[(frame["protocol"] == protocol) & (frame["variant"] == name)]
        return mine.sort_values("trajectory")["nrmse"].to_numpy(np.float64)

    def cost(self, name: str, column: str) -> float:
        """Return a cost, in seconds."""
        return float(self.costs.set_index("name").loc[name, column])

    def there(self, names: tuple[str, ...] | list[str]) -> list[str]:
        """Return those of these names that were clocked and scored; an evaluation need not have scored all."""
        clocked, first = set(self.costs["name"]), self.protocols[0]
        return [name for name in names if name in clocked and f"{first}/{name}/nrmse" in self.scores]


def sentences(found: Field, protocol: str) -> list[str]:
    """Say who wins where: among networks, and against numerics."""
    told = []
    for variant, others in (("deterministic", NETWORKS), ("ttc", GUIDED)):
        if found.there([variant]):
            rivals = found.there(others) or found.there(NETWORKS)
            told.append(duel(found, protocol, variant, min(rivals, key=lambda name: found.error(protocol, name))))
    return [*told, numerics(found, protocol)]


def duel(found: Field, protocol: str, variant: str, other: str) -> str:
    """Say whether a variant of the chain beats the best of the baselines' networks, paired over trajectories."""
    change = paired_gain(found.errors(protocol, variant), found.errors(protocol, other))
    mine, its = (percent(found.error(protocol, name)) for name in (variant, other))
    times = f"trained for {duration(found.cost(variant, 'training_s'))} and {duration(found.cost(other, 'training_s'))}"
    opening = f"{PROTOCOLS.get(protocol, protocol)}: {NAMES[variant]} {mine}"
    text = f"{opening}, best baseline network {NAMES[other]} {its}, {times}"
    sure = f"(95 % interval {percent(change.low)} to {percent(change.high)})"
    if change.low > 0:
        return f"{text}. The chain wins: its error is lower by {percent(change.value)} {sure}."
    if change.high < 0:
        return f"{text}. The winner is {NAMES[other]}: the chain's error is larger by {percent(-change.value)} {sure}."
    return f"{text}. Nobody wins: the difference of {percent(change.value)} is not measurable {sure}."


def numerics(found: Field, protocol: str) -> str:
    """Say whether the solver is better and cheaper than every network."""
    learned = found.there((*CHAIN, *NETWORKS, *GUIDED))
    best = min(learned, key=lambda name: found.error(protocol, name))
    column = f"{protocol}_s"
    if not found.solvers:
        return f"No numerical solver was tried; of all networks {NAMES[best]} has the lowest error."
    better = [name for name in found.solvers if found.error(protocol, name) <= found.error(protocol, best)]
    if not better:
        return f"No setting of the numerical solver that was tried is as accurate as {NAMES[best]}."
    quickest = min(better, key=lambda name: found.cost(name, column))
    faster = found.cost(best, column) / found.cost(quickest, column)
    setting = f"{named(quickest)} errs by {percent(found.error(protocol, quickest))}"
    price = f"{number(1e3 * found.cost(quickest, column))} ms a trajectory"
    beaten = f"{NAMES[best]} ({percent(found.error(protocol, best))}, {number(1e3 * found.cost(best, column))} ms)"
    if faster >= 1:
        return (
            f"The numerical solver wins: {setting} in {price}, without training; {beaten} is {faster:.2g} times slower."
        )
    dearer = f"only at {1 / faster:.2g} times its cost"
    return f"The numerical solver is as accurate as {beaten} {dearer}: {setting} in {price}."


def named(name: str) -> str:
    """Return a competitor in words."""
    if not name.startswith("solver_"):
        return NAMES.get(name, name)
    _, points, courant, *more = name.split("_")
    told = f"Solver, {points} points, Courant {courant.removeprefix('c')}"
    return told + "".join(
        ", Hou and Li's filter" if one == "hl" else f", vanishing viscosity {one[1:]}" for one in more
    )


def pareto(found: Field, protocol: str, column: str, axis: str) -> Picture:
    """Draw error against a cost; who needs none of it is a line."""
    title = f"{PROTOCOLS.get(protocol, protocol)}: error against {axis}"
    with canvas(
        title, f"{axis} (seconds{'' if column == 'training_s' else ' per trajectory'})", "nRMSE (relative)"
    ) as (
        figure,
        axes,
    ):
        for name in found.there((*CHAIN, *NETWORKS, *GUIDED)):
            place = ([found.cost(name, column)], [found.error(protocol, name)])
            axes.scatter(*place, marker=MARKS[name], s=34, color=PAINT[name], label=NAMES[name], zorder=3)
        costs = [found.cost(name, column) for name in found.solvers]
        errors = [found.error(protocol, name) for name in found.solvers]
        if any(costs):
            axes.scatter(costs, errors, marker=MARKS["solver"], s=26, color=PAINT["solver"], label="Solver, coarse")
        for name, error in zip(found.solvers, errors, strict=True) if not any(costs) else ():
            axes.axhline(
                error, color="#bbb", lw=0.8, zorder=1, label="Solver, untrained" if error == errors[0] else None
            )
            axes.annotate(name.split("_")[1], (1, error), xycoords=("axes fraction", "data"), fontsize=6, color="#777")
        axes.set(xscale="log", yscale="log")
        for side in (axes.xaxis, axes.yaxis):
            plain_ticks(side)
        legend_above(axes)
        return Picture(f"pareto-{protocol}-{column.removesuffix('_s')}", figure, title)


def pictures(found: Field) -> list[Picture]:
    """Draw both costs under each protocol, and how the networks learned."""
    drawn = []
    for protocol in found.protocols:
        drawn.append(pareto(found, protocol, "training_s", "training"))
        drawn.append(pareto(found, protocol, f"{protocol}_s", "inference"))
    return [*drawn, *(learning(name, history) for name, history in found.histories.items() if len(history))]


def table(found: Field) -> Table:
    """Return everybody's error and cost, the best rollout first; whoever needs no network stands there, too."""
    intervals, first = score_intervals(found.trajectory_scores), found.protocols[0]
    costs = {str(row["name"]): row for row in found.costs.to_dict("records")}
    scored = [name for name in dict.fromkeys([*costs, *TRIVIAL]) if f"{first}/{name}/nrmse" in found.scores]
    ranked = sorted(scored, key=lambda name: found.error(first, name))
    heads = [head for protocol in found.protocols for head in _heads(protocol)]
    rows = tuple(Row(named(name), _cells(found, intervals, name, costs.get(name, {}))) for name in ranked)
    return Table("", ("Parameters", "Training", *heads), rows)


def render(found: Field, drawn: list[Picture]) -> str:
    """Return the page."""
    footer = (
        "Every number stands in baselines/scores.json, baselines/trajectory_scores.csv and baselines/costs.csv beside "
        "this page."
    )
    page = Page(
        over="baselines",
        title=f"{found.experiment} among others",
        sentences=[sentence for protocol in found.protocols for sentence in sentences(found, protocol)],
        sections=[
            Section("table", "Error and cost", TABLE, (table(found),)),
            Section("pictures", "What an error costs", PICTURES, (Group("", tuple(drawn)),)),
        ],
        footer=footer,
    )
    return render_page(page)


def _heads(protocol: str) -> tuple[str, str]:
    words = PROTOCOLS.get(protocol, protocol)
    return f"nRMSE, {words}", f"Inference, {words}"


def _cells(found: Field, intervals: Mapping[str, Any], name: str, cost: Mapping[Any, Any]) -> tuple[Cell, ...]:
    """Return one competitor's row; what it did not cost, or nobody clocked, is a dash."""
    size, training = cost.get("parameters"), cost.get("training_s")
    cells = [Cell(f"{size:,}".replace(",", "\u202f") if size else "–"), Cell(duration(training) if training else "–")]
    for protocol in found.protocols:
        seconds = cost.get(f"{protocol}_s")
        cells += [_scored(found, intervals, protocol, name), Cell("–" if seconds is None else _milliseconds(seconds))]
    return tuple(cells)


def _scored(found: Field, intervals: Mapping[str, Any], protocol: str, name: str) -> Cell:
    """Return an error and its interval; a dash where it was not scored under this protocol."""
    score = f"{protocol}/{name}/nrmse"
    known = intervals.get(score)
    return Cell(number(found.scores.get(score)), f"{number(known.low)} – {number(known.high)}" if known else "")


def _milliseconds(seconds: float) -> str:
    return f"{number(1e3 * seconds)} ms"
