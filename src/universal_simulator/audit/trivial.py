"""What predictors score that learn nothing: whatever a network is said to reach must stand beside them.

| name | forecast |
|---|---|
| ``persistence`` | the first snapshot at all times |
| ``one_step`` | each snapshot for the next one |
| ``mean`` | the training trajectories' mean at that time |
| ``nearest`` | what became of the training trajectory that begins nearest, of the same parameters where there is one |
| ``interpolation`` | a straight line between two training trajectories, neighbours in one number |

The number is the one of a few that serves best: a parameter, or, of the first frame, the mean or root mean square of a
channel or the share of the direction in which first frames differ most. ``nrmse`` is ``‖e‖/‖u‖`` over space and the
looked-at times, a mean over channels and test trajectories; ``of_change`` is ``‖e‖/‖u - u(0)‖``, all channels pooled
relative to their change, whose value is 1 for persistence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.audit.findings import Baselines, Finding, graded, percent
from universal_simulator.fields.trajectories import Trajectories

FRAMES = 16
"""Times that are looked at, evenly spread, the last among them."""
POINTS = 4096
"""Most numbers by which first frames are told apart and compared."""
DRAWN = 128
"""Training trajectories by whose first frames the direction is found in which they differ most."""
AT_ONCE = 2**22
"""Numbers that are read at once."""
SOLVED, NEARLY = 5e-3, 5e-2
"""Error relative to the change from which on a look-up is said to solve, or nearly to solve, a set of data."""
COPIED = 1e-3
"""nRMSE of copying one snapshot below which scores of one step say nothing."""


@dataclass(frozen=True)
class Trial:
    """What is looked up, and what it is held against."""

    train: Trajectories
    test: Trajectories

    @property
    def frames(self) -> np.ndarray:
        """Return the looked-at snapshots."""
        last = len(self.test.times) - 1
        return np.unique(np.linspace(1, last, min(last, FRAMES)).round().astype(int))

    @property
    def thinning(self) -> int:
        """Return how many points of a first frame are skipped along each axis."""
        numbers = len(self.test.facts.channels) * self.test.grid.size
        return max(1, int(np.ceil((numbers / POINTS) ** (1 / self.test.grid.dimensions))))

    def thin(self, of: Trajectories, rows: np.ndarray) -> Float[Tensor, "sample number"]:
        """Return what first frames are compared by."""
        parts, together = [], max(1, AT_ONCE // (len(of.facts.channels) * of.grid.size))
        for begin in range(0, len(rows), together):
            first = of.read(rows[begin : begin + together], [0])[:, 0]
            for dim in of.grid.space:
                first = first.index_select(dim, torch.arange(0, first.shape[dim], self.thinning))
            parts.append(first.double().flatten(1))
        return torch.cat(parts)


def score(trial: Trial) -> tuple[Baselines, str]:
    """Return what each scores, and in words the number that interpolation serves best by."""
    known = _Known.of(trial)
    errors: dict[str, list[np.ndarray]] = {}
    for i in range(len(trial.test)):
        truth = trial.test.read([i], trial.frames)[0].double()
        start = trial.test.read([i], [0])[0].double()
        for name, forecast in known.forecasts(i, start, truth):
            errors.setdefault(name, []).append(_error(forecast, truth, start, trial))
        before = trial.test.read([i], trial.frames - 1)[0].double()
        errors.setdefault("one_step", []).append(_error(before, truth, start, trial))
    scores = {name: _summary(np.array(rows), trial) for name, rows in errors.items()}
    lines = {words: scores.pop(words) for words in known.words}
    best = min(lines, key=lambda words: lines[words]["of_change"], default="")
    return scores | ({"interpolation": lines[best]} if lines else {}), best


def _error(forecast: Tensor, truth: Tensor, start: Tensor, trial: Trial) -> np.ndarray:
    """Return nRMSE of each channel, then the error relative to the change."""
    grid = trial.test.grid

    def square(u: Tensor) -> Tensor:
        return grid.mean(u.square()).mean(0)

    wrong, size, change = square(forecast - truth), square(truth), square(truth - start)
    dead = torch.maximum(size, grid.mean(start[0].square())) == 0
    relative = (wrong / size.clamp(min=1e-12 * float(size.max()) + 1e-300)).sqrt().masked_fill(dead, torch.nan)
    moving = change > 0
    pooled = (wrong[moving] / change[moving]).mean().sqrt() if moving.any() else torch.tensor(torch.nan)
    return torch.cat((relative, pooled[None])).numpy()


def _summary(rows: Float[np.ndarray, "sample error"], trial: Trial) -> dict[str, float]:
    *channels, change = (float(np.nanmean(column)) if np.isfinite(column).any() else 0.0 for column in rows.T)
    alive = [value for value, column in zip(channels, rows.T, strict=False) if np.isfinite(column).any()]
    whole = {"nrmse": float(np.mean(alive)) if alive else 0.0, "of_change": change}
    names = trial.test.facts.names
    return whole | (dict(zip(names, channels, strict=True)) if len(names) > 1 else {})


@dataclass(frozen=True)
class _Known:
    """What is remembered of the training trajectories, none of it a whole trajectory."""

    trial: Trial
    mean: Float[Tensor, "frame channel *space"]
    nearest: np.ndarray
    """The nearest training trajectory of each test trajectory."""
    numbers: np.ndarray
    """``(train, number)``."""
    asked: np.ndarray
    """``(test, number)``."""
    words: tuple[str, ...]

    @classmethod
    def of(cls, trial: Trial) -> "_Known":
        """Go through the training trajectories once."""
        train, test = trial.train, trial.test
        all_of = np.arange(len(test))
        goal = trial.thin(test, all_of)
        some = np.unique(np.linspace(0, len(train) - 1, min(len(train), DRAWN)).astype(int))
        sample = trial.thin(train, some)
        middle = sample.mean(0)
        *_, directions = torch.linalg.svd(sample - middle, full_matrices=False)
        size = (sample - middle).square().mean().sqrt().clamp(min=1e-300)
        distances, numbers = [], []
        together = max(1, AT_ONCE // (len(train.facts.channels) * train.grid.size))
        for first in range(0, len(train), together):
            rows = np.arange(first, min(first + together, len(train)))
            thin = trial.thin(train, rows)
            distances.append(torch.cdist(goal / size, thin / size).numpy())
            numbers.append(_numbers(train, rows, (thin - middle) @ directions[0]))
        far = np.concatenate(distances, 1)
        alike = np.isclose(test.parameters[:, None], train.parameters[None], rtol=1e-5).all(-1)
        far[~alike & alike.any(1, keepdims=True)] = np.inf
        asked = _numbers(test, all_of, (goal - middle) @ directions[0])
        table, words = np.concatenate(numbers), _words(train)
        kept = [i for i in range(table.shape[1]) if np.ptp(table[:, i]) > 1e-9 * np.abs(table[:, i]).max()]
        names = tuple(words[i] for i in kept)
        return cls(trial, _mean(trial), far.argmin(1), table[:, kept], asked[:, kept], names)

    def forecasts(self, i: int, start: Tensor, truth: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the forecasts of a test trajectory."""
        yield "persistence", start.expand_as(truth)
        yield "mean", self.mean
        yield "nearest", self._read(int(self.nearest[i]))
        for k, words in enumerate(self.words):
            a, b, share = _between(self.numbers[:, k], self.asked[i, k])
            yield words, (1 - share) * self._read(a) + share * self._read(b)

    def _read(self, row: int) -> Tensor:
        return self.trial.train.read([row], self.trial.frames)[0].double()


