"""Error and spread of ensembles where training held nothing alike."""

import pandas as pd

from universal_simulator.reporting.curves import legend_above, plain_ticks
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import COLOURS, Picture, canvas

SIZE = "root mean square (share of the truth's)"


def pictures(results: Results) -> tuple[Picture, ...]:
    """Draw both over the equation's parameter, and over the amplitude of initial fields."""
    table = results.outside
    if not len(table):
        return ()
    first = table.iloc[0]
    same_field, same_parameter = table["amplitude"] == 1, table["parameter"] == first["parameter"]
    return (
        _drawn("parameter", table[same_field], f"{results.parameter_words} (of the equation)"),
        _drawn("amplitude", table[same_parameter], "amplitude of initial fields (1 = as in training)"),
    )


def sentence(table: pd.DataFrame) -> str:
    """Say whether the spread rises with the error, and where it falls short most."""
    error, spread = (table[name] / table[name].iloc[0] for name in ("error", "spread"))
    beyond = table[~table["inside"]]
    worst = beyond["spread_skill"].idxmin()
    alike = error.rank().corr(spread.rank())
    return (
        f"Outside training the error grows up to {error.max():.3g} times, the spread up to {spread.max():.3g} times; "
        f"their rank correlation over {len(table)} cases is {alike:.2f}. The spread falls short most at parameter "
        f"{table['parameter'][worst]:g} and amplitude {table['amplitude'][worst]:g}: "
        f"{table['spread_skill'][worst]:.2f} of the error, and 90 % intervals hold {table['coverage_90'][worst]:.0%}."
    )


def _drawn(name: str, part: pd.DataFrame, words: str) -> Picture:
    part = part.sort_values(name)
    inside = part[part["inside"]]
    with canvas("Outside training", words, SIZE) as (figure, axes):
        axes.plot(part[name], part["error"], "o-", color=COLOURS["truth"], ms=3.5, label="error of the mean")
        axes.plot(part[name], part["spread"], "s--", color=COLOURS["ensemble"], ms=3.5, label="spread of the members")
        for value in inside[name]:
            axes.axvline(value, color="#999", ls=":", lw=1)
        axes.set(xscale="log", yscale="log")
        for side in (axes.xaxis, axes.yaxis):
            plain_ticks(side)
        legend_above(axes)
        return Picture(
            f"outside-{name}", figure, f"Error and spread over {words}; the dotted line is what training held"
        )
