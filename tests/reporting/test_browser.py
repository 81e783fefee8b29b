"""The page in a real browser, as wide as a phone and as a desk.

The page itself is loaded in a frame of the wanted width (a headless window cannot be as narrow as a phone), a probe
measures it, and Chromium prints what the probe wrote.
"""

import html
import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from browsing import chromium, needs_browser
from universal_simulator.reporting import comparison_page
from universal_simulator.reporting.comparison import FinishedRun
from universal_simulator.reporting.page import pictures
from universal_simulator.reporting.report import sections

PROBE = """<!doctype html><iframe id="frame" src="report.html" style="width:{width}px;height:900px;border:0"></iframe>
<pre id="found"></pre><script>
document.getElementById("frame").addEventListener("load", event => {{
  const page = event.target.contentDocument, root = page.documentElement;
  const images = [...page.images];
  const inside = element => {{
    const scroll = element.closest(".scroll, .prose table, .prose pre");
    return scroll !== null || element.getBoundingClientRect().right <= root.clientWidth + 1;
  }};
  document.getElementById("found").textContent = JSON.stringify({{
    width: root.clientWidth,
    scrolled: root.scrollWidth,
    sticking_out: [...page.body.querySelectorAll("*")].filter(one => !inside(one)).map(one => one.outerHTML.slice(0, 80)),
    images: images.length,
    broken: images.filter(image => !(image.complete && image.naturalWidth > 100)).length,
    narrowest: Math.min(...images.map(image => image.clientWidth)),
    columns: new Set(images.map(image => Math.round(image.getBoundingClientRect().left))).size,
    headings: [...page.querySelectorAll("h2")].map(one => one.textContent),
    body_font: parseFloat(getComputedStyle(page.body).fontSize),
  }});
}});
</script>"""

pytestmark = needs_browser


@pytest.fixture(scope="module")
def folder(page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    folder.joinpath("report.html").write_text(page, encoding="utf-8")
    return folder


def measure(folder, width: int) -> dict:
    probe = folder / f"probe{width}.html"
    probe.write_text(PROBE.format(width=width), encoding="utf-8")
    options = ("--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom")
    done = chromium(folder, *options, probe.as_uri())
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


@pytest.mark.parametrize(("width", "columns"), [(390, 1), (1280, 3)])
def test_the_page_fits_and_is_whole(folder, results, width, columns):
    found = measure(folder, width)
    assert found["sticking_out"] == []
    assert found["scrolled"] <= found["width"]
    assert found["images"] == len(list(pictures(sections(results))))
    assert found["broken"] == 0
    assert found["narrowest"] > 300
    assert found["columns"] == columns
    assert found["body_font"] >= 15
    assert found["headings"] == [
        "Targets", "Scores", "Forecasts", "Profiles", "Error over time", "Spectra", "Uncertainty",
        "Test-time conditioning", "Training", "Time and cost", "Data", "Parameters", "Provenance",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [390, 1280])
def test_the_comparison_fits(tmp_path, results, width):
    run = FinishedRun("id", "sota_v1", "1", "abcd", "cuda: a GPU with a long name", "0" * 40, pd.Timestamp(0), 600.0, 0.1,
                      results.scores, {"a": "1"}, trajectory_scores=results.trajectory_scores,
                      error_growth=results.error_growth)  # fmt: skip
    page = comparison_page.render([run, replace(run, experiment="golden", parameters={"a": "2"})])
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    found = measure(tmp_path, width)
    assert found["sticking_out"] == []
    assert found["scrolled"] <= found["width"]
    assert (found["images"], found["broken"]) == (2, 0)
    assert found["headings"] == ["Data abcd"]


def test_the_page_prints(folder):
    target = folder / "report.pdf"
    chromium(folder, f"--print-to-pdf={target}", (folder / "report.html").as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
    assert 3 <= pages <= 25
