"""The data page shows the data, not something else."""

import numpy as np
import pytest

from finished_experiment import FRONTS, training_data
from universal_simulator.fields.grid import Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting.data_page import section

TIMES = np.linspace(0, 1, 5)


@pytest.fixture
def figures() -> dict:
    """Return the figures of waves of mode 3, amplitude 2, around means 0 … 9, which decay."""
    x = (np.arange(64) + 0.5) / 64
    u = np.arange(10)[:, None, None] + 2 * np.exp(-TIMES)[:, None] * np.sin(6 * np.pi * x)
    trajectories = Trajectories.of(u[:, :, None].astype(np.float32), (0.1,), TIMES, FRONTS, Grid.interval(64))
    return {picture.name: picture for picture in section(trajectories).pictures}


def test_the_spectrum_has_its_energy_where_the_waves_are(figures):
    line = figures["data_spectrum"].figure.axes[0].lines[0]
    mode, energy = line.get_data()
    assert mode[np.argmax(energy)] == 3
    assert energy.max() == pytest.approx(1.0, rel=1e-4)


def test_the_distributions_count_every_initial_condition(figures):
    for name in ("data_initial_mean", "data_initial_rms"):
        assert sum(bar.get_height() for bar in figures[name].figure.axes[0].patches) == 10
    means = figures["data_initial_mean"].figure.axes[0].patches
    assert means[0].get_x() == pytest.approx(0, abs=1e-5)


def test_sample_fields_are_drawn_with_time_upwards_and_their_parameter(figures):
    axes = figures["data_sample_9"].figure.axes[0]
    assert axes.images[0].get_array()[0].max() == pytest.approx(11, abs=0.02)
    assert axes.images[0].origin == "lower"
    assert axes.get_title(loc="left") == "Sample 9, Nu = 0.1"
    assert all(picture.alt and picture.data for picture in figures.values())


def test_two_channels_in_two_dimensions_have_snapshots_and_a_spectrum_each(plane, unnamed):
    drawn = list(section(training_data(plane)).pictures)
    names = [picture.name for picture in drawn]
    assert [name for name in names if "sample" in name] == ["data_sample_0", "data_sample_1"]
    assert {"data_spectrum-u", "data_spectrum-v", "data_initial_mean-v", "data_initial_rms-u"} <= set(names)
    assert unnamed(drawn) == []
