"""The data page shows the data, not something else."""

import numpy as np
import pytest

from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.reporting.data_page import figures, pictures, section

TIMES = np.linspace(0, 1, 5)


@pytest.fixture
def trajectories() -> Trajectories:
    """Return waves of mode 3, amplitude 2, around means 0 … 9, which decay."""
    x = (np.arange(64) + 0.5) / 64
    u = np.arange(10)[:, None, None] + 2 * np.exp(-TIMES)[:, None] * np.sin(6 * np.pi * x)
    return Trajectories.of(u.astype(np.float32), 0.1, TIMES)


def test_the_spectrum_has_its_energy_where_the_waves_are(trajectories):
    line = figures(trajectories)["data_spectrum"].axes[0].lines[0]
    mode, energy = line.get_data()
    assert mode[np.argmax(energy)] == 3
    assert energy.max() == pytest.approx(1.0, rel=1e-4)


def test_the_distributions_count_every_initial_condition(trajectories):
    drawn = figures(trajectories)
    for name in ("data_initial_mean", "data_initial_rms"):
        assert sum(bar.get_height() for bar in drawn[name].axes[0].patches) == 10
    means = drawn["data_initial_mean"].axes[0].patches
    assert means[0].get_x() == pytest.approx(0, abs=1e-5)


def test_the_section_holds_every_picture_once(trajectories):
    names = [picture.name for group in section(trajectories).groups for picture in group.pictures]
    assert names == list(figures(trajectories))
    assert len(set(names)) == len(names)


def test_sample_fields_are_drawn_with_time_upwards(trajectories):
    image = figures(trajectories)["data_sample_9"].axes[0].images[0]
    assert image.get_array()[0].max() == pytest.approx(11, abs=0.02)
    assert image.origin == "lower"
    assert all(picture.alt and picture.png() for picture in pictures(trajectories))
