"""The pages can be read: lines are short, links lead somewhere, commands are accepted, each decision has its evidence."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from universal_simulator.pipeline_registry import PIPELINES
from universal_simulator.shell.command_line import merged_params, pipeline_names
from universal_simulator.shell.configuration_loader import ExperimentLoader

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST = 120


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the names by which headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[list[str]]:
    """Return the words after ``kedro run`` of each command that can be typed as it stands, or with an experiment."""
    blocks = MarkdownIt("commonmark").enable("table").parse(read(page))
    code = [block.content for block in blocks if block.type == "fence" and not block.info]
    code += [part.content for block in blocks for part in block.children or () if part.type == "code_inline"]
    lines = "\n".join(code).replace("\\\n", " ").replace("<experiment>", "golden").splitlines()
    found = [re.search(r"kedro run (--[^#&]*)", line) for line in lines]
    words = [shlex.split(one[1]) for one in found if one and not re.search(r"[…<>]|--help|from_run|goldn", one[1])]
    return [line for line in words if all(word.startswith("--") for word in line)]


@cache
def accepted(params: str) -> None:
    """Give what stands after ``--params=`` to the configuration, once for all pages of this process."""
    ExperimentLoader("conf", "base", merged_params((params,)), base_env="base", default_run_env="local")["parameters"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_pipelines_and_parameters_that_there_are(page):
    for words in commands(page):
        options = dict(word.removeprefix("--").split("=", 1) for word in words)
        typed = pipeline_names(tuple(options[key] for key in ("pipeline", "pipelines") if key in options))
        assert set(typed) <= PIPELINES.keys(), words
        accepted(options.get("params", ""))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_are_short(page):
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL).splitlines()
    assert [line for line in prose if len(line) > LONGEST and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page):
    blocks = MarkdownIt("commonmark").enable("table").parse(read(page))
    inner = [part.attrs for block in blocks for part in block.children or () if part.type in ("link_open", "image")]
    for link in (str(attributes.get("href") or attributes.get("src")) for attributes in inner):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_each_decision_says_what_shows_it_and_what_was_rejected():
    text = read(ROOT / "docs" / "design.md")
    decisions = re.split(r"^(?=\*\*\d+\. )", text, flags=re.MULTILINE)[1:]
    assert len(text.splitlines()) <= 150
    assert len(decisions) >= 20
    for decision in decisions:
        assert decision.count("*Evidence:*") == decision.count("*Rejected:*") == 1, decision


def test_the_first_page_has_one_table_of_results_with_four_rows():
    tables = re.findall(r"(?:^\|.*\n)+", read(ROOT / "README.md"), re.MULTILINE)
    results = [table for table in tables if " % |" in table]
    assert [len(table.splitlines()) - 2 for table in results] == [4]
