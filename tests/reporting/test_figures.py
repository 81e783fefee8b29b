"""Figures show the numbers they claim to show."""

from dataclasses import replace

import numpy as np
import pytest

from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting import curves, data_page, fields, outside
from universal_simulator.reporting.sections import pictures, sections


def axes(picture):
    return picture.figure.axes[0]


def line(picture, label):
    return next(one for one in axes(picture).lines if one.get_label() == label)


def test_error_growth_draws_the_table(results):
    drawn = line(curves.growth(results, "rollout"), "Deterministic")
    table = results.growth("rollout", "deterministic")
    assert np.array_equal(drawn.get_xdata(), table["time"])
    assert np.array_equal(drawn.get_ydata(), table["nrmse_mean"])


def test_space_time_maps_show_space_across_and_time_upwards(results):
    picture = fields.space_time(results.examples, 1)[0]
    image = axes(picture).images[0]
    assert np.array_equal(image.get_array(), results.examples["truth"][1])
    assert image.origin == "lower"
    time, x = results.examples["time"], results.examples["x"]
    assert list(image.get_extent()) == [x[0], x[-1], time[0], time[-1]]


def test_the_error_map_is_forecast_minus_truth_on_a_symmetric_scale(results):
    picture = next(p for p in fields.space_time(results.examples, 0) if p.name == "space-time-0-deterministic-error")
    image = axes(picture).images[0]
    assert np.allclose(image.get_array(), results.examples["deterministic"][0] - results.examples["truth"][0])
    assert image.norm.vmin == -image.norm.vmax


def test_a_fan_runs_through_the_truth_and_the_members_mean(results):
    picture = fields.fans(results.examples, 0)[1]
    middle = len(results.examples["x"]) // 2
    assert np.array_equal(line(picture, "truth").get_ydata(), results.examples["truth"][0, :, middle])
    assert np.allclose(line(picture, "mean").get_ydata(), results.examples["ensemble"][0, :, :, middle].mean(0))


def test_a_single_wave_has_its_energy_at_its_wave_number(results):
    x = results.examples["x"]
    wave = 3.0 * np.sin(2 * np.pi * 5 * x)
    truth = np.broadcast_to(wave, results.examples["truth"].shape)
    drawn = line(curves.spectrum({**results.examples, "truth": truth}, 0), "Truth")
    energy = dict(zip(drawn.get_xdata().tolist(), drawn.get_ydata().tolist(), strict=True))
    assert energy[5] == pytest.approx(1.5**2)
    assert max(value for number, value in energy.items() if number != 5) < 1e-20


def test_the_spectrum_of_an_ensemble_is_that_of_its_members_not_of_their_mean(results):
    noise = np.random.default_rng(0).standard_normal(results.examples["ensemble"].shape)
    drawn = line(curves.spectrum({**results.examples, "ensemble": noise}, 0), "Ensemble")
    assert drawn.get_ydata().mean() == pytest.approx(1 / noise.shape[-1], rel=0.1)


def test_gain_is_the_relative_fall_of_the_error(results):
    drawn = axes(curves.gain(results, "rollout")).lines[-1]
    assert drawn.get_ydata() == pytest.approx(0.1)


def test_reliability_draws_empirical_against_nominal(results):
    drawn = line(curves.reliability(results, "rollout"), "all times")
    assert drawn.get_xdata() == pytest.approx(np.arange(1, 10) / 10)
    assert drawn.get_ydata()[8] == pytest.approx(results.scores["rollout/ensemble/coverage_90"], rel=1e-5)


def test_learning_draws_every_loss_and_nothing_else(results):
    history = results.histories["operator"].assign(grad_norm=1.0)
    drawn = axes(curves.learning("operator", history)).lines
    assert [one.get_label() for one in drawn] == ["train", "validation"]


def test_a_forecast_that_broke_is_drawn_too(results):
    broken = results.examples["deterministic"].copy()
    broken[0, 5:] = np.nan
    examples = {**results.examples, "deterministic": broken}
    for picture in [*fields.space_time(examples, 0), *fields.profiles(examples, 0), curves.spectrum(examples, 10)]:
        assert picture.png().startswith(b"\x89PNG")


def test_a_perfect_forecast_is_drawn_too(results):
    growth = results.error_growth.assign(nrmse_mean=0.0, nrmse_q10=0.0, nrmse_q90=0.0)
    assert curves.growth(replace(results, error_growth=growth), "rollout").png().startswith(b"\x89PNG")


def test_error_and_spread_outside_training_are_drawn_over_what_was_varied(results):
    over_parameter, over_amplitude = outside.pictures(results)
    assert line(over_parameter, "error of the mean").get_xydata().tolist() == [
        [0.005, 0.04],
        [0.01, 0.01],
        [0.02, 0.02],
    ]
    assert line(over_amplitude, "spread of the members").get_xydata().tolist() == [[1.0, 0.01], [2.0, 0.06]]
    said = outside.sentence(results.outside)
    assert "error grows up to 8 times, the spread up to 6 times" in said
    assert "at parameter 0.005 and amplitude 1: 0.53 of the error, and 90 % intervals hold 60%" in said


def test_without_cases_outside_training_there_is_no_picture(results):
    assert outside.pictures(replace(results, outside=results.outside[:0])) == ()


def test_every_axis_of_the_report_tells_its_unit(results, unnamed):
    truth = Trajectories.of(results.examples["truth"], 0.01, results.examples["time"])
    drawn = list(pictures([*sections(results), data_page.section(truth)]))
    assert len(drawn) > 30
    assert unnamed(drawn) == []
