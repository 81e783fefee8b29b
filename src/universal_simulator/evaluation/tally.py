"""What is kept of the forecasts of one protocol and variant, batch by batch: numbers per trajectory and sums.

Memory does not grow with the number of points: per trajectory a few numbers and two curves over time stay, and the
batch at hand is worked off a few trajectories at a time.
"""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from universal_simulator.evaluation import calibration, metrics, summary
from universal_simulator.support.errors import InputError

DIVERGED = 10.0
"""A value that is wrong by this many times the trajectory's own size has left the problem; it counts as that far away.

The size is the largest ``rms_x`` of the truth and of what was given, so that a truth that dies away, as viscous flow
does, makes nobody diverge.
"""

CHUNK = 2**22
"""Numbers of a prediction that are worked on at once."""


def tame(
    prediction: Float[Tensor, "sample member time space"],
    truth: Float[Tensor, "sample time space"],
    initial: Float[Tensor, "sample space"],
) -> tuple[Float[Tensor, "sample member time space"], Bool[Tensor, " sample"]]:
    """Return the prediction with every value within ``DIVERGED`` sizes of the truth, and which samples diverged.

    A trajectory diverged if any value of any member is non-finite or farther away than that. It stays in every average,
    with finite, bounded and bad numbers: a value too far away is moved to the bound; a non-finite one stands as truth
    plus bound, at the last point truth minus bound, so that mass and boundary are wrong as well.
    """
    finite = prediction.isfinite()
    size = torch.maximum(metrics.rms(truth).amax(1), metrics.rms(initial)).clamp_min(metrics.RESOLUTION)
    bound = DIVERGED * size[:, None, None, None]
    error = prediction - truth[:, None]
    sign = torch.ones_like(truth[0, 0])
    sign[-1] = -1
    moved = ~finite | (error.abs() > bound)
    error = torch.where(finite, error.clamp(-bound, bound), bound * sign)
    return truth[:, None] + error, moved.flatten(1).any(1)


