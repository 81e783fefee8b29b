"""How a field is shown depends on its dimensions: one view each behind one interface."""

from typing import Protocol, runtime_checkable

from universal_simulator.reporting.examples import Examples
from universal_simulator.reporting.line import Line
from universal_simulator.reporting.movie import Movie
from universal_simulator.reporting.plane import Plane
from universal_simulator.reporting.style import Picture


@runtime_checkable
class View(Protocol):
    """Pictures of one channel of one sample."""

    overview: str
    """What ``fields`` shows, in a sentence."""
    cut: str
    """What ``profiles`` shows, in a sentence."""
    size: str
    """Of the room that its maps want, as ``Group`` has it."""
    shown: int
    """Of how many examples there are maps."""

    def fields(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth, forecast and error over space and time, and what the other forecasts add to it."""
        ...

    def profiles(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw truth and forecasts over one coordinate at a few times."""
        ...

    def fans(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw members and truth, over time and over one coordinate."""
        ...

    def departures(self, examples: Examples, sample: int, channel: int) -> list[Picture]:
        """Draw how truth and members depart from the deterministic forecast: the truth should look like one of them."""
        ...

    def movies(self, examples: Examples, sample: int) -> list[Movie]:
        """Draw truth, forecast and error in motion, all channels; none where a still picture shows all times."""
        ...

    def data(self, examples: Examples, sample: int, name: str, words: str) -> list[Picture]:
        """Draw the truth alone, all channels."""
        ...


def view_of(examples: Examples) -> tuple[View, Examples]:
    """Return the view for these fields, and what of them it shows: of three dimensions the plane in the middle."""
    while examples.grid.dimensions > 2:
        examples = examples.cut(0)
    return (Line() if examples.grid.dimensions == 1 else Plane()), examples
