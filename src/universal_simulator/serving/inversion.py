"""A trained model asked backwards: the initial state from observations, with the solver's answer beside.

What is asked is checked first, then posed (``inverse/``), for the model and, where the problem has one, for its solver.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from universal_simulator.configuration import CoarseSolver, Variational
from universal_simulator.fields.spectral import resized
from universal_simulator.inverse import forward as break_even
from universal_simulator.inverse.forward import Forward, ThroughEmulator, ThroughSolver
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.prior import GaussianPrior, Noise, most_waves
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.inverse.variational import Analysis, Posed, analyse
from universal_simulator.physics.numerics import Coarse
from universal_simulator.problems import find
from universal_simulator.serving.request import Fields, ask, named_parameters
from universal_simulator.support.errors import InputError

if TYPE_CHECKING:
    from universal_simulator.serving.emulator import Emulator

POINTS = (32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Of the solvers among which the cheapest is sought that errs no more than the model."""
SURE = 5.0
"""Standard deviations of noise beyond which a value outside of all bounds is no noise."""


@dataclass(frozen=True)
class Assimilation:
    """The initial state, three times."""

    analysis: Analysis
    """Through the model, its error in the cost."""
    perfect: Analysis
    """Through the model, taken to be perfect."""
    solver: Analysis | None
    """Through the solver: the gold standard; None where there is none, or it was not asked for."""
    cost: break_even.Cost
    equal: CoarseSolver | None
    """The cheapest solver that errs no more than the model at the observations."""
    model_error: float
    """Root mean square of the model's error at the observations, as its ensemble has it, over the noise's."""

    def numbers(self, truth: Float[Tensor, "channel *space"] | None = None) -> dict[str, Any]:
        """Return what was found in numbers, by flat names; with the true initial field also how far off it is."""
        each = {"analysis": self.analysis, "perfect_model": self.perfect, "solver": self.solver}
        found: dict[str, Any] = {}
        for name, one in each.items():
            if one is not None:
                found |= {f"{name}/{key}": value for key, value in _numbers(one, truth).items()}
        return found | {
            "model_error/over_noise": self.model_error,
            "cost/training_seconds": self.cost.training_seconds,
            "cost/seconds_per_query": self.cost.seconds_per_query,
            "cost/solver_seconds_per_query": self.cost.solver_seconds_per_query,
            "cost/equal_solver": None if self.equal is None else self.equal.name,
            "cost/break_even_queries": self.cost.break_even_queries,
        }


@dataclass(frozen=True)
class Task:
    """Observations posed for a model, and how the same is posed for the solver."""

    model: "Emulator"
    posed: Posed
    settings: Variational

    @property
    def forward(self) -> ThroughEmulator:
        """Return the model as a forward model."""
        forward = self.posed.forward
        assert isinstance(forward, ThroughEmulator)
        return forward

    def by_solver(self, setting: CoarseSolver) -> Posed | None:
        """Return the same for the problem's solver; None where there is none."""
        return self._solved(Coarse(setting.points, setting.courant, together=True))

    def _solved(self, setting: Coarse) -> Posed | None:
        solver, card = find(self.model.card.facts.name).solver, self.model.card
        if solver is None:
            return None
        own = self.posed
        forward: Forward = ThroughSolver(solver, card.grid, self.forward.time_step, own.sensing.steps, setting)
        return Posed(forward, own.sensing, own.prior, own.noise)

    def with_error(
        self, u: Float[Tensor, "1 channel *space"], parameters: Float[Tensor, "1 parameter"], seed: int
    ) -> Posed:
        """Return the task with the model's error about this forecast in its noise, as its ensemble has it."""
        count = self.settings.error_members
        generator = torch.Generator().manual_seed(seed)
        errors = self.forward.errors(u, parameters, count, generator) if count > 1 else None
        if errors is None:
            return self.posed
        sensing = self.posed.sensing
        sensed = sensing(errors).double()
        return self.posed.with_noise(Noise.of(sensing.observations.sd, sensed, sensing.correlation))

    @torch.no_grad()
    def equal_solver(self, u: Float[Tensor, "1 channel *space"], parameters: Tensor) -> CoarseSolver | None:
        """Return the cheapest solver that errs no more at the observations, held against one twice as fine."""
        best = self.settings.solver
        reference = self.by_solver(CoarseSolver(points=2 * best.points, courant=best.courant / 2))
        if reference is None:
            return None
        true, mine = (one.sensing(one.forward(u, parameters)).double() for one in (reference, self.posed))
        allowed = (mine - true).square().mean()
        for points in (one for one in POINTS if one < best.points):
            setting = CoarseSolver(points=points, courant=best.courant)
            other = self.by_solver(setting)
            assert other is not None
            if (other.sensing(other.forward(u, parameters)).double() - true).square().mean() <= allowed:
                return setting
        return best


