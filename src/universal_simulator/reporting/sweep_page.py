"""One self-contained page of a sweep: the best trials, what mattered, and the command that repeats the best."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from universal_simulator.configuration import Parameters, at_path
from universal_simulator.reporting.page import Cell, Group, Page, Row, Section, Table, Text, bar
from universal_simulator.reporting.page import render as render_page
from universal_simulator.reporting.style import COLOURS, Picture, canvas
from universal_simulator.reporting.verdict import duration, number, percent

FEWEST = 8
"""Complete trials below which nothing is said about what mattered."""
BEST = 10


def complete(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that were not cut short, the best first."""
    return trials[trials["state"] == "complete"].sort_values("error", ignore_index=True)


def importance(trials: pd.DataFrame, paths: list[str]) -> pd.DataFrame:
    """Return how strongly the error follows each parameter: Spearman's rank correlation, signed, over complete trials.

    Empty below FEWEST trials. Of values without an order, it is the share of the ranks' variance between the values.
    """
    done = complete(trials)
    known = [path for path in paths if path in done and done[path].nunique() > 1] if len(done) >= FEWEST else []
    rows = [{"parameter": path, "strength": _strength(done[path], done["error"])} for path in known]
    frame = pd.DataFrame(rows, columns=["parameter", "strength"])
    return frame.sort_values("strength", key=abs, ascending=False, ignore_index=True)


def _strength(values: pd.Series, error: pd.Series) -> float:
    ranks = error.rank()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return float(np.corrcoef(values.rank(), ranks)[0, 1])
    means = ranks.groupby(values.astype(str)).transform("mean")
    return float(means.var(ddof=0) / ranks.var(ddof=0))


def command(p: Parameters, trial: dict[str, Any]) -> str:
    """Return the command line that runs the whole chain with a trial's values."""
    changes = "".join(f",{path}={_typed(trial[path])}" for path in p.sweep.searched)
    return f"kedro run --pipeline=full --params={p.experiment.name}{changes}"


def sentences(p: Parameters, trials: pd.DataFrame) -> list[str]:
    """Return the result in words."""
    done = complete(trials)
    if not len(done):
        return ["No trial was completed."]
    best, own = done.iloc[0], trials[(trials["trial"] == 0) & (trials["state"] == "complete")]
    text = f"Trial {best['trial']} of {len(trials)} is best, with an error of {percent(best['error'])} on validation"
    if not len(own):
        return [f"{text}.", f"Repeat it with {command(p, best.to_dict())}"]
    if best["trial"] == 0:
        return [f"{text}. Those are the experiment's own values: nothing better was found."]
    gain = 1 - best["error"] / own["error"].iloc[0]
    text += f", {percent(gain)} below that of the experiment's own values ({percent(own['error'].iloc[0])})."
    return [text, f"Repeat it with {command(p, best.to_dict())}"]


def pictures(trials: pd.DataFrame, paths: list[str]) -> list[Picture]:
    """Draw the error of every complete trial over the order of trials, and over each parameter."""
    done = trials[trials["state"] == "complete"].sort_values("trial")
    if not len(done):
        return []
    with canvas("Trials", "trial", "nRMSE, validation (relative)") as (figure, axes):
        axes.plot(done["trial"], done["error"], "o", color=COLOURS["deterministic"], ms=3.5, label="trial")
        axes.step(
            done["trial"], done["error"].cummin(), where="post", color=COLOURS["ensemble"], ls="--", label="best so far"
        )
        axes.set_yscale("log")
        axes.legend()
        drawn = [Picture("sweep-trials", figure, "Error of every trial, and the best so far")]
    for path in paths:
        with canvas(path, path.rpartition(".")[2].replace("_", " ") + " (value)", "nRMSE, validation (relative)") as (
            figure,
            axes,
        ):
            values = done[path] if pd.api.types.is_numeric_dtype(done[path]) else done[path].astype(str)
            axes.plot(values, done["error"], "o", color=COLOURS["deterministic"], ms=3.5)
            wide = pd.api.types.is_numeric_dtype(done[path]) and values.min() > 0 and values.max() > 10 * values.min()
            axes.set(yscale="log", xscale="log" if wide else axes.get_xscale())
            drawn.append(Picture(f"sweep-{path}", figure, f"Error of the trials over {path}"))
    return drawn


def render(p: Parameters, trials: pd.DataFrame, mattered: pd.DataFrame) -> str:
    """Return the page."""
    drawn = pictures(trials, list(p.sweep.searched))
    note = " A trial is shorter than the experiment: only the whole chain says what its values are worth."
    return render_page(
        Page(
            over="sweep around an experiment",
            title=p.experiment.name,
            sentences=sentences(p, trials),
            sections=[
                _best(p, trials),
                _mattered(mattered),
                Section("trials", "All complete trials", "", (Group("", tuple(drawn)),)),
            ],
            footer="Every trial stands in trials.csv beside this page." + (note if len(complete(trials)) else ""),
        )
    )


def _best(p: Parameters, trials: pd.DataFrame) -> Section:
    """Return the best trials, and the experiment's own values below them."""
    paths, states = list(p.sweep.searched), trials["state"].value_counts().to_dict()
    counts = ", ".join(f"{count} {state}" for state, count in states.items()) or "none"
    text = (
        f"Trials: {counts}; {duration(float(trials['seconds'].sum()))} in all. Each trained the operator alone for "
        f"{p.sweep.epochs} epochs on the experiment’s latents and was judged by its rollouts on "
        f"{p.sweep.trajectories} validation trajectories. The test trajectories had no part in it."
    )
    rows = [
        Row(str(row["trial"]), (Cell(number(row["error"])), *_values([row[path] for path in paths])))
        for row in complete(trials).head(BEST).to_dict("records")
    ]
    rows.append(Row("the experiment’s own", (Cell(), *_values([at_path(p, path) for path in paths]))))
    return Section("best", "Best trials", text, (Table("", ("nRMSE", *paths), tuple(rows), corner="Trial"),))


def _mattered(mattered: pd.DataFrame) -> Section:
    """Return how strongly the error follows each parameter."""
    if not len(mattered):
        text = f"Fewer than {FEWEST} trials were completed: too few to say which parameters matter."
        return Section("importance", "What mattered", "", (Text(text),))
    text = (
        "Rank correlation of a parameter with the error over complete trials: +1, the error grows with it; −1, it "
        "falls; near 0, it follows nothing. Without order (choices of words), the share of variance between them."
    )
    rows = [
        Row(row["parameter"], (bar(abs(row["strength"])), Cell(f"{row['strength']:+.2f}")))
        for row in mattered.to_dict("records")
    ]
    return Section("importance", "What mattered", text, (Table("", (), tuple(rows), style="bars"),))


def _values(values: Sequence[Any]) -> list[Cell]:
    return [Cell(_shown(value)) for value in values]


def _typed(value: Any) -> str:
    """Write a value as ``--params`` reads it back, to the last digit."""
    return repr(value.item() if hasattr(value, "item") else value).replace("'", "").replace(" ", "")


def _shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
