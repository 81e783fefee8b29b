"""One self-contained HTML page from one template: nothing is fetched, everything typed by people is escaped.

A page is a heading, sentences, numbers and sections; a section is text and blocks. Whoever shows something says it in
these words and never in HTML.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from universal_simulator.reporting.style import Image

PACKAGE = "universal_simulator.reporting"


@dataclass(frozen=True)
class Cell:
    """A text or number with small print below it; a verdict with a chip's colour; or a bar."""

    text: str = ""
    note: str = ""
    more: str = ""
    """A second line of small print."""
    chip: str = ""
    """``good``, ``bad`` or ``open``."""
    width: float | None = None
    """Of a bar, in per cent."""


@dataclass(frozen=True)
class Row:
    """A row with its heading; ``group`` opens a new group of rows."""

    heading: str
    cells: tuple[Cell, ...]
    group: str = ""
    note: str = ""
    """Small print below the heading."""


@dataclass(frozen=True)
class Table:
    """Heads of the columns and rows.

    ``style``: ``scores`` scrolls sideways where it is too wide, ``stack`` has a block for each row on a phone, ``bars``
    has no head, ``pairs`` neither and gives long words room.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    style: str = "scores"
    corner: str = ""
    """Head of the first column."""
    kind = "table"


@dataclass(frozen=True)
class Group:
    """Pictures that belong together, under a heading."""

    heading: str
    pictures: tuple[Image, ...]
    size: str = ""
    """``large`` for pictures of many parts, ``wide`` for a single one that wants all the room."""
    kind = "pictures"


@dataclass(frozen=True)
class Text:
    """A paragraph, a heading or small print."""

    text: str
    style: str = "plain"
    """``plain``, ``heading``, ``muted``, or ``prose`` for markdown."""
    kind = "text"


@dataclass(frozen=True)
class Folded:
    """A block that opens when asked for."""

    title: str
    block: Table
    kind = "folded"


Block = Table | Group | Text | Folded


@dataclass(frozen=True)
class Section:
    """One part of the page; without blocks only its text is shown."""

    anchor: str
    title: str
    text: str = ""
    blocks: tuple[Block, ...] = ()

    @property
    def pictures(self) -> Iterator[Image]:
        """Return every picture of the section."""
        for block in self.blocks:
            if isinstance(block, Group):
                yield from block.pictures


@dataclass(frozen=True)
class Page:
    """All that a page says."""

    over: str
    """What kind of page it is."""
    title: str
    sentences: Sequence[str]
    """The result in words."""
    sections: Sequence[Section]
    footer: str
    purpose: str = ""
    keys: Sequence[tuple[str, str, str]] = ()
    """The few numbers that stand large on top: value, name, explanation."""


def render(page: Page) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader(PACKAGE, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markdown"] = _markdown
    style = Markup((files(PACKAGE) / "page.css").read_text("utf-8"))
    return environment.get_template("page.html.j2").render(page=page, style=style)


def pictures(sections: Sequence[Section]) -> Iterator[Image]:
    """Return every picture of some sections."""
    for section in sections:
        yield from section.pictures


def bar(share: float) -> Cell:
    """Return a bar of this share of the room."""
    return Cell(width=round(100 * share, 1))


def pairs(rows: Mapping[str, str] | Sequence[tuple[str, str]], caption: str = "") -> Table:
    """Return a table of names and values."""
    items = rows.items() if isinstance(rows, Mapping) else rows
    return Table(caption, (), tuple(Row(name, (Cell(value),)) for name, value in items), style="pairs")


def _markdown(text: str) -> Markup:
    """Render markdown with its own HTML shown as text."""
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
