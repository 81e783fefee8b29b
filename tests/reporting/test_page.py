"""The page is whole, self-contained, and safe; what is missing is said."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from universal_simulator.reporting import tables
from universal_simulator.reporting.page import render
from universal_simulator.reporting.sections import pictures, sections

ANCHORS = ("targets", "scores", "forecasts", "profiles", "growth", "spectra", "uncertainty", "conditioning", "training",
           "cost", "data", "parameters", "provenance")  # fmt: skip
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Outline(HTMLParser):
    """Collects ids and addresses, and checks that what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids, self.addresses, self.alts, self._open = [], [], [], []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[key] for key in ("src", "href") if key in values]
        self.alts += [values.get("alt")] if tag == "img" else []
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag


def test_every_section_is_there_and_linked(page):
    outline = Outline(page)
    assert set(ANCHORS) <= set(outline.ids)
    assert {f"#{anchor}" for anchor in ANCHORS} <= set(outline.addresses)


def test_the_page_fetches_nothing(page):
    outline = Outline(page)
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in outline.addresses)
    assert not re.search(r"@import|url\(|<script|<link", page)


def test_every_picture_can_be_read_aloud(page):
    alts = Outline(page).alts
    assert len(alts) > 30
    assert all(alt and len(alt) > 10 for alt in alts)


def test_every_picture_has_its_own_name(results):
    names = [picture.name for picture in pictures(sections(results))]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in names)


def test_what_people_typed_is_escaped(results):
    attack = "<script>alert(1)</script>"
    poisoned = replace(
        results,
        parameters={
            **results.parameters,
            "experiment": {"name": attack, "purpose": attack, "tags": [attack]},
            "x": attack,
        },
        data_card=f"# {attack}\n\n{attack}",
        provenance={attack: attack},
        examples={},
    )
    assert "<script" not in render(poisoned, sections(poisoned))


def test_the_data_card_becomes_headings_and_tables(page):
    assert "<h1>Burgers</h1>" in page
    assert "<td>2400</td>" in page


def test_scores_stand_with_their_intervals(results, page):
    interval = results.intervals["rollout/deterministic/nrmse"]
    assert f"{results.scores['rollout/deterministic/nrmse']:.3g}<small>{interval.low:.3g} – {interval.high:.3g}" in page


def test_several_viscosities_have_a_table_of_their_own(results):
    frame = results.trajectory_scores
    viscosity = np.where(frame["trajectory"] % 2, 0.01, 0.1)
    apart = {
        f"rollout/{variant}/nrmse_at_{name}": value
        for variant in results.variants("rollout")
        for name, value in (("0.01", 0.0123), ("0.1", 0.456))
    }
    several = replace(results, trajectory_scores=frame.assign(viscosity=viscosity), scores={**results.scores, **apart})
    (table,) = tables.apart(several, "rollout")
    assert table.caption == "Rollout, each viscosity ν apart"
    assert [row.heading for row in table.rows] == ["viscosity ν = 0.01", "viscosity ν = 0.1"]
    assert [row.cells[0].text for row in table.rows] == ["0.0123", "0.456"]
    assert all(cell.note for row in table.rows for cell in row.cells), "each with its interval"
    assert "Rollout, each viscosity ν apart" in render(several, [])
    assert tables.apart(results, "rollout") == []
    speeds = replace(several, parameters={**results.parameters, "data": {"equation": "advection"}})
    assert tables.apart(speeds, "rollout")[0].rows[0].heading == "speed β = 0.01"


def test_scores_of_no_forecast_stand_apart(results):
    more = replace(results, scores={**results.scores, "reconstruction/autoencoder/nrmse": 0.0123}, examples={})
    page = render(more, sections(more))
    assert more.protocols == ["rollout", "one_step", "pdebench"]
    assert "<td>reconstruction/autoencoder/nrmse</td><td>0.0123</td>" in page


def test_without_ensemble_and_conditioning_the_page_says_so(results):
    kept = ("deterministic", "persistence")
    frame, growth = results.trajectory_scores, results.error_growth
    plain = replace(
        results,
        scores={name: value for name, value in results.scores.items() if name.split("/")[1] in kept},
        trajectory_scores=frame[frame["variant"].isin(kept)],
        error_growth=growth[growth["variant"].isin(kept)],
        calibration=results.calibration.iloc[:0],
        outside=results.outside.iloc[:0],
        examples={name: values for name, values in results.examples.items() if name not in ("ensemble", "ttc")},
    )
    page = render(plain, sections(plain))
    assert "No ensemble was forecast" in page
    assert "Test-time conditioning was not used" in page
    assert "Calibration error" not in page


def test_without_anything_optional_there_is_still_a_page(results):
    bare = replace(results, examples={}, histories={}, timings={}, data_card="", provenance={}, gates=pd.DataFrame())
    page = render(bare, sections(bare))
    for sentence in (
        "No example trajectories were kept",
        "No training history was kept",
        "No timings were kept",
        "No data card was kept",
        "was not recorded",
        "No targets are set",
    ):
        assert sentence in page


def test_the_same_results_give_the_same_bytes(results):
    first, second = (next(pictures(sections(results))) for _ in range(2))
    assert (first.svg, first.png()) == (second.svg, second.png())


def test_estimate_and_truth_stand_side_by_side_for_what_the_run_had_to_do(results):
    rows = tables.estimates(results)
    assert [(row["stage"], row["off"]) for row in rows] == [
        ("autoencoder", "+5.0\u00a0%"),
        ("operator", "−8.8\u00a0%"),
        ("all of these", "−6.0\u00a0%"),
    ]
    assert tables.estimates(replace(results, timings={})) == []
