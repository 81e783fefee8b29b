"""Parameters from observations, by a trained model and by the solver: how likely which value is, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import Infer
from universal_simulator.fields.facts import Facts
from universal_simulator.inverse import forward
from universal_simulator.inverse.posterior import (
    Calibration,
    Chains,
    GivenState,
    Posterior,
    Range,
    Sampled,
    calibrate,
    marginal,
    on_grid,
    sample,
    seen_from,
)
from universal_simulator.inverse.prior import Noise
from universal_simulator.inverse.variational import Posed, analyse
from universal_simulator.serving.inversion import Task
from universal_simulator.support.errors import InputError

if TYPE_CHECKING:
    from universal_simulator.serving.emulator import Emulator

SPLINE = 0.05
"""Of the noise: how near a spline through parameter values must be to the forward model."""

Found = Posterior | Chains
"""The posterior of one parameter on a grid, or of several by chains."""


@dataclass(frozen=True)
class Inference:
    """The posterior, three times, and whether it can be believed."""

    sought: tuple[Range, ...]
    posterior: Found
    """By the model, its error in the likelihood."""
    perfect: Found
    """By the model, taken to be perfect."""
    exact: Found | None
    """By the solver; None where there is none, or it was not asked for."""
    calibration: Calibration | None
    """Of the first, over synthetic truths."""
    cost: forward.Cost
    model_error: float
    """Root mean square of the model's error at the observations, as its ensemble has it, over the noise's."""

    def numbers(self) -> dict[str, Any]:
        """Return what was found in numbers, by flat names; with several parameters these end with the parameter's."""
        each = {"posterior": self.posterior, "perfect_model": self.perfect, "exact": self.exact}
        found: dict[str, Any] = {}
        for name, one in each.items():
            found |= {f"{name}/{key}": value for key, value in self._moments(one).items()}
        calibration, cost = self.calibration, self.cost
        return found | {
            "calibration/ks": None if calibration is None else calibration.ks,
            "calibration/p_value": None if calibration is None else calibration.p_value,
            "calibration/coverage_90": None if calibration is None else calibration.coverage,
            "model_error/over_noise": self.model_error,
            "cost/training_seconds": cost.training_seconds,
            "cost/seconds_per_query": cost.seconds_per_query,
            "cost/solver_seconds_per_query": cost.solver_seconds_per_query,
            "cost/break_even_queries": cost.break_even_queries,
        }

    def _moments(self, one: Found | None) -> dict[str, Any]:
        names = [of.parameter.name for of in self.sought]
        if one is None:
            return dict.fromkeys(("mean", "sd")) if len(names) == 1 else {}
        if not isinstance(one, Chains):
            low, high = one.interval
            return {"mean": one.mean, "sd": one.sd, "low_90": low, "high_90": high}
        told: dict[str, Any] = {"converged": one.converged}
        for i, name in enumerate(names):
            columns = {"mean": one.mean, "sd": one.sd, "r_hat": one.r_hat, "effective": one.effective}
            told |= {f"{key}/{name}": float(values[i]) for key, values in columns.items()}
        return told


@dataclass(frozen=True)
class Question:
    """A task, which parameters are sought, and what of the initial field is known."""

    task: Task
    sought: tuple[Range, ...]
    known: Mapping[str, float]
    initial: Float[Tensor, "1 channel *space"] | None
    settings: Infer
    seed: int

    def rows(self, values: Float[Tensor, "*value"]) -> Float[Tensor, "value parameter"]:
        """Return whole rows of parameters for values of those that are sought, one column each."""
        names = [one.parameter.name for one in self.sought]
        columns = dict(zip(names, values.reshape(len(values), len(names)).unbind(1), strict=True))
        facts: Facts = self.task.model.card.facts
        full = [
            columns.get(p.name, torch.full((len(values),), self.known.get(p.name, 0.0)).to(values))
            for p in facts.parameters
        ]
        return torch.stack(full, 1)

    def answer(self, posed: Posed) -> Found:
        """Return the posterior for a forward model and a noise."""
        if len(self.sought) > 1:
            return self._walked(posed)
        (one,) = self.sought
        if self.initial is None:
            return on_grid(marginal(posed, self.rows, self.task.settings.iterations), one, self.settings.nodes)
        return self.given(posed).posterior(posed.sensing.observations.values, posed.noise)

    def given(self, posed: Posed) -> GivenState:
        """Return what is seen of the given initial field."""
        assert self.initial is not None
        see = seen_from(posed, self.initial, self.rows)
        return GivenState.of(see, self.sought[0], SPLINE * posed.sensing.observations.sd)

    def with_error(self, value: Float[Tensor, " sought"]) -> Posed:
        """Return the task with the model's error about a value of the parameters in its noise."""
        rows, task = self.rows(value[None]), self.task
        u = self.initial
        if u is None:
            u = analyse(task.posed, rows[0], 0, task.settings.iterations, torch.Generator()).field[None]
        return task.with_error(u, rows, self.seed)

    def _walked(self, posed: Posed) -> Chains:
        by = self.settings.sampling
        return sample(Sampled(posed, self.sought, self.initial, self.rows), by.chains, by.draws, by.warm_up, self.seed)