class Tally:
    """The account of one protocol and one variant."""

    def __init__(self, members: int, times: Float[np.ndarray, " time"], points: int) -> None:
        self.members, self.times, self.points = members, times, points
        self._columns: list[pd.DataFrame] = []
        self._curves: dict[str, list[np.ndarray]] = {}
        modes = points // 2 + 1
        self._no_error = torch.zeros(len(times), modes, dtype=torch.float64)
        self._spectral_error: dict[str, Tensor] = {}  # of each parameter
        self._ranks = torch.zeros(len(times), members + 1, dtype=torch.float64)

    def add(
        self,
        truth: Float[Tensor, "sample time space"],
        prediction: Float[Tensor, "sample member time space"],
        initial: Float[Tensor, "sample space"],
        viscosity: Float[Tensor, " sample"] | None,
    ) -> None:
        """Take a batch into account; it must have the members, times and points of the first one."""
        self._refuse_other((prediction.shape[1], *truth.shape[1:]))
        step = max(1, CHUNK // max(1, prediction[0].numel()))
        for part in torch.arange(len(truth)).split(step):
            self._add(
                truth[part].double().cpu(),
                prediction[part].double().cpu(),
                initial[part].double().cpu(),
                None if viscosity is None else viscosity[part].double().cpu(),
            )

    def _refuse_other(self, found: tuple[int, ...]) -> None:
        known = (self.members, len(self.times), self.points)
        if found != known:
            raise InputError(
                f"(members, times, points) = {found} must stay {known} within one protocol and variant; "
                "score another forecast under another name"
            )

    def _add(self, truth: Tensor, prediction: Tensor, initial: Tensor, viscosity: Tensor | None) -> None:
        prediction, diverged = tame(prediction, truth, initial)
        point = prediction.mean(1)
        frame_nrmse = metrics.nrmse(point, truth)
        columns = {
            "viscosity": torch.full((len(truth),), torch.nan) if viscosity is None else viscosity,
            "diverged": diverged,
            "nrmse": frame_nrmse.mean(1),
            "nrmse_frobenius": metrics.nrmse_frobenius(point, truth),
            "rmse": metrics.rmse(point, truth).mean(1),
            "brmse": metrics.brmse(point, truth).mean(1),
            "max_error": metrics.max_error(point, truth).amax(1),
            **self._physics(prediction, truth, initial),
        }
        curves = {"nrmse": frame_nrmse, "mass_error": metrics.mass_error(point, truth)}
        names = summary.parameters(pd.DataFrame({"viscosity": columns["viscosity"].numpy()}))
        for name in names.unique():
            rows = torch.tensor((names == name).tolist())
            known = self._spectral_error.get(name, self._no_error)
            self._spectral_error[name] = known + metrics.spectral_error(point[rows], truth[rows])
        uncertainty = self._uncertainty(prediction, truth)
        columns["crps"] = uncertainty["crps"].mean(1)
        if self.members > 1:
            columns |= {name: uncertainty[name].mean(1) for name in (*_coverages(), "variance", "square_error")}
        self._columns.append(pd.DataFrame({name: values.numpy() for name, values in columns.items()}))
        for name, values in (curves | uncertainty).items():
            self._curves.setdefault(name, []).append(values.float().numpy())

    def _physics(self, prediction: Tensor, truth: Tensor, initial: Tensor) -> dict[str, Tensor]:
        """Score each member by itself and average: a mean can conserve what none of its members does."""
        members = range(self.members)
        gaps = [metrics.conservation_gap(prediction[:, i], initial) for i in members]
        jumps = [metrics.boundary_violation(prediction[:, i], truth) for i in members]
        return {
            "conservation_gap": torch.stack(gaps).mean(0),
            "boundary_violation": torch.stack(jumps).mean(0),
        }

    def _uncertainty(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return curves ``(sample, time)``: crps and, for an ensemble, coverages, variance and error of the mean."""
        members = prediction.movedim(1, -1).sort(-1).values
        curves = {"crps": calibration.crps(members, truth).mean(-1)}
        if self.members == 1:
            return curves
        for name, level in _coverages().items():
            curves[name] = calibration.covered(members, truth, level).double().mean(-1)
        curves["variance"] = calibration.variance(members).mean(-1)
        curves["square_error"] = (members.mean(-1) - truth).square().mean(-1)
        for one_members, one_truth in zip(members, truth, strict=True):
            self._ranks += calibration.rank_counts(one_members, one_truth)
        return curves

    def merge(self, other: "Tally") -> None:
        """Take over what another account of the same protocol and variant was given, after what this one has."""
        self._refuse_other((other.members, len(other.times), other.points))
        self._columns += other._columns
        for name, curves in other._curves.items():
            self._curves.setdefault(name, []).extend(curves)
        for name, error in other._spectral_error.items():
            self._spectral_error[name] = self._spectral_error.get(name, self._no_error) + error
        self._ranks += other._ranks

    # --- what it says -------------------------------------------------------------------------------------------------
    def trajectories(self) -> pd.DataFrame:
        """Return one row per trajectory, in the order in which they came."""
        frame = pd.concat(self._columns, ignore_index=True)
        frame.insert(0, "trajectory", np.arange(len(frame)))
        return frame

    def curve(self, name: str) -> Float[np.ndarray, "sample time"]:
        """Return one of the curves over time."""
        return np.concatenate(self._curves[name]).astype(np.float64)

    def scores(self) -> dict[str, float]:
        """Return every metric over all trajectories and, of several parameters, ``<metric>_at_<parameter>`` of each."""
        flat: dict[str, float] = {}
        for suffix, frame in summary.apart(self.trajectories()):
            means = {name: frame[name].to_numpy().mean() for name in summary.columns(frame)}
            values = {
                **summary.scores(means, self.members),
                **self._pooled(frame),
                "max_error": frame["max_error"].max(),
                "diverged": frame["diverged"].sum(),
            }
            flat |= {metric + suffix: float(value) for metric, value in values.items()}
        return flat

    def _pooled(self, frame: pd.DataFrame) -> dict[str, float]:
        """Return the metrics whose root is taken over samples, so that no average of trajectories gives them."""
        mass = torch.from_numpy(self.curve("mass_error")[frame["trajectory"]])
        of = summary.parameters(frame).unique()
        spectral_error = sum((self._spectral_error[name] for name in of), self._no_error)
        return {
            "crmse": float(metrics.crmse(mass)),
            **metrics.frmse(spectral_error, len(frame), self.points),
        }

    def growth(self) -> pd.DataFrame:
        """Return the error over time: mean, median and deciles over trajectories; spread and skill of an ensemble."""
        nrmse = self.curve("nrmse")
        low, median, high = np.quantile(nrmse, (0.1, 0.5, 0.9), axis=0)
        frame = pd.DataFrame(
            {
                "time": self.times,
                "nrmse_mean": nrmse.mean(0),
                "nrmse_median": median,
                "nrmse_q10": low,
                "nrmse_q90": high,
                "crps": self.curve("crps").mean(0),
                "spread": np.nan,
                "skill": np.nan,
            }
        )
        if self.members > 1:
            frame["spread"] = np.sqrt((self.members + 1) / self.members * self.curve("variance").mean(0))
            frame["skill"] = np.sqrt(self.curve("square_error").mean(0))
        return frame

    def calibration(self) -> pd.DataFrame:
        """Return reliability and rank histogram, over all times (``time`` is empty) and at each; empty for m = 1.

        Of the table ``reliability`` the ``key`` is the nominal and ``value`` the empirical coverage; of ``rank`` the
        ``key`` is the rank and ``value`` its frequency times (m + 1), 1 when calibrated.
        """
        if self.members == 1:
            return pd.DataFrame(columns=["table", "time", "key", "value"])
        coverage = np.stack([self.curve(name).mean(0) for name in _coverages()], axis=1)
        ranks = self._ranks.numpy()
        levels, places = np.array(list(_coverages().values())), np.arange(self.members + 1)
        parts = [("reliability", np.nan, levels, coverage.mean(0)), ("rank", np.nan, places, _relative(ranks.sum(0)))]
        for i, time in enumerate(self.times):
            parts += [("reliability", time, levels, coverage[i]), ("rank", time, places, _relative(ranks[i]))]
        return pd.concat(_long(*part) for part in parts).reset_index(drop=True)


def _coverages() -> dict[str, float]:
    """Column of each nominal coverage: ``coverage_10`` … ``coverage_90``."""
    return {f"coverage_{round(100 * level)}": level for level in calibration.LEVELS}


def _relative(counts: np.ndarray) -> np.ndarray:
    return counts / counts.mean()


def _long(table: str, time: float, keys: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"table": table, "time": time, "key": keys, "value": values})
