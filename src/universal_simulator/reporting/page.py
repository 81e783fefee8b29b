"""One self-contained HTML page of a finished experiment: nothing is fetched, everything typed by people is escaped."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from universal_simulator.reporting import tables
from universal_simulator.reporting.results import Results
from universal_simulator.reporting.sections import Section
from universal_simulator.reporting.verdict import duration, number, percent, verdict


def render(results: Results, parts: list[Section]) -> str:
    """Return the page; ``parts`` are its illustrated sections, drawn before so that they can be kept as files too."""
    folder = files("universal_simulator.reporting")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    total = results.timings.get("total_seconds")
    return template.render(
        style=Markup((folder / "page.css").read_text("utf-8")),
        name=results.name,
        purpose=results.parameters["experiment"].get("purpose", ""),
        tags=results.parameters["experiment"].get("tags", ()),
        verdict=verdict(results),
        keys=key_numbers(results),
        gates=tables.gates(results),
        scores=[table for protocol in results.protocols for table in score_tables(results, protocol)],
        other_scores={name: number(value) for name, value in results.other_scores.items()},
        sections=parts,
        timings=tables.timings(results),
        estimates=tables.estimates(results),
        total=duration(total) if total else "",
        cost=results.timings.get("cost_usd"),
        data_card=_markdown(results.data_card),
        parameters=tables.parameters(results.parameters),
        provenance=results.provenance,
    )


def score_tables(results: Results, protocol: str) -> list[tables.Table]:
    """Return one protocol's scores over all trajectories and, where there are several parameters, for each."""
    return [tables.scores(results, protocol), *tables.apart(results, protocol)]


def key_numbers(results: Results) -> list[tuple[str, str, str]]:
    """Return the few numbers that stand large on top: value, name, explanation."""
    protocol = results.protocols[0]
    variant = results.variants(protocol)[0]

    def score(metric: str, of: str = variant) -> float | None:
        return results.score(f"{protocol}/{of}/{metric}")

    shown = [(percent(score("nrmse") or 0.0), "relative error", f"nRMSE, {protocol.replace('_', ' ')}")]
    shown.append((number(score("conservation_gap")), "conservation gap", "worst relative change of mass"))
    shown.append((number(score("boundary_violation")), "boundary violation", "error of the jump where x wraps around"))
    ece = score("ece", "ensemble")
    if ece is not None:
        shown.append((number(ece), "calibration error", "0 is perfect, 0.5 useless"))
    total, cost = results.timings.get("total_seconds"), results.timings.get("cost_usd")
    if total:
        shown.append((duration(total), "whole run", f"${cost:.2f}" if cost else "on hardware without a price"))
    return shown


def _markdown(text: str) -> Markup:
    """Render markdown with its own HTML shown as text."""
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
