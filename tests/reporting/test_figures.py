"""Figures show the numbers they claim to show."""

from dataclasses import replace

import numpy as np
import pytest

from finished_experiment import FRONTS, training_data
from universal_simulator.fields.facts import Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.reporting import curves, data_page, report, uncertainty
from universal_simulator.reporting.line import Line
from universal_simulator.reporting.page import pictures

VIEW = Line()


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
    picture = VIEW.fields(results.examples, 1, 0)[0]
    image = axes(picture).images[0]
    assert np.array_equal(image.get_array(), results.examples.fields["truth"][1, :, 0])
    assert image.origin == "lower"
    time, x = results.examples.time, results.examples.coordinates(0)
    assert list(image.get_extent()) == [x[0], x[-1], time[0], time[-1]]


def test_the_error_map_is_forecast_minus_truth_on_a_symmetric_scale(results):
    named = {picture.name: picture for picture in VIEW.fields(results.examples, 0, 0)}
    image = axes(named["space-time-0-deterministic-error"]).images[0]
    fields = results.examples.fields
    assert np.allclose(image.get_array(), (fields["deterministic"] - fields["truth"])[0, :, 0])
    assert image.norm.vmin == -image.norm.vmax


def test_a_fan_runs_through_the_truth_and_the_members_mean(results):
    picture, fields = VIEW.fans(results.examples, 0, 0)[1], results.examples.fields
    middle = results.examples.grid.shape[0] // 2
    assert np.array_equal(line(picture, "truth").get_ydata(), fields["truth"][0, :, 0, middle])
    assert np.allclose(line(picture, "mean").get_ydata(), fields["ensemble"][0, :, :, 0, middle].mean(0))


def test_labels_and_units_are_those_of_channels_axes_and_parameters(results):
    truth, *_ = VIEW.fields(results.examples, 0, 0)
    field, bar = truth.figure.axes
    assert (field.get_xlabel(), field.get_ylabel()) == ("x (domain lengths)", "t (time units)")
    assert bar.get_ylabel() == "u (m/s)"
    profile, *_ = VIEW.profiles(results.examples, 0, 0)
    assert axes(profile).get_ylabel() == "u (m/s)"
    assert report.forecasts(results).blocks[0].heading == "Example 1, Nu = 0.01"


def test_each_of_several_channels_has_the_pictures_of_one(results):
    facts = FRONTS.model_copy(update={"channels": (Channel(name="h"), Channel(name="q/w"))})
    fields = {name: np.concatenate([values, 2 * values], -2) for name, values in results.examples.fields.items()}
    double = replace(results.examples, facts=facts, fields=fields)
    for draw in (VIEW.fields, VIEW.profiles, VIEW.fans, VIEW.departures):
        one, first, second = draw(results.examples, 0, 0), draw(double, 0, 0), draw(double, 0, 1)
        assert [picture.name for picture in first] == [f"{picture.name}-h" for picture in one]
        assert [picture.name for picture in second] == [f"{picture.name}-q-w" for picture in one]
    assert np.array_equal(axes(VIEW.fields(double, 0, 1)[0]).images[0].get_array(), fields["truth"][0, :, 1])
    assert axes(VIEW.fields(double, 0, 1)[0]).get_title(loc="left") == "q/w: truth"


def wave(amplitude: float, number: int, length: int) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * number * (np.arange(length) + 0.5) / length)


def test_a_single_wave_has_its_energy_at_its_wave_number(results):
    fields = results.examples.fields
    truth = np.broadcast_to(wave(3.0, 5, 128), fields["truth"].shape)
    drawn = line(curves.spectrum(replace(results.examples, fields={**fields, "truth": truth}), 0, 0), "Truth")
    energy = dict(zip(drawn.get_xdata().tolist(), drawn.get_ydata().tolist(), strict=True))
    assert list(energy) == list(range(1, 64))
    assert energy[5] == pytest.approx(1.5**2)
    assert max(value for number, value in energy.items() if number != 5) < 1e-20


@pytest.mark.parametrize("along", [0, 1])
def test_a_wave_along_either_axis_has_the_energy_that_it_has_in_one_dimension(along):
    shape = (24, 16)
    grid = Grid(axes=(Axis(name="x", points=24), Axis(name="y", points=16)))
    field = np.broadcast_to(np.expand_dims(wave(3.0, 5, shape[along]), 1 - along), (2, 1, *shape))
    number, ((*energy,),) = curves.shell_energy(field, grid, (Channel(name="u"),))
    assert number.tolist() == list(range(1, 8))
    assert energy[4] == pytest.approx(1.5**2)
    assert sum(energy) == pytest.approx(1.5**2)


def test_between_walls_a_cosine_lies_at_the_waves_that_the_domain_has_room_for():
    grid = Grid(axes=(Axis(name="x", points=32, lower=-1, sides=("wall", "wall")),))
    x = grid.axes[0].centres().numpy()
    number, ((*energy,),) = curves.shell_energy(np.cos(3 * np.pi * (x + 1))[None, None], grid, (Channel(name="u"),))
    assert energy[number.tolist().index(3)] == pytest.approx(0.25)


def test_the_spectrum_of_an_ensemble_is_that_of_its_members_not_of_their_mean(results):
    fields = results.examples.fields
    noise = np.random.default_rng(0).standard_normal(fields["ensemble"].shape)
    drawn = line(curves.spectrum(replace(results.examples, fields={**fields, "ensemble": noise}), 0, 0), "Ensemble")
    assert drawn.get_ydata().mean() == pytest.approx(1 / noise.shape[-1], rel=0.1)


