"""What an uncertain input does to a number: moments, quantiles, and which input it comes from.

Sobol indices after Saltelli et al. 2010 (Comput. Phys. Commun. 181, 259) as SALib has them. The model's own error,
which differs from member to member, is a source of variance beside the inputs: by the law of total variance
``Var = Var_inputs(mean of members) + mean of Var_members``.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

from universal_simulator.support.errors import InputError


@dataclass(frozen=True)
class Plan:
    """Which inputs are drawn: independent ones in groups, by a scrambled Sobol' sequence."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    """Of each input the group that it belongs to."""
    kinds: tuple[str, ...]
    """``unif``, ``norm`` or ``lognorm``."""
    bounds: tuple[tuple[float, float], ...]
    """Ends, or mean and standard deviation; of a log-normal those of the logarithm."""
    samples: int
    seed: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the groups, each once."""
        return tuple(dict.fromkeys(self.groups))

    def rows(self) -> Float[np.ndarray, "row input"]:
        """Return all inputs in SALib's order: of each point one row, one for each group, and another."""
        sobol = _salib("sample")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: np.ndarray = sobol.sample(self._problem(), self.samples, calc_second_order=False, seed=self.seed)
        return found

    def independent(self) -> np.ndarray:
        """Return which rows are draws that know nothing of each other."""
        stride = len(self.sources) + 2
        starts = np.arange(self.samples) * stride
        return np.sort(np.concatenate([starts, starts + stride - 1]))

    def indices(self, values: Float[np.ndarray, " row"]) -> dict[str, dict[str, float]]:
        """Return ``first``, ``total`` and half their 95 % intervals, by source; 1 of a single source."""
        if len(self.sources) == 1:
            return {self.sources[0]: {"first": 1.0, "total": 1.0, "first_half_width": 0.0, "total_half_width": 0.0}}
        if not np.ptp(values):
            raise InputError("quantity = the same for all inputs: must differ, to have a source; widen the inputs")
        sobol = _salib("analyze")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = sobol.analyze(self._problem(), values, calc_second_order=False, seed=self.seed)
        keys = {"first": "S1", "total": "ST", "first_half_width": "S1_conf", "total_half_width": "ST_conf"}
        return {
            source: {name: float(found[key][i]) for name, key in keys.items()} for i, source in enumerate(self.sources)
        }

    def _problem(self) -> dict[str, object]:
        bounds, groups = [list(one) for one in self.bounds], list(self.groups)
        return {"num_vars": len(self.names), "names": list(self.names), "groups": groups, "bounds": bounds,
                "dists": list(self.kinds)}  # fmt: skip


def described(
    values: Float[np.ndarray, "input member"], quantiles: Sequence[float], exceeds: Sequence[float]
) -> Mapping[str, float]:
    """Return moments, quantiles, probabilities to be exceeded, and the share of the variance that members make."""
    between, members = values.mean(1).var(ddof=1), values.shape[1]
    within = values.var(1, ddof=1).mean() if members > 1 else 0.0
    inputs = max(between - within / members, 0.0)  # the mean of few members has some of their variance
    total = inputs + within
    return {
        "mean": float(values.mean()),
        "sd": float(np.sqrt(total)),
        **{f"quantile_{level:g}": float(np.quantile(values, level)) for level in quantiles},
        **{f"exceeds_{value:g}": float((values > value).mean()) for value in exceeds},
        "share_of_model_error": float(within / total) if total else 0.0,
    }


def _salib(part: str) -> Any:
    """Return one of SALib's modules, which an extra of ours brings."""
    try:
        return import_module(f"SALib.{part}.sobol")
    except ModuleNotFoundError as error:
        told = "SALib = not installed: must be, for Sobol indices"
        raise InputError(f"{told}; pip install 'universal_simulator[uncertainty]'") from error
