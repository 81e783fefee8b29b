"""Audit files of trajectories; what is asked stands in the package ``audit``."""

import logging
from pathlib import Path
from typing import Any

from universal_simulator.acquisition.layout import Asked, read_layout
from universal_simulator.audit.findings import ORDER
from universal_simulator.audit.judging import FileAudit, audit_file, audit_together
from universal_simulator.configuration import Audit, Data
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem
from universal_simulator.reporting import data_page
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)


def check_files(paths: list[Path], problem: str, data: Data, audit: Audit) -> tuple[dict[str, Any], str]:
    """Return all findings and baselines, and the page; errors and warnings are told in the log."""
    about = find(problem)
    files = [audit_file(read_layout(path, _asked(about, data)), about, audit.trajectories) for path in paths]
    together = audit_together(files) if len(files) > 1 else ()
    alone = len(files) == 1
    findings = [one.model_dump() for one in together]
    findings += [
        one.model_dump() | ({} if alone else {"message": f"{name}: {one.message}"})
        for name, file in zip(_names(files), files, strict=True)
        for one in file.audit.findings
    ]
    findings.sort(key=lambda one: ORDER.index(one["severity"]))
    for one in findings:
        if one["severity"] != "note":
            log.warning("%s: %s: %s", one["severity"], one["name"], one["message"])
    scores = {name: file.audit.baselines for name, file in zip(_names(files), files, strict=True)}
    log.info("%s", data_page.audit_summary([one["severity"] for one in findings]))
    found = {"findings": findings, "baselines": next(iter(scores.values())) if alone else scores}
    shown = [(name, file.audit) for name, file in zip(_names(files), files, strict=True)]
    return found, data_page.render_audit(about.name, shown, together)


def enforce(found: dict[str, Any], page: str, audit: Audit) -> None:
    """End the run with an error if there is a finding of that severity; it comes after the page, which is saved."""
    errors = [one for one in found["findings"] if one["severity"] == "error"]
    if audit.strict and errors:
        names = ", ".join(dict.fromkeys(one["name"] for one in errors))
        raise InputError(
            f"audit.strict = true: {audit.input} must have no finding of severity error, has {len(errors)} ({names}); "
            "see audit.html for the remedies, or set audit.strict=false"
        )


def _asked(problem: Problem, data: Data) -> Asked:
    """Return what a file must hold: the one set of parameters that is asked for, or else what the file says."""
    known = data.parameters and data.sets == 1 and not problem.open_facts
    return Asked(problem.facts, problem.grid, problem.facts.sets(*data.given)[0] if known else None, problem.open_facts)


def _names(files: list[FileAudit]) -> list[str]:
    """Return names of the files that are different, as short as they may be."""
    plain = [one.path.name for one in files]
    if len(set(plain)) == len(plain):
        return plain
    return [f"{one.path.parent.name}/{one.path.name}" for one in files]
