"""The scores of many forecasts, batch by batch.

What is kept of the forecasts of one protocol and variant, batch by batch: numbers per trajectory and sums.

Memory does not grow with the number of points: per trajectory a few numbers and curves over time stay, and the batch
at hand is worked off a few trajectories at a time.

Collect the scores of many forecasts: by protocol (what is given, what is scored) and variant (who forecasts).
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.evaluation import metrics, uncertainty
from universal_simulator.evaluation import scores as scoring
from universal_simulator.evaluation.metrics import Truth, labels, tame
from universal_simulator.fields.facts import Facts
from universal_simulator.fields.grid import Grid
from universal_simulator.support.errors import InputError

CHUNK = 2**22
"""Numbers of a prediction that are worked on at once."""

CURVES = ("nrmse", "crps", *scoring.COVERAGES, "variance", "square_error")
"""What is kept of every frame, pooled over channels."""


class Tally:
    """The account of one protocol and one variant."""

    def __init__(self, members: int, times: Float[np.ndarray, " time"], facts: Facts, grid: Grid) -> None:
        self.members, self.times, self.facts, self.grid = members, times, facts, grid
        self._columns: list[pd.DataFrame] = []
        self._curves: dict[str, list[np.ndarray]] = {}
        self._spectral_error: dict[str, Tensor] = {}  # (time, channel, shell) of each set of parameters
        self._ranks = torch.zeros(len(times), members + 1, dtype=torch.float64)
        self.sets: Sequence[str] = ()
        """Names of the trajectories' sets of parameters, in the order in which they came; none where there are none."""

    def add(self, truth: Truth, prediction: Float[Tensor, "sample member time channel *space"]) -> None:
        """Take a batch into account; it must have the members, times, facts and grid of the first one."""
        self._refuse_other(prediction.shape[1], truth.u.shape[1], truth.facts, truth.grid)
        step = max(1, CHUNK // max(1, prediction[0].numel()))
        for part in torch.arange(len(truth.u)).split(step):
            self._add(truth.part(part).exact(), prediction[part].double().cpu())

    def _refuse_other(self, members: int, times: int, facts: Facts, grid: Grid) -> None:
        found, known = (members, times, facts, grid), (self.members, len(self.times), self.facts, self.grid)
        if found != known:
            told = [f"({m}, {t}, {', '.join(f.names)}, {g.shape})" for m, t, f, g in (found, known)]
            raise InputError(
                f"(members, times, channels, points) = {told[0]} must stay {told[1]} within one protocol and variant, "
                "with all that is known of them; score another forecast under another name"
            )

    def _add(self, truth: Truth, prediction: Tensor) -> None:
        prediction, diverged = tame(prediction, truth)
        point = prediction.mean(1)
        ordered = prediction.movedim(1, -1).sort(-1).values
        of_point, of_ensemble = scoring.of_point(point, truth), scoring.of_ensemble(ordered, truth)
        mass = of_point.pop("mass_error", None)
        numbers = of_point | scoring.of_members(prediction, truth) | of_ensemble
        told = {f"{scoring.PARAMETER}{one.name}": truth.parameters[:, i] for i, one in enumerate(self.facts.parameters)}
        told |= self._counted("diverged", diverged, diverged.any(1))
        told |= self._counted("dead", truth.dead, truth.lifeless)
        frame = pd.DataFrame({name: v.numpy() for name, v in (told | scoring.table(numbers, truth)).items()})
        self._columns.append(frame)
        curves = {name: scoring.pooled(name, numbers[name], truth) for name in CURVES if name in numbers}
        for name, values in (curves if mass is None else curves | {"mass_error": mass}).items():
            self._curves.setdefault(name, []).append(values.numpy())
        self._add_spectra(point, truth, scoring.parameters(frame))
        self._add_ranks(ordered, truth)

    def _counted(self, name: str, of_channel: Tensor, of_all: Tensor) -> dict[str, Tensor]:
        """Return columns that tell yes from no: of the trajectory and, of several channels, of each."""
        if self.facts.single:
            return {name: of_all}
        labelled = zip(labels(self.facts.names), of_channel.unbind(1), strict=True)
        return {name: of_all} | {f"{name}/{label}": values for label, values in labelled}

    def _add_spectra(self, point: Tensor, truth: Truth, names: pd.Series) -> None:
        for name in names.unique():
            rows = torch.tensor((names == name).tolist()) & ~truth.lifeless
            if not rows.any():
                continue
            error = metrics.spectral_error(point[rows], truth.part(rows))
            self._spectral_error[name] = self._spectral_error.get(name, torch.zeros_like(error)) + error
        self._join_spectra()

    def _join_spectra(self) -> None:
        """Keep one sum where there are more sets than have scores of their own."""
        if len(self._spectral_error) > scoring.MOST_SETS:
            self._spectral_error = {"": torch.stack(list(self._spectral_error.values())).sum(0)}

    def _add_ranks(self, ordered: Tensor, truth: Truth) -> None:
        if self.members == 1:
            return
        for members, u, dead in zip(ordered, truth.u, truth.dead, strict=True):
            self._ranks += uncertainty.rank_counts(members[:, ~dead].flatten(1, -2), u[:, ~dead].flatten(1))

    def merge(self, other: "Tally") -> None:
        """Take over what another account of the same protocol and variant was given, after what this one has."""
        self._refuse_other(other.members, len(other.times), other.facts, other.grid)
        self._columns += other._columns
        for name, curves in other._curves.items():
            self._curves.setdefault(name, []).extend(curves)
        for name, error in other._spectral_error.items():
            self._spectral_error[name] = self._spectral_error.get(name, torch.zeros_like(error)) + error
        self._join_spectra()
        self._ranks += other._ranks

    # --- what it says -------------------------------------------------------------------------------------------------
    def trajectories(self) -> pd.DataFrame:
        """Return one row per trajectory, in the order in which they came."""
        frame = pd.concat(self._columns, ignore_index=True)
        frame.insert(0, "trajectory", np.arange(len(frame)))
        return frame.assign(**{scoring.SET: self.sets}) if self.sets else frame

    def curve(self, name: str) -> Float[np.ndarray, "sample time *channel"]:
        """Return one of the curves over time."""
        return np.concatenate(self._curves[name])

    def scores(self) -> dict[str, float]:
        """Return every metric over all trajectories, for each of several sets of parameters, and for each channel.

        What no trajectory has a number for is not there.
        """
        flat: dict[str, float] = {}
        for suffix, frame in scoring.apart(self.trajectories()):
            for channel in ("", *scoring.channels(frame)):
                for metric, value in self._of(frame, channel).items():
                    flat[scoring.named(metric, suffix, channel)] = float(value)
        return {name: value for name, value in flat.items() if not np.isnan(value)}

    def _of(self, frame: pd.DataFrame, channel: str) -> dict[str, scoring.Means]:
        """Return the metrics of some trajectories, pooled or of one channel."""
        means = {name: frame[column].mean() for name, column in scoring.columns_of(frame, channel).items()}
        counts = {name: frame[scoring.named(name, "", channel)] for name in ("max_error", "diverged", "dead")}
        found = {
            **scoring.scores(means, self.members),
            **self._pooled(frame, channel),
            "max_error": counts["max_error"].max(),
            "diverged": counts["diverged"].sum(),
        }
        return found | ({"dead": counts["dead"].sum()} if counts["dead"].any() else {})

    def _pooled(self, frame: pd.DataFrame, channel: str) -> dict[str, float]:
        """Return the metrics whose root is taken over samples, so that no average of trajectories gives them."""
        places = [i for i, name in enumerate(labels(self.facts.names)) if channel in ("", name)]
        living = int((~frame["dead"]).sum())
        if not living or (self.sets and len(frame) < len(self.sets)):  # spectra are not kept of sets with names
            return {}
        of = {"", *scoring.parameters(frame)} & set(self._spectral_error) or set(self._spectral_error)
        error = torch.stack([self._spectral_error[name] for name in sorted(of)]).sum(0)
        found = metrics.frmse(error[:, places], living)
        if "mass_error" in self._curves:
            mass = torch.from_numpy(self.curve("mass_error")[frame["trajectory"]][:, :, places])
            found["crmse"] = float(metrics.crmse(mass))
        return found

    def growth(self) -> pd.DataFrame:
        """Return the error over time: mean, median and deciles over trajectories; spread and skill of an ensemble."""
        nrmse = pd.DataFrame(self.curve("nrmse"))
        low, median, high = nrmse.quantile([0.1, 0.5, 0.9]).to_numpy()
        frame = pd.DataFrame(
            {
                "time": self.times,
                "nrmse_mean": nrmse.mean().to_numpy(),
                "nrmse_median": median,
                "nrmse_q10": low,
                "nrmse_q90": high,
                "crps": self._mean_curve("crps"),
                "spread": np.nan,
                "skill": np.nan,
            }
        )
        if self.members > 1:
            frame["spread"] = np.sqrt((self.members + 1) / self.members * self._mean_curve("variance"))
            frame["skill"] = np.sqrt(self._mean_curve("square_error"))
        return frame

    def _mean_curve(self, name: str) -> Float[np.ndarray, " time"]:
        """Return the mean over the trajectories that have one."""
        return pd.DataFrame(self.curve(name)).mean().to_numpy()

    def calibration(self) -> pd.DataFrame:
        """Return reliability and rank histogram, over all times (``time`` is empty) and at each; empty for m = 1.

        Of the table ``reliability`` the ``key`` is the nominal and ``value`` the empirical coverage; of ``rank`` the
        ``key`` is the rank and ``value`` its frequency times (m + 1), 1 when calibrated. Channels are pooled.
        """
        if self.members == 1:
            return pd.DataFrame(columns=["table", "time", "key", "value"])
        coverage = np.stack([self._mean_curve(name) for name in scoring.COVERAGES], axis=1)
        ranks = self._ranks.numpy()
        levels, places = np.array(uncertainty.LEVELS), np.arange(self.members + 1)
        parts = [("reliability", np.nan, levels, coverage.mean(0)), ("rank", np.nan, places, _relative(ranks.sum(0)))]
        for i, time in enumerate(self.times):
            parts += [("reliability", time, levels, coverage[i]), ("rank", time, places, _relative(ranks[i]))]
        return pd.concat(_long(*part) for part in parts).reset_index(drop=True)


def _relative(counts: np.ndarray) -> np.ndarray:
    return counts / (counts.mean() or np.nan)


def _long(table: str, time: float, keys: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"table": table, "time": time, "key": keys, "value": values})


