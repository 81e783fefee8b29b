"""The result in plain English: what a stranger should know first."""

import math

import numpy as np

from universal_simulator.evaluation.scores import Interval, paired_gain
from universal_simulator.reporting.results import Results

ROUNDING = 1e-12
"""Scores below this are what double precision leaves of zero."""
NOTHING = 1e-3
"""A relative change below this is none, however sure."""
CALIBRATED = 0.05
"""Largest calibration error of what may be called so; a target of the experiments, too."""


def percent(value: float) -> str:
    """Return a share as per cent with two significant digits: ``4.2 %``, ``0.056 %``, ``42 %``, ``122 %``."""
    shown = 100 * value
    if shown == 0 or not math.isfinite(shown):
        return f"{shown:g}\u00a0%"
    rounded = float(f"{shown:.1e}") if abs(shown) < 100 else round(shown)
    digits = max(0, 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{digits}f}\u00a0%"


def number(value: float | None) -> str:
    """Return a score with three significant digits, without a long row of zeros; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if 0 < abs(value) < ROUNDING:
        return "≈ 0"
    if value and (abs(value) < 1e-3 or abs(value) >= 1e5):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a time as people say it: ``42 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def verdict(results: Results) -> list[str]:
    """Return the sentences that stand on top: accuracy, targets, uncertainty, test-time conditioning, fast mode."""
    protocol = results.protocols[0]
    sentences = [accuracy(results, protocol), stability(results, protocol), targets(results)]
    sentences += [uncertainty(results, protocol), conditioning(results, protocol), fast_mode(results, protocol)]
    return [sentence for sentence in sentences if sentence]


def accuracy(results: Results, protocol: str) -> str:
    """Say how large the error is, how sure that is, and what doing nothing would cost."""
    name = f"{protocol}/{results.variants(protocol)[0]}/nrmse"
    error, interval = results.scores[name], results.intervals.get(name)
    trajectories = len(results.errors(protocol, name.split("/")[1]))
    task = {
        "rollout": "rolled out from one snapshot",
        "one_step": "one step at a time",
        "pdebench": "after PDEBench's ten given snapshots",
        "ten_given": "after the first ten snapshots",
    }.get(protocol, f"under {protocol}")
    sure = f" (95 % interval {percent(interval.low)} to {percent(interval.high)})" if interval else ""
    setting = f"On {trajectories} unseen trajectories, {task},"
    text = f"{setting} the relative error of {results.name} is {percent(error)}{sure}."
    nothing = results.score(f"{protocol}/persistence/nrmse")
    if nothing is None or error <= 0:
        return text
    ratio = nothing / error
    if ratio > 1:
        return f"{text} That of predicting no change is {percent(nothing)}, {float(f'{ratio:.2g}'):g} times as much."
    return f"{text} That is no better than predicting no change at all ({percent(nothing)})."


def stability(results: Results, protocol: str) -> str:
    """Say how many forecasts diverged, if that was counted."""
    variant = results.variants(protocol)[0]
    diverged = results.score(f"{protocol}/{variant}/diverged")
    if diverged is None:
        return ""
    total = len(results.errors(protocol, variant))
    return f"{int(diverged)} of {total} forecasts diverged." if diverged else f"None of {total} forecasts diverged."


def targets(results: Results) -> str:
    """Say how many gates passed, and which did not."""
    gates = results.gates
    if not len(gates):
        return "This experiment has no targets."
    passed = int((gates["verdict"] == "passed").sum())
    text = f"{passed} of {len(gates)} targets {'is' if passed == 1 else 'are'} met"
    missed = gates[gates["verdict"] == "failed"]
    if len(missed):
        text += "; missed: " + ", ".join(
            f"{row['gate']} ({number(row['value'])}, wanted {row['requirement']})" for row in missed.to_dict("records")
        )
    open_ = int((~gates["verdict"].isin(["passed", "failed"])).sum())
    return text + (f"; {open_} cannot be judged yet." if open_ else ".")


def uncertainty(results: Results, protocol: str) -> str:
    """Say whether the ensemble's intervals mean what they say."""
    coverage = results.score(f"{protocol}/ensemble/coverage_90")
    if coverage is None:
        return ""
    error = results.score(f"{protocol}/ensemble/ece") or 0.0
    good = "well calibrated" if error <= CALIBRATED else f"not far from calibrated (calibration error {number(error)})"
    judgement = "overconfident" if coverage < 0.85 else "too cautious" if coverage > 0.95 else good
    return (
        f"The ensemble is {judgement}: its 90 % intervals contain the truth {percent(coverage)} of the time, "
        f"and its spread is {number(results.scores[f'{protocol}/ensemble/spread_skill'])} times its error."
    )


def conditioning(results: Results, protocol: str) -> str:
    """Say what test-time conditioning changed, paired over trajectories."""
    change = conditioning_gain(results, protocol)
    if change is None:
        return ""
    if max(abs(change.low), abs(change.high)) < NOTHING:
        return f"Test-time conditioning changes the error by less than {percent(NOTHING)}."
    sure = f"(95 % interval {percent(change.low)} to {percent(change.high)})"
    if change.low > 0:
        return f"Test-time conditioning lowers the error by {percent(change.value)} {sure}."
    if change.high < 0:
        worse = f"(95 % interval {percent(-change.high)} to {percent(-change.low)})"
        return f"Test-time conditioning makes it worse by {percent(-change.value)} {worse}."
    return f"Test-time conditioning makes no measurable difference: {percent(change.value)} {sure}."


def fast_mode(results: Results, protocol: str) -> str:
    """Say how large its error is, where it was scored."""
    error = results.score(f"{protocol}/fast/nrmse")
    return "" if error is None else f"The fast mode, a coarse solver and a decoder, errs by {percent(error)}."


def conditioning_gain(results: Results, protocol: str) -> Interval | None:
    """Return the paired gain of test-time conditioning over the deterministic chain."""
    with_it, without = (results.errors(protocol, variant) for variant in ("ttc", "deterministic"))
    if not len(with_it) or len(with_it) != len(without) or not np.any(without):
        return None
    return paired_gain(with_it, without)
