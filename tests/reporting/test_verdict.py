"""The sentences on top say what the numbers say."""

from dataclasses import replace

import numpy as np
import pytest

from universal_simulator.reporting import verdict as words

SPACE = "\u00a0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0421, "4.2"),
        (0.5, "50"),
        (1.22, "122"),
        (0.00056, "0.056"),
        (0.0999, "10"),
        (0.1, "10"),
        (-0.012, "-1.2"),
        (0, "0"),
    ],
)
def test_a_share_has_two_significant_digits(value, text):
    assert words.percent(value) == f"{text}{SPACE}%"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0421, "0.0421"),
        (1.5e-5, "1.50·10⁻⁵"),
        (123456.0, "1.23·10⁵"),
        (0.0, "0"),
        (3e-17, "≈ 0"),
        (None, "–"),
        (np.nan, "–"),
    ],
)
def test_a_score_has_three_significant_digits(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.2, "4.2 s"), (42, "42 s"), (125, "2 min"), (5940, "99 min"), (11100, "3 h 05 min")]
)
def test_a_duration_reads_as_people_say_it(seconds, text):
    assert words.duration(seconds) == text


def rescored(results, **changes):
    return replace(results, scores={**results.scores, **{name.replace("__", "/"): v for name, v in changes.items()}})


def test_the_fast_mode_has_a_sentence_where_it_was_scored(results):
    assert words.fast_mode(results, "rollout") == ""
    told = words.verdict(rescored(results, rollout__fast__nrmse=0.0012))
    assert told[-1] == f"The fast mode, a coarse solver and a decoder, errs by 0.12{SPACE}%."


def test_the_headline_compares_with_persistence(results):
    text = words.accuracy(
        rescored(results, rollout__deterministic__nrmse=0.05, rollout__persistence__nrmse=1.0), "rollout"
    )
    assert f"is 5.0{SPACE}%" in text
    assert "20 times as much" in text


def test_a_large_factor_is_written_out(results):
    text = words.accuracy(
        rescored(results, rollout__deterministic__nrmse=0.0089, rollout__persistence__nrmse=1.55), "rollout"
    )
    assert "170 times as much" in text


def test_a_forecast_worse_than_persistence_is_called_that(results):
    text = words.accuracy(
        rescored(results, rollout__deterministic__nrmse=2.0, rollout__persistence__nrmse=1.0), "rollout"
    )
    assert "no better than predicting no change at all" in text


@pytest.mark.parametrize(
    ("coverage", "error", "word"),
    [
        (0.5, 0.01, "overconfident"),
        (0.9, 0.01, "well calibrated"),
        (0.9, 0.08, "not far from calibrated (calibration error 0.08)"),
        (0.99, 0.01, "too cautious"),
    ],
)
def test_the_ensemble_is_judged_by_its_coverage_and_calibration_error(results, coverage, error, word):
    scored = rescored(results, rollout__ensemble__coverage_90=coverage, rollout__ensemble__ece=error)
    assert word in words.uncertainty(scored, "rollout")


def with_errors(results, ttc):
    frame = results.trajectory_scores.copy()
    chosen = (frame["protocol"] == "rollout") & (frame["variant"] == "ttc")
    frame.loc[chosen, "nrmse"] = ttc(results.errors("rollout", "deterministic"))
    return replace(results, trajectory_scores=frame)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda e: 0.8 * e, f"lowers the error by 20{SPACE}%"),
        (lambda e: (1 - 1e-6) * e, f"changes the error by less than 0.10{SPACE}%"),
        (lambda e: 1.3 * e, f"makes it worse by 30{SPACE}%"),
        (lambda e: e * np.where(np.arange(len(e)) % 2, 1.1, 0.9), "makes no measurable difference"),
    ],
)
def test_conditioning_is_judged_by_its_paired_interval(results, change, text):
    assert text in words.conditioning(with_errors(results, change), "rollout")


def test_how_much_worse_conditioning_makes_it_lies_inside_its_interval(results):
    worse = with_errors(results, lambda e: e * np.where(np.arange(len(e)) % 2, 1.5, 1.1))
    told = words.conditioning(worse, "rollout").replace(SPACE, "")
    low, value, high = (float(told.split(word)[1].split("%")[0]) for word in ("interval ", "worse by ", " to "))
    assert 0 < low < value < high


def test_missed_targets_are_named_with_their_value(results):
    text = words.targets(results)
    assert text.startswith("1 of 4 targets is met")
    assert "error of a rollout (" in text
    assert "wanted ≤ 0.07" in text
    assert text.endswith("1 cannot be judged yet.")


def test_diverged_forecasts_are_told(results):
    assert words.stability(results, "rollout") == "None of 40 forecasts diverged."
    assert words.stability(rescored(results, rollout__deterministic__diverged=3.0), "rollout").startswith("3 of 40")