class Scoreboard:
    """Takes forecasts batch by batch, keeps little, and gives scores, tables and curves.

    Within one protocol every variant must be given the same trajectories in the same order: paired comparisons and
    ``trajectory`` in the tables rely on it.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def add(
        self,
        protocol: str,
        variant: str,
        truth: Truth,
        prediction: Float[Tensor, "sample member time channel *space"],
    ) -> None:
        """Score one batch."""
        _check(truth, prediction)
        times, key = np.asarray(truth.times, np.float64), (protocol, variant)
        if key not in self._tallies:
            self._tallies[key] = Tally(prediction.shape[1], times, truth.facts, truth.grid)
        if not np.array_equal(self._tallies[key].times, times):
            raise InputError(f"times of {protocol}/{variant} must be the same in every batch; pass them unchanged")
        with torch.no_grad():
            self._tallies[key].add(truth, prediction)

    def merge(self, other: "Scoreboard") -> None:
        """Take over what another one was given, as if it had been given to this one next."""
        for (protocol, variant), tally in other._tallies.items():
            known = self._tallies.setdefault((protocol, variant), tally)
            if not np.array_equal(known.times, tally.times):
                raise InputError(f"times of {protocol}/{variant} must be the same in every batch; pass them unchanged")
            if known is not tally:
                known.merge(tally)

    def name_sets(self, names: Sequence[str]) -> None:
        """Say what the set of parameters of each trajectory is called: each then has scores of its own."""
        for tally in self._tallies.values():
            tally.sets = names

    def scores(self) -> dict[str, float]:
        """Return the flat mapping ``<protocol>/<variant>/<metric>`` to number.

        Where trajectories of several sets of parameters were scored, each metric stands there for all of them, and as
        ``<metric>_at_<parameters>`` for each set. Of several channels the metric is that of all, and
        ``<metric>/<channel>`` that of each.
        """
        return {
            f"{protocol}/{variant}/{metric}": value
            for (protocol, variant), tally in self._tallies.items()
            for metric, value in tally.scores().items()
        }

    def trajectory_scores(self) -> pd.DataFrame:
        """Return one row per protocol, variant and trajectory, with the number of ``members`` of the forecast."""
        return self._stack(lambda tally: tally.trajectories().assign(members=tally.members))

    def error_growth(self) -> pd.DataFrame:
        """Return one row per protocol, variant and time."""
        return self._stack(Tally.growth)

    def calibration(self) -> pd.DataFrame:
        """Return the tables ``reliability`` and ``rank`` of every ensemble, in long form."""
        return self._stack(Tally.calibration)

    def _stack(self, table: Callable[[Tally], pd.DataFrame]) -> pd.DataFrame:
        if not self._tallies:
            raise InputError("scoreboard = empty must hold at least one forecast; add one before reading it")
        parts = []
        for (protocol, variant), tally in self._tallies.items():
            part = table(tally)
            part.insert(0, "variant", variant)
            part.insert(0, "protocol", protocol)
            parts.append(part)
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _check(truth: Truth, prediction: Tensor) -> None:
    """Refuse shapes that broadcasting would let pass and score wrongly."""
    samples, frames = truth.u.shape[:2]
    field = (len(truth.facts.channels), *truth.grid.shape)
    members = prediction.shape[1] if prediction.ndim == 4 + truth.grid.dimensions else 1
    expected = {
        "truth": (truth.u.shape, (samples, frames, *field)),
        "prediction": (prediction.shape, (samples, members, frames, *field)),
        "initial": (truth.initial.shape, (samples, *field)),
        "times": (truth.times.shape, (frames,)),
        "parameters": (truth.parameters.shape, (samples, len(truth.facts.parameters))),
    }
    for name, (found, wanted) in expected.items():
        if tuple(found) != wanted:
            raise InputError(
                f"{name} = shape {tuple(found)} must be {wanted} for a truth of {tuple(truth.u.shape)}; "
                "axes are sample, member, time, channel, space"
            )
    for name, values in (("truth", truth.u), ("initial", truth.initial)):
        if not values.isfinite().all():
            raise InputError(f"{name} = non-finite values must be finite; the raw data are broken, validate them")
