"""Everything that is asked of trajectories, in one call: of a file, of several files, of an experiment's splits."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from universal_simulator.acquisition.download import OUTDATED
from universal_simulator.acquisition.layout import Layout
from universal_simulator.acquisition.splits import opened_whole, published_test
from universal_simulator.audit import equation, motion, numbers, trivial
from universal_simulator.audit import motion as solving
from universal_simulator.audit import numbers as starts
from universal_simulator.audit.findings import Audit, Baselines, Finding, sort
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.physics.volumes import VolumeSolver
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

MOVED, STEPS = 64, 12
"""Trajectories whose motion is measured, and that are held against the equation."""
TESTED = 32
"""Test trajectories that predictors are scored on."""
FOLDERS = ("train", "test")
"""Of The Well: what files in them are for."""
MIB = 2**20


@dataclass(frozen=True)
class FileAudit:
    """What was found out about one file."""

    path: Path
    audit: Audit
    md5: str
    content: str
    """Of all its numbers: equal where those are, however they are stored."""
    begun: tuple[bytes, ...]
    """What the first frame of each trajectory is known by."""


def audit_file(layout: Layout, problem: Problem, most: int) -> FileAudit:
    """Ask everything of a file; ``most`` training trajectories are looked up in."""
    whole = opened_whole(layout)
    facts = problem.with_facts(layout.facts, layout.grid)
    found = numbers.scan(layout, whole)
    md5, begun = _md5(layout.path), tuple(starts.labels(whole))
    told = list(numbers.judge(found, layout))
    if md5 in OUTDATED:
        told.append(_outdated(md5))
    told += starts.judge_repeats(starts.apart(begun, whole))
    good = np.setdiff1d(np.arange(layout.samples), sorted(found.spoilt))
    tested = np.intersect1d(published_test(layout, layout.samples), good)
    trained = np.setdiff1d(good, tested)
    told += starts.judge_split(
        "published_split_leaks", [begun[i] for i in trained], [begun[i] for i in tested], "the published split"
    )
    if not len(tested):  # too few for a tenth
        tested, trained = good[-1:], good[:-1]
    norms, scores = None, Baselines()
    if len(good):
        norms, more = _of_the_fields(whole.subset(good), facts, thorough=True)
        told += more
    if len(tested) and len(trained) and len(whole.times) > 1:
        told += starts.judge_moved(whole.subset(trained), whole.subset(tested))
        trial = trivial.Trial(whole.subset(_some(trained, most)), whole.subset(_some(tested, TESTED)))
        scores, number = trivial.score(trial)
        told += trivial.judge(scores, number)
    return FileAudit(layout.path, Audit(sort(told), scores, norms), md5, found.digest, begun)


def audit_splits(splits: Mapping[str, Trajectories], problem: Problem, most: int) -> Audit:
    """Ask what is cheap of the splits ``train``, ``validation`` and ``test`` of an experiment."""
    train, test = splits["train"], splits["test"]
    begun = {name: starts.labels(one) for name, one in splits.items()}
    told = list(starts.judge_repeats([one for name, t in splits.items() for one in starts.apart(begun[name], t)]))
    for name in ("validation", "test"):
        told += starts.judge_split("split_leaks", begun["train"], begun[name], f"this experiment’s {name} split")
    trial = trivial.Trial(train.subset(_some(np.arange(len(train)), most)), test.subset(_some(np.arange(len(test)), 8)))
    scores, number = trivial.score(trial)
    told += trivial.judge(scores, number)
    facts = problem.with_facts(train.facts, train.grid)
    norms, more = _of_the_fields(train.interleave_by_parameter(MOVED // 4), facts, thorough=False)
    return Audit(sort([*told, *more]), scores, norms)


def audit_together(files: Sequence[FileAudit]) -> tuple[Finding, ...]:
    """Ask what only several files can answer: which of them are one, and which share trajectories."""
    told: list[Finding] = []
    for kind, of in (("bytes", lambda one: one.md5), ("numbers", lambda one: one.content)):
        told += _copies(files, kind, of)
    parts = {name: [label for one in files if name in one.path.parts[:-1] for label in one.begun] for name in FOLDERS}
    told += starts.judge_split("published_split_leaks", parts["train"], parts["test"], "the folder test")
    shared = _shared(files)
    if shared:
        told.append(
            Finding(
                name="shared_starts",
                severity="note",
                value=shared,
                message=f"{shared} first frames stand in more than one file",
                remedy="split rows alike in every file, as data.split=content does",
            )
        )
    return sort(told)


def _of_the_fields(some: Trajectories, problem: Problem, thorough: bool) -> tuple[motion.Norms | None, list[Finding]]:
    """Return how strong fields are over time, and what does not move and does not follow the equation."""
    measured = motion.measure(some.subset(_some(np.arange(len(some)), MOVED)))
    told = list(motion.judge_motion(measured))
    frame = len(some.facts.channels) * some.grid.size
    most = max(1, min(STEPS if thorough else STEPS // 2, equation.AT_ONCE // (6 * frame)))
    few = some.subset(_some(np.arange(len(some)), most))
    if len(few.times) > 1:
        told += equation.judge_kept(few, _stored(problem, few))
    close = False
    if problem.rate is not None:
        by_rate = list(equation.judge(few, problem))
        close = any(one.name == "parameter" for one in by_rate)
        told += by_rate
    if problem.solver is not None and thorough and len(few.times) > 1:
        told += solving.judge_solver(few, problem, estimate=not close)
    if problem.rate is None and problem.solver is None:
        told.append(_without(problem))
    return measured.norms(), told


def _stored(problem: Problem, some: Trajectories) -> Callable[[Tensor], Tensor] | None:
    """Return what makes conserved quantities of stored ones, where a solver by finite volumes knows it."""
    if not isinstance(problem.solver, VolumeSolver):
        return None
    return problem.solver.system(*some.parameters[0].tolist()).load


def _without(problem: Problem) -> Finding:
    return Finding(
        name="no_equation",
        severity="note",
        value=0,
        message=f"{problem.name} knows no equation: rates, parameters and what is conserved were not asked for",
        remedy="name the problem whose data these are (problem=…)",
    )


def _outdated(md5: str) -> Finding:
    return Finding(
        name="outdated_file",
        severity="error",
        value=1,
        message=f"its md5, {md5}, is that of a published file that is known to be wrong and has been replaced",
        remedy="get the present version (data.source.kind=published)",
    )


def _copies(files: Sequence[FileAudit], kind: str, of: Callable[[FileAudit], str]) -> Iterator[Finding]:
    known: dict[str, Path] = {}
    pairs = [(one.path, other) for one in files if (other := known.setdefault(of(one), one.path)) != one.path]
    if kind == "numbers":  # files of the same bytes are told of already
        same = {one.path: one.md5 for one in files}
        pairs = [(a, b) for a, b in pairs if same[a] != same[b]]
    if pairs:
        told = ", ".join(f"{a.name} = {b.name}" for a, b in pairs[:4]) + (", …" if len(pairs) > 4 else "")
        yield Finding(
            name="same_file",
            severity="error",
            value=len(pairs),
            message=f"the same {kind} as another file {'has' if len(pairs) == 1 else f'have {len(pairs)}'}: {told}",
            remedy="keep one of each; where they state different parameters, one of them is not what it says",
        )


def _shared(files: Sequence[FileAudit]) -> int:
    count: dict[bytes, int] = {}
    for one in files:
        for label in set(one.begun):
            count[label] = count.get(label, 0) + 1
    return sum(n > 1 for n in count.values())


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """Choose so many, evenly."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int))]


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(16 * MIB):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path} = not readable ({error.strerror}), must be; check the disk and its rights") from error
    return digest.hexdigest()