def ranges(model: "Emulator", settings: Infer) -> tuple[Range, ...]:
    """Return the bounds of what is sought, or say in one line what is wrong with them."""
    facts, trained = model.card.facts, {one.parameter.name: one for one in model.statistics.parameters}
    known = {one.name: one for one in facts.parameters}
    for section, names in (("sought", settings.sought), ("parameters", settings.parameters)):
        if strange := sorted(set(names) - set(known)):
            told = ", ".join(known) or "none"
            raise InputError(f"infer.{section}.{strange[0]} = unknown: must be one of {told}; correct it")
    bounds = settings.sought or {
        name: (trained[name].minimum, trained[name].maximum) for name in known if name not in settings.parameters
    }
    if missing := [name for name in known if name not in bounds and name not in settings.parameters]:
        raise InputError(f"infer.parameters.{missing[0]} = missing: must be sought or known; give its value or bounds")
    for name, (low, high) in bounds.items():
        if not low < high or (known[name].scale == "log" and low <= 0):
            rule = "in ascending order" if low >= high else "positive"
            raise InputError(
                f"infer.sought.{name} = {low:g}, {high:g}: must be {rule}; give bounds (the model was trained on "
                f"{trained[name].minimum:g} … {trained[name].maximum:g})"
            )
    if not 1 <= len(bounds) <= 3:
        raise InputError(f"infer.sought = {', '.join(bounds) or 'none'}: must be one to three parameters; choose them")
    return tuple(Range(known[name], low, high) for name, (low, high) in bounds.items())


def infer(question: Question) -> Inference:
    """Return the posterior by the model and by the solver, what each costs, and how calibrated the model's is."""
    task, settings = question.task, question.settings
    begun: list[Found] = []
    taken = forward.cpu_seconds(lambda: begun.append(question.answer(task.posed)), times=1)
    perfect = begun[0]
    real = question.with_error(torch.as_tensor(perfect.mean, dtype=torch.float64).flatten())
    posterior = question.answer(real) if real is not task.posed else perfect
    solver = task.by_solver(task.settings.solver) if settings.with_solver else None
    exact = question.answer(solver) if solver is not None else None
    error = (real.noise.variance - task.posed.noise.variance).mean().clamp(min=0).sqrt()
    return Inference(
        question.sought,
        posterior,
        perfect,
        exact,
        _calibrated(question, solver) if settings.calibration else None,
        _cost(question, taken, perfect, solver),
        float(error / task.posed.sensing.observations.sd.square().mean().sqrt()),
    )


def _calibrated(question: Question, solver: Posed | None) -> Calibration:
    """Return it for truths that the solver makes, or where there is none the model itself."""
    if question.initial is None or len(question.sought) > 1:
        raise InputError(
            f"infer.calibration = {question.settings.calibration}: must be 0 unless one parameter is sought from "
            "a given initial field, which alone is cheap enough; give infer.initial"
        )
    own = question.task.posed.noise
    model = question.given(question.task.posed)
    truth = question.given(solver) if solver is not None else model
    (one,) = question.sought
    nodes = torch.linspace(*one.ends, 9, dtype=torch.float64)
    noises = [question.with_error(one.natural(node)[None]).noise for node in nodes]

    def near(value: float) -> Noise:
        place = one.scaled(torch.tensor(value, dtype=torch.float64))
        return noises[int((nodes - place).abs().argmin())]

    return calibrate(truth, model, near, own, question.settings.calibration, question.seed)


def _cost(question: Question, taken: float, found: Found, solver: Posed | None) -> forward.Cost:
    """Return what a query costs: by the solver of equal error as much less as its forward run is cheaper."""
    task = question.task
    trained = forward.training_seconds(task.model.card.timings)
    if solver is None:
        return forward.Cost(trained, taken, None)
    row = question.rows(torch.as_tensor(found.mean, dtype=torch.float64).reshape(1, -1))
    u = (
        question.initial
        if question.initial is not None
        else task.posed.prior.field(torch.zeros(1, task.posed.prior.size).double())
    )
    equal = task.equal_solver(u, row)
    other = task.by_solver(equal) if equal is not None else None
    assert other is not None
    many = row.expand(9, -1)
    model, theirs = (forward.cpu_seconds(partial(_forward, by, u, many)) for by in (task.posed, other))
    return forward.Cost(trained, taken, taken * theirs / model)


@torch.no_grad()
def _forward(posed: Posed, u: Tensor, rows: Tensor) -> Any:
    return posed.forward(u.expand(len(rows), *u.shape[1:]), rows)