def _mean(trial: Trial) -> Float[Tensor, "frame channel *space"]:
    train, frames = trial.train, trial.frames
    together = max(1, AT_ONCE // (len(frames) * len(train.facts.channels) * train.grid.size))
    parts = (train.read(slice(i, i + together), frames).double().sum(0) for i in range(0, len(train), together))
    return reduce(torch.add, parts) / len(train)


def _numbers(of: Trajectories, rows: np.ndarray, along: Tensor) -> np.ndarray:
    start = of.read(rows, [0])[:, 0].double()
    columns = [of.grid.mean(start).numpy(), of.grid.rms(start).numpy(), along.numpy()[:, None], of.parameters[rows]]
    return np.concatenate(columns, 1)


def _words(of: Trajectories) -> list[str]:
    channels = of.facts.names
    means = [f"the mean of {one} at t = 0" for one in channels]
    sizes = [f"the root mean square of {one} at t = 0" for one in channels]
    return [*means, *sizes, "the direction in which first frames differ most", *(p.name for p in of.facts.parameters)]


def _between(known: Float[np.ndarray, " train"], asked: float) -> tuple[int, int, float]:
    """Return the two neighbours in a number, or the two at its end, and where between them it lies."""
    order = np.argsort(known, kind="stable")
    place = int(np.clip(np.searchsorted(known[order], asked), 1, len(order) - 1)) if len(order) > 1 else 0
    a, b = (int(order[max(place - 1, 0)]), int(order[place]))
    gap = known[b] - known[a]
    return a, b, float(np.clip((asked - known[a]) / gap, -1, 2)) if gap > 0 else 0.0


def judge(scores: Baselines, number: str) -> Iterator[Finding]:
    """Yield what the scores mean for those who train; ``number`` is what is interpolated in."""
    for name, words in (
        ("interpolation", f"a straight line between two neighbours in {number}"),
        ("nearest", "looking up the trajectory that begins nearest"),
        ("mean", "the mean of the training trajectories"),
    ):
        one = scores.get(name)
        if one is None or (severity := graded(one["of_change"], SOLVED, NEARLY, above=False)) == "note":
            continue
        yield Finding(
            name=f"{name}_solves",
            severity=severity,
            value=one["of_change"],
            message=f"{words} is off by {percent(one['of_change'])} of the change (nRMSE {one['nrmse']:.2g}): these "
            "data ask for no network",
            remedy="quote it beside every score, or draw initial fields and parameters from a richer family",
        )
    if "one_step" in scores and scores["one_step"]["nrmse"] < COPIED:
        value = scores["one_step"]["nrmse"]
        yield Finding(
            name="step_is_a_copy",
            severity="warning",
            value=value,
            message=f"copying a snapshot forecasts the next one to nRMSE {value:.2g}: scores of one step say little",
            remedy="score rollouts, or step over several snapshots (data.time_stride)",
        )