def test_gain_is_the_relative_fall_of_the_error(results):
    drawn = axes(curves.gain(results, "rollout")).lines[-1]
    assert drawn.get_ydata() == pytest.approx(0.1)


def test_reliability_draws_empirical_against_nominal(results):
    drawn = line(uncertainty.reliability(results, "rollout"), "all times")
    assert drawn.get_xdata() == pytest.approx(np.arange(1, 10) / 10)
    assert drawn.get_ydata()[8] == pytest.approx(results.scores["rollout/ensemble/coverage_90"], rel=1e-5)


def test_learning_draws_every_loss_and_nothing_else(results):
    history = results.histories["operator"].assign(grad_norm=1.0)
    drawn = axes(curves.learning("operator", history)).lines
    assert [one.get_label() for one in drawn] == ["train", "validation"]


@pytest.mark.parametrize("variant", ["guided_ensemble", "fast"])
def test_every_variant_has_a_line_of_its_own(results, variant):
    fields = results.examples.fields
    examples = replace(results.examples, fields={**fields, variant: fields["deterministic"]})
    for picture in [*VIEW.fields(examples, 0, 0), *VIEW.profiles(examples, 0, 0), curves.spectrum(examples, 0, 10)]:
        picture.figure.draw_without_rendering()
    assert len(axes(VIEW.profiles(examples, 0, 0)[0]).lines) == len(examples.forecasts) + 1


def test_a_forecast_that_broke_is_drawn_too(results):
    fields = results.examples.fields
    broken = fields["deterministic"].copy()
    broken[0, 5:] = np.nan
    examples = replace(results.examples, fields={**fields, "deterministic": broken})
    for picture in [*VIEW.fields(examples, 0, 0), *VIEW.profiles(examples, 0, 0), curves.spectrum(examples, 0, 10)]:
        assert picture.png().startswith(b"\x89PNG")


def test_a_perfect_forecast_is_drawn_too(results):
    growth = results.error_growth.assign(nrmse_mean=0.0, nrmse_q10=0.0, nrmse_q90=0.0)
    assert curves.growth(replace(results, error_growth=growth), "rollout").png().startswith(b"\x89PNG")


def test_error_and_spread_outside_training_are_drawn_over_what_was_varied(results):
    over_parameter, over_amplitude = uncertainty.outside(results)
    assert line(over_parameter, "error of the mean").get_xydata().tolist() == [
        [0.005, 0.04],
        [0.01, 0.01],
        [0.02, 0.02],
    ]
    assert line(over_amplitude, "spread of the members").get_xydata().tolist() == [[1.0, 0.01], [2.0, 0.06]]
    said = uncertainty.outside_sentence(results)
    assert "error grows up to 8 times, the spread up to 6 times" in said
    assert "at Nu = 0.005 and amplitude 1: 0.53 of the error, and 90 % intervals hold 60%" in said


def test_without_cases_outside_training_there_is_no_picture(results):
    assert uncertainty.outside(replace(results, outside=results.outside[:0])) == ()


def test_the_alarm_is_drawn_case_by_case_and_said_in_one_sentence(results):
    assert uncertainty.alarm(results) == ()  # of a model without one
    table = results.outside.assign(rings=1.0, coverage_90=0.2, coverage_90_alarm=0.9)
    table.loc[table["inside"], ["rings", "coverage_90"]] = 0.04, 0.9
    heard = replace(results, outside=table)
    (picture,) = uncertainty.alarm(heard)
    (axes,) = picture.figure.axes
    assert next(label.get_text() for label in axes.get_yticklabels()) == "Nu = 0.01 (as trained)"
    assert sorted(bar.get_width() for bar in axes.patches)[0] == 0.04
    assert uncertainty.alarm_sentence(heard) == (
        "The alarm rings for 4% of the forecasts inside training and for 100% of those outside. Outside, 90 % intervals "
        "hold 20% of the truth, and 90% once members are moved apart where it rings."
    )


def test_a_problem_without_parameters_is_tried_outside_training_by_amplitude_alone(results):
    table = results.outside[results.outside["parameter"] == 0.01].assign(parameter=np.nan)
    plain = replace(results, facts=FRONTS.model_copy(update={"parameters": ()}), outside=table)
    (picture,) = uncertainty.outside(plain)
    assert line(picture, "error of the mean").get_xdata().tolist() == [1.0, 2.0]
    assert "falls short most at amplitude 2: 0.80" in uncertainty.outside_sentence(plain)


def test_several_parameters_outside_training_have_a_picture_each(results):
    facts = FRONTS.model_copy(update={"parameters": (Parameter(name="D", unit="m²/s"), Parameter(name="k"))})
    table = results.outside.drop(columns="parameter").assign(D=[1.0, 2.0, 1.0, 1.0], k=[5.0, 5.0, 7.0, 5.0])
    drawn = uncertainty.outside(replace(results, facts=facts, outside=table))
    assert [picture.name for picture in drawn] == ["outside-D", "outside-k", "outside-amplitude"]
    shown = [line(picture, "error of the mean").get_xdata().tolist() for picture in drawn]
    assert shown == [[1.0, 2.0], [5.0, 7.0], [1.0, 2.0]]


def test_every_axis_of_the_report_tells_its_unit(results, unnamed):
    drawn = list(pictures([*report.sections(results), data_page.section(training_data(results))]))
    assert len(drawn) > 30
    assert unnamed(drawn) == []
