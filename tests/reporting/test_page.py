"""The page is whole, self-contained, and safe; what is missing is said."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from finished_experiment import FRONTS
from universal_simulator.fields.facts import Parameter
from universal_simulator.reporting import tables
from universal_simulator.reporting.page import pictures
from universal_simulator.reporting.report import render, sections

ANCHORS = ("targets", "scores", "forecasts", "profiles", "growth", "spectra", "uncertainty", "conditioning", "training",
           "cost", "data", "parameters", "provenance")  # fmt: skip
VOID = {"meta", "img", "br", "link", "hr", "input", "source"}


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
        self.addresses += [values[key] for key in ("src", "href", "srcset") if key in values]
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


@pytest.mark.usefixtures("undrawn")
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
        examples=None,
    )
    assert "<script" not in render(poisoned, sections(poisoned))


def test_the_data_card_becomes_headings_and_tables(page):
    assert "<h1>Burgers</h1>" in page
    assert "<td>2400</td>" in page


def test_scores_stand_with_their_intervals(results, page):
    interval = results.intervals["rollout/deterministic/nrmse"]
    assert f"{results.scores['rollout/deterministic/nrmse']:.3g}<small>{interval.low:.3g} – {interval.high:.3g}" in page


def test_several_parameters_have_a_table_of_their_own(results):
    frame = results.trajectory_scores
    values = np.where(frame["trajectory"] % 2, 0.01, 0.1)
    apart = {
        f"rollout/{variant}/nrmse_at_{name}": value
        for variant in results.variants("rollout")
        for name, value in (("0.1", 0.456), ("0.01", 0.0123))
    }
    several = replace(
        results, trajectory_scores=frame.assign(**{"parameter/nu": values}), scores={**results.scores, **apart}
    )
    (table,) = tables.by_parameters(several, "rollout")
    assert table.caption == "Rollout, each Nu apart"
    assert [row.heading for row in table.rows] == ["Nu = 0.01", "Nu = 0.1"]
    assert [row.cells[0].text for row in table.rows] == ["0.0123", "0.456"]
    assert all(cell.note for row in table.rows for cell in row.cells), "each with its interval"
    assert "Rollout, each Nu apart" in render(several, [])
    assert tables.by_parameters(results, "rollout") == []


def test_sets_of_several_parameters_are_told_by_their_names_in_rising_order(results):
    facts = FRONTS.model_copy(update={"parameters": (Parameter(name="D", unit="m²/s"), Parameter(name="k"))})
    names = {f"rollout/deterministic/nrmse_at_{name}": 0.1 for name in ("0.1_2", "0.02_3", "0.02_1e-05")}
    (table,) = tables.by_parameters(replace(results, facts=facts, scores={**results.scores, **names}), "rollout")
    assert table.caption == "Rollout, each D (m²/s), k apart"
    assert [row.heading for row in table.rows] == ["D = 0.02, k = 1e-05", "D = 0.02, k = 3", "D = 0.1, k = 2"]


def test_every_channel_has_scores_of_its_own_where_there_are_several(plane, results):
    (table,) = tables.by_channel(plane, "rollout")
    assert table.caption == "Rollout, each channel apart"
    row = next(row for row in table.rows if row.group == "nRMSE")
    assert row.heading == "u"
    assert row.cells[0].text == f"{plane.scores['rollout/deterministic/nrmse/u']:.3g}"
    assert row.cells[0].note
    assert tables.by_channel(results, "rollout") == []


def test_trivial_forecasts_stand_beside_the_networks_and_behind_them(results):
    table = tables.scores(results, "rollout")
    assert table.columns[-3:] == ("Persistence", "Training mean", "Nearest training sample")
    assert table.columns[0] == "Deterministic"
    assert [cell.text for cell in table.rows[0].cells][-1] == f"{results.scores['rollout/nearest/nrmse']:.3g}"


def test_a_metric_that_the_page_does_not_know_is_shown_by_its_name(results):
    table = tables.scores(replace(results, scores={**results.scores, "rollout/ttc/new_score": 0.125}), "rollout")
    row = next(row for row in table.rows if row.heading == "new score")
    assert [cell.text for cell in row.cells] == ["–", "–", "0.125", "–", "–", "–"]


def test_what_was_left_out_is_said_above_the_scores(results):
    page = render(replace(results, left_out=("Left out: this, as <that> is missing.",)), [])
    assert 0 < page.index("Left out: this, as &lt;that&gt; is missing.") < page.index('class="scores"')


@pytest.mark.usefixtures("undrawn")
def test_scores_of_no_forecast_stand_apart(results):
    more = replace(results, scores={**results.scores, "reconstruction/autoencoder/nrmse": 0.0123}, examples=None)
    page = render(more, sections(more))
    assert more.protocols == ["rollout", "one_step", "pdebench"]
    assert '<th scope="row">reconstruction/autoencoder/nrmse</th><td>0.0123</td>' in page


@pytest.mark.usefixtures("undrawn")
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
        examples=replace(
            results.examples, fields={k: v for k, v in results.examples.fields.items() if k not in ("ensemble", "ttc")}
        ),
    )
    page = render(plain, sections(plain))
    assert "No ensemble was forecast" in page
    assert "Test-time conditioning was not used" in page
    assert "Calibration error" not in page


@pytest.mark.usefixtures("undrawn")
def test_without_anything_optional_there_is_still_a_page(results):
    bare = replace(results, examples=None, histories={}, timings={}, data_card="", provenance={}, gates=pd.DataFrame())
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
    short = replace(results, examples=None)
    first, second = (next(pictures(sections(short))) for _ in range(2))
    assert (first.svg, first.png()) == (second.svg, second.png())


def test_estimate_and_truth_stand_side_by_side_for_what_the_run_had_to_do(results):
    rows = tables.estimates(results).rows
    assert [(row.heading, row.cells[-1].text) for row in rows] == [
        ("autoencoder", "+5.0\u00a0%"),
        ("operator", "−8.8\u00a0%"),
        ("all of these", "−6.0\u00a0%"),
    ]
    assert tables.estimates(replace(results, timings={})).rows == ()
