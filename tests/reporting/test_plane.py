"""Fields in two dimensions: what stands where, on which scale, and that it moves."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from browsing import chromium, needs_browser
from universal_simulator.fields.grid import Axis, Grid
from universal_simulator.reporting import style
from universal_simulator.reporting.plane import Plane, field_shades, panels, view_of
from universal_simulator.reporting.results import Examples

VIEW = Plane()


@pytest.fixture(scope="module")
def examples(plane) -> Examples:
    return plane.examples


@pytest.fixture(scope="module")
def snapshots(examples):
    """The fields of the axes of truth, forecast and error, a row for each time."""
    figure = VIEW.fields(examples, 0, 0)[0].figure
    return np.array([axes for axes in figure.axes if not hasattr(axes, "_colorbar")]).reshape(-1, 3)


def test_rows_are_times_and_columns_truth_forecast_and_error(examples, snapshots):
    fields = examples.fields
    (rows, _), last = snapshots.shape, len(examples.time) - 1
    assert rows == 4
    truth, forecast, error = (axes.images[0].get_array() for axes in snapshots[-1])
    assert np.array_equal(truth, fields["truth"][0, last, 0].T), "x lies across, y upwards"
    assert np.array_equal(forecast, fields["deterministic"][0, last, 0].T)
    assert np.allclose(error, forecast - truth)
    assert snapshots[-1, 0].get_ylabel() == f"t = {examples.time[last]:.2f}\ny (units of length)"
    assert snapshots[-1, 0].get_xlabel() == "x (units of length)"
    assert snapshots[0, 0].images[0].get_extent() == [-1, 1, -1, 1]
    assert {axes.get_aspect() for axes in snapshots.flat} == {1}


def test_truth_and_forecast_share_one_scale_and_errors_have_a_symmetric_one(snapshots):
    limits = [[(one.images[0].norm.vmin, one.images[0].norm.vmax) for one in row] for row in snapshots]
    assert len({pair for row in limits for pair in row[:2]}) == 1
    ((low, high),) = {row[2] for row in limits}
    assert low == -high < 0
    assert {one.images[0].get_cmap().name for one in snapshots[:, :2].flat} == {"RdBu_r"}


def test_a_field_of_one_sign_is_not_drawn_about_zero(examples):
    shades = field_shades(examples.point("truth", 0, 1), "v")
    assert shades.colours == "cividis"
    assert 0 < shades.low < shades.high
    flat = field_shades(np.full((3, 4, 4), 2.0), "v")
    assert flat.low < flat.high


def test_a_constant_error_is_drawn_as_one(examples):
    fields = {"truth": examples.fields["truth"], "deterministic": examples.fields["truth"] + 0.25}
    *_, error = panels(replace(examples, fields=fields), 1, 1)
    assert np.allclose(error.values, 0.25)
    assert (error.shades.low, error.shades.high) == (pytest.approx(-0.25), pytest.approx(0.25))
    figure = VIEW.fields(replace(examples, fields=fields), 1, 1)[0].figure
    drawn = [axes.images[0] for axes in figure.axes if axes.images and axes.images[0].get_cmap().name == "PuOr_r"]
    assert len(drawn) == 4
    assert all(np.ptp(image.get_array()) < 1e-12 for image in drawn)


def test_other_forecasts_have_their_errors_and_the_ensemble_its_spread_on_the_same_scale(examples):
    figure = VIEW.fields(examples, 0, 1)[1].figure
    panels = [axes for axes in figure.axes if not hasattr(axes, "_colorbar")]
    titles = [" ".join(axes.get_title(loc="left").split()) for axes in panels[:3]]
    assert titles == ["Ensemble mean: error", "Test-time conditioned: error", "Ensemble: spread"]
    spread = panels[-1].images[0]
    assert np.allclose(spread.get_array(), examples.fields["ensemble"][0, :, -1, 1].std(0, ddof=1).T)
    assert {axes.images[0].norm.vmax for axes in panels} == {spread.norm.vmax}


def test_the_section_runs_through_the_middle(examples):
    *_, last = VIEW.profiles(examples, 0, 1)
    axes = last.figure.axes[0]
    truth, middle = axes.lines[0], examples.grid.shape[1] // 2
    assert np.array_equal(truth.get_xdata(), examples.coordinates(0))
    assert np.array_equal(truth.get_ydata(), examples.fields["truth"][0, -1, 1, :, middle])
    assert f"y = {examples.coordinates(1)[middle]:.3g}" in axes.get_title(loc="left")
    assert axes.get_ylabel() == "v (units of the data)"
    fan = VIEW.fans(examples, 0, 0)[-1].figure.axes[0]
    mean = next(line for line in fan.lines if line.get_label() == "mean")
    assert np.allclose(mean.get_ydata(), examples.fields["ensemble"][0, :, -1, 0, :, middle].mean(0))


def test_the_middle_of_three_dimensions_is_drawn_as_two(examples):
    axes = (Axis(name="z", points=3), *examples.grid.axes)
    fields = {name: np.stack([0 * v, v, 2 * v], -3) for name, v in examples.fields.items()}
    view, plane = view_of(replace(examples, grid=Grid(axes=axes), fields=fields))
    assert isinstance(view, Plane)
    assert plane.place == "z = 0.5"
    assert all(np.array_equal(plane.fields[name], examples.fields[name]) for name in fields)


def test_the_movie_has_a_frame_for_each_time_and_starts_with_its_still(examples):
    (moving,) = VIEW.movies(examples, 0)
    frames = Image.open(io.BytesIO(moving.data))
    assert frames.n_frames == len(examples.time)
    assert len(moving.data) < style.LARGEST
    still = np.asarray(Image.open(io.BytesIO(moving.first)), float)
    first = np.asarray(frames.convert("RGB"), float)
    frames.seek(frames.n_frames - 1)
    last = np.asarray(frames.convert("RGB"), float)
    assert np.abs(first - still).mean() < 3, "compressed, but the same"
    assert np.abs(last - still).mean() > 3


def test_a_long_movie_has_evenly_spread_frames_from_the_first_time_to_the_last():
    assert style.shown(12) == list(range(12))
    frames = style.shown(401)
    assert (frames[0], frames[-1], len(frames)) == (0, 400, style.MOST)
    assert max(np.diff(frames)) - min(np.diff(frames)) <= 1


def test_every_axis_tells_its_unit_and_every_picture_has_its_own_name(plane_sections, unnamed):
    drawn = [picture for section in plane_sections for picture in section.pictures]
    names = [picture.name for picture in drawn]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)
    assert {"animation-0", "snapshots-0-u", "errors-0-v", "departures-0-u", "spectrum-t011-v"} <= set(names)
    assert unnamed([picture for picture in drawn if hasattr(picture, "figure")]) == []


def test_the_spectrum_of_two_dimensions_has_the_error_too(plane_sections):
    (spectrum,) = (p for section in plane_sections for p in section.pictures if p.name == "spectrum-t011-u")
    labels = [line.get_label() for line in spectrum.figure.axes[0].lines]
    assert labels == ["Truth", "Deterministic", "Ensemble", "Test-time conditioned", "Error: deterministic"]
    assert spectrum.figure.axes[0].get_ylabel() == "energy |û|² ((mol/m³)²)"


def test_the_page_holds_the_movie_and_its_still_and_fetches_nothing(plane_page):
    addresses = re.findall(r'(?:src|srcset|href)="(.{8})', plane_page)
    assert len(addresses) > 15
    assert all(address.startswith("#") or address == "data:ima" for address in addresses)
    assert plane_page.count("data:image/webp;base64,") == 1
    assert '<source media="(prefers-reduced-motion: reduce)" srcset="data:image/png' in plane_page
    assert "Example 1, k = 0.01 1/s" in plane_page


@needs_browser[0]
@needs_browser[1]
def test_the_page_opens_in_a_browser(plane_page, plane_shown, tmp_path):
    probe = (
        "<script>addEventListener('load', () => { const all = [...document.images];"
        "document.title = all.length + ' ' + all.filter(i => !(i.complete && i.naturalWidth > 100)).length"
        " + ' ' + (document.documentElement.scrollWidth <= innerWidth); })</script>"
    )
    (tmp_path / "report.html").write_text(plane_page.replace("</body>", probe + "</body>"), encoding="utf-8")
    options = ("--virtual-time-budget=20000", "--window-size=1280,900", "--dump-dom")
    done = chromium(tmp_path, *options, (tmp_path / "report.html").as_uri())
    images = sum(1 for section in plane_shown for _ in section.pictures)
    assert f"<title>{images} 0 true</title>" in done.stdout
