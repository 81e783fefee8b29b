"""Two finished experiments that never ran, and their pages."""

from dataclasses import replace

import pytest

from finished_experiment import SPOTS, finished
from universal_simulator.reporting.report import render, sections
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.style import Picture


@pytest.fixture(scope="session")
def results() -> Results:
    return finished()


@pytest.fixture(scope="session")
def page(results) -> str:
    return render(results, sections(results))


@pytest.fixture(scope="session")
def plane() -> Results:
    return finished(SPOTS, samples=6, frames=12, points=40)


@pytest.fixture(scope="session")
def plane_sections(plane) -> list:
    """The sections with one example: pictures of two dimensions take their time."""
    one = {name: values[:1] for name, values in plane.examples.fields.items()}
    return sections(replace(plane, examples=replace(plane.examples, fields=one)))


@pytest.fixture(scope="session")
def plane_shown(plane_sections) -> list:
    """Those that differ from the sections of one dimension."""
    return [section for section in plane_sections if section.anchor in ("forecasts", "spectra")]


@pytest.fixture(scope="session")
def plane_page(plane, plane_shown) -> str:
    return render(plane, plane_shown)


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Leave figures undrawn, where only words are looked at."""
    monkeypatch.setattr(Picture, "_save", lambda *_, **__: b"")


COUNTED = ("epoch", "step", "optimiser step", "trial", "trajectories")
"""What an axis may count without a unit."""


@pytest.fixture(scope="session")
def unnamed():
    """Return a function that finds the labels of axes that do not tell a unit in brackets, or nothing at all."""

    def labels(pictures) -> list[str]:
        found = []
        for picture in pictures:
            for axes in picture.figure.axes:
                told = [axes.get_xlabel(), axes.get_ylabel()]
                if hasattr(axes, "_colorbar"):
                    told = [label for label in told if label] or told
                else:
                    place = axes.get_subplotspec()  # inner panels share the labels of the outer ones
                    told = told[: 2 if place.is_first_col() else 1][0 if place.is_last_row() else 1 :]
                found += [f"{picture.name}: {one!r}" for one in told if not one.endswith(")") and one not in COUNTED]
        return found

    return labels
