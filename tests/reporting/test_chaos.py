"""The section on chaos says and shows what was scored; where nothing was, there is none."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from universal_simulator.reporting import chaos
from universal_simulator.reporting.report import sections

NAMES = ("deterministic", "ensemble", "mean", "solver_96_c0.7", "solver_64_c4")


def curves() -> pd.DataFrame:
    """Return curves of everybody, and the truth's energies."""
    rows = []
    for number, name in enumerate(NAMES):
        for t in np.arange(1.0, 11.0):
            value = float(np.exp(-0.05 * (number + 1) * t))
            rows.append(("correlation", name, t, value, value - 0.1, min(1.0, value + 0.1)))
            rows += [(quantity, name, t, 1 - value, None, None) for quantity in ("valid", "error", "crps")]
            rows += [("spread", name, t, 1.1 - value, None, None)] if name == "ensemble" else []
        rows.append(("cost_us", name, 0.0, 10.0 + number, None, None))
    for name in ("truth", "deterministic", "solver_96_c0.7"):
        rows += [("energy", name, k, 10.0**-k, None, None) for k in range(1, 9)]
    return pd.DataFrame(rows, columns=["quantity", "variant", "at", "value", "low", "high"])


@pytest.fixture(scope="module")
def chaotic(results):
    scores = {f"chaos/correlation_time/{name}": 70.0 - 10 * i for i, name in enumerate(NAMES)}
    scores["chaos/correlation_time/solver_96_c0.7"] = 88.0
    scores |= {"chaos/correlation_time_error/deterministic": 2.5, "chaos/rms_ratio/deterministic": 1.01}
    scores |= {"chaos/rms_ratio/truth": 1.0, "chaos/calm/deterministic": 2.0}
    scores |= {"chaos/crps_gain/ensemble": 0.31, "chaos/least_crps_gain/ensemble": 0.22}
    return replace(results, chaos=curves(), scores={**results.scores, **scores})


def test_it_says_how_long_the_truth_is_followed_beside_the_next_solver_and_what_the_ensemble_adds(chaotic):
    told = chaos.sentence(chaotic)
    assert "the network follows the truth for 70 time units; Solver, 96 points, Courant 0.7 for 88." in told
    assert "below the deterministic error by 31\u00a0%, at no lead time by less than 22\u00a0%" in told
    assert "root mean square is 1.01 times the truth's" in told


def test_the_table_has_everybody_the_longest_time_first(chaotic):
    table = chaos.table(chaotic)
    assert [row.heading for row in table.rows][:3] == ["Solver, 96 points, Courant 0.7", "Deterministic", "Ensemble"]
    own = dict(zip(table.columns, table.rows[1].cells, strict=True))
    assert (own["Correlation time"].text, own["Correlation time"].note) == ("70", "± 2.5")
    assert own["Calm runs"].text == "2"
    assert own["Processor time"].text == "10 µs"
    assert table.rows[-1].heading == "Truth"


def test_every_picture_names_its_axes_with_units(chaotic, unnamed):
    drawn = list(chaos.section(chaotic).pictures)
    assert [one.name for one in drawn] == [
        "chaos-correlation", "chaos-valid", "chaos-crps", "chaos-spread", "chaos-energy",
    ]  # fmt: skip
    assert unnamed(drawn) == []


def test_a_problem_that_is_not_scored_as_chaos_has_no_such_section(results, chaotic, undrawn):
    assert "chaos" not in [section.anchor for section in sections(results)]
    assert "chaos" in [section.anchor for section in sections(chaotic)]