def pose(model: "Emulator", observations: Observations, prior: Fields | None, settings: Variational) -> Task:
    """Return the task, or say in one line what is wrong with it."""
    card, statistics = model.card, model.statistics
    if (latest := observations.times.max().item()) > card.horizon * (1 + 1e-6):
        raise InputError(
            f"observations.time = {latest:g}: must be at most {card.horizon:g}, the scored horizon; drop it"
        )
    step = longest_step(observations.times, model.time_steps)
    sensing = Sensing.of(observations, card.facts, card.grid, step)
    for channel, known in enumerate(statistics.channels):
        mine = torch.cat([one.rows for one in sensing.groups if one.channel == channel] or [torch.empty(0).long()])
        span = known.maximum - known.minimum
        over = torch.maximum(observations.values - known.maximum, known.minimum - observations.values)[mine]
        if (strange := mine[over > span + SURE * observations.sd[mine]]).numel():
            raise InputError(
                f"observations.value = {observations.values[strange[0]]:g}: must be in the problem's units, in which "
                f"{known.name} was {known.minimum:.3g} … {known.maximum:.3g} in training; convert it"
            )
    forward = ThroughEmulator(model.parts, step, sensing.steps)
    noise = Noise.of(observations.sd, correlation=sensing.correlation)
    return Task(model, Posed(forward, sensing, prior_of(model, prior, settings), noise), settings)


def prior_of(model: "Emulator", fields: Fields | None, settings: Variational) -> GaussianPrior:
    """Return the prior estimated from given fields, or from the family of initial fields that it was trained on."""
    card = model.card
    grid, facts = card.grid, card.facts
    if fields is None:
        problem, source = find(facts.name), card.parameters["data"].get("source", {})
        if problem.initial_conditions is None:
            raise InputError(f"prior = null: must be initial fields, {facts.name} has no family of them; give a file")
        family = problem.family(source.get("family"))
        u = family.batch(grid, source.get("seed", 0), range(settings.prior_fields))
    else:
        known = {one.name: one.default or 1.0 for one in facts.parameters}
        u = ask(model.model, fields, known, model.model.time_step, None, False, 0).u.double()
        grid = grid.resized(tuple(u.shape[2:]))
    return GaussianPrior.of(u, grid, facts, most_waves(grid, settings.waves)).resized(card.grid)


def assimilate(task: Task, parameters: Mapping[str, Any], with_solver: bool, seed: int) -> Assimilation:
    """Return the initial state through the model and through the solver, and what each costs."""
    told = named_parameters(parameters, 1, task.model.card.facts)[0]
    settings, posed = task.settings, task.posed
    perfect = analyse(posed, told, 0, settings.iterations, _drawn(seed))
    real = task.with_error(perfect.field[None], told[None], seed)
    start = perfect.whitened[0]
    analysis = analyse(real, told, settings.members, settings.iterations, _drawn(seed), start)
    solved, solver = None, task.by_solver(settings.solver) if with_solver else None
    if solver is not None:
        solved = analyse(solver, told, settings.members, settings.iterations, _drawn(seed))
    equal = task.equal_solver(perfect.field[None], told[None]) if solver is not None else None
    error = (real.noise.variance - posed.noise.variance).mean().clamp(
        min=0
    ).sqrt() / posed.sensing.observations.sd.square().mean().sqrt()
    return Assimilation(analysis, perfect, solved, _cost(task, perfect, told, equal), equal, float(error))


def _cost(task: Task, perfect: Analysis, told: Tensor, equal: CoarseSolver | None) -> break_even.Cost:
    """Return what an analysis without members costs, by the model and by the solver of equal error."""
    trained = break_even.training_seconds(task.model.card.timings)
    other = task.by_solver(equal) if equal is not None else None
    if other is None:
        return break_even.Cost(trained, perfect.seconds, None)
    solved = analyse(other, told, 0, task.settings.iterations, torch.Generator())
    return break_even.Cost(trained, perfect.seconds, solved.seconds)


def initial_field(model: "Emulator", given: Fields) -> Float[Tensor, "1 channel *space"]:
    """Return the one field that was given, on the model's grid, in double precision."""
    known = {one.name: one.default or 1.0 for one in model.card.facts.parameters}
    u = ask(model.model, given, known, model.model.time_step, None, False, 0).u.double()
    if len(u) != 1:
        raise InputError(f"initial = {len(u)} fields: must be one; give one")
    grid = model.card.grid
    return resized(u, grid.resized(tuple(u.shape[2:])), model.card.facts.channels, grid.shape)


def longest_step(times: Float[Tensor, " observation"], trained: tuple[float, ...]) -> float:
    """Return the longest trained step of which all times are multiples; the shortest where there is none."""
    for step in sorted(trained, reverse=True):
        if ((times / step - (times / step).round()).abs() <= 1e-4).all():
            return step
    return min(trained)


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _numbers(one: Analysis, truth: Tensor | None) -> dict[str, float]:
    count = len(one.posed.sensing.observations)
    found = {
        "cost_before": float(one.minimum.first[0]),
        "cost_after": float(one.minimum.value[0]),
        "misfit": float(one.posed.noise.quadratic(one.observed - one.posed.sensing.observations.values)) / count,
        "gradients": float(one.minimum.gradients[0]),
        "cpu_seconds": one.seconds,
    }
    if len(one.whitened) > 2:
        found["spread"] = float(one.sd.square().mean().sqrt())
    if truth is None:
        return found
    wrong = one.field - truth
    found["error"] = float(torch.linalg.vector_norm(wrong) / torch.linalg.vector_norm(truth))
    if len(one.whitened) > 2:
        found["coverage_90"] = float((wrong.abs() < 1.645 * one.sd).double().mean())
    return found
