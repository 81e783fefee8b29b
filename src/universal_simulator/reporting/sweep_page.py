"""One self-contained page of a sweep: the best trials, what mattered, and the command that repeats the best."""

from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from universal_simulator.configuration import Parameters, at_path
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
    folder, paths = files("universal_simulator.reporting"), list(p.sweep.searched)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    best = complete(trials).head(BEST).to_dict("records")
    states = trials["state"].value_counts().to_dict()
    return environment.from_string((folder / "sweep.html.j2").read_text("utf-8")).render(
        style=Markup((folder / "page.css").read_text("utf-8")),
        name=p.experiment.name,
        sentences=sentences(p, trials),
        counts=", ".join(f"{count} {state}" for state, count in states.items()) or "none",
        spent=duration(float(trials["seconds"].sum())),
        epochs=p.sweep.epochs,
        trajectories=p.sweep.trajectories,
        paths=paths,
        best=[{**row, "error": number(row["error"]), "shown": [_shown(row[path]) for path in paths]} for row in best],
        own=[_shown(at_path(p, path)) for path in paths],
        mattered=mattered.to_dict("records"),
        fewest=FEWEST,
        pictures=pictures(trials, paths),
        command=command(p, best[0]) if best else "",
    )


def _typed(value: Any) -> str:
    """Write a value as ``--params`` reads it back, to the last digit."""
    return repr(value.item() if hasattr(value, "item") else value).replace("'", "").replace(" ", "")


def _shown(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
