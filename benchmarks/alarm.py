"""Whether a model's alarm rings outside of what it was trained on, and only there; and what intervals then hold.

python -m benchmarks.alarm shipped:golden shipped:sota_v1 shipped:burgers_all shipped:diffusion_reaction

Fresh trajectories of seeds that no data set is solved with: as trained, and others. Each begins from one field and is
forecast to a quarter, half, three quarters and all of the longest time that was scored. First table: the error there
(root mean square relative to the field's, mean), the share that rings, and the AUROC of each score against the first
row (1: always higher than inside; 0.5: no difference). Second: share of the truth in 90 % intervals of the
ensemble as it is, and as the alarm makes it. Third: processor time of a forecast, with and without the alarm.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from universal_simulator.configuration import Span
from universal_simulator.emulation import watch
from universal_simulator.evaluation import spreading
from universal_simulator.fields.grid import Grid
from universal_simulator.physics.waves import from_waves
from universal_simulator.pipelines.evaluation.out_of_distribution import auroc
from universal_simulator.problems import find
from universal_simulator.serving import Emulator
from universal_simulator.serving.alarms import demanded, judged, watched
from universal_simulator.serving.request import Request, ask
from universal_simulator.support.errors import InputError

SEED = 2**31 + 11
MEMBERS = 8
THINNING = 4
COVERED = ("inside", "parameter x0.5", "parameter x2", "amplitude x2", "white spectrum", "KS's fields")
Draw = Callable[[Grid, int, tuple[float, ...]], Tensor]
"""From a grid, a number and parameters to an initial field ``(channel, *space)``, the same on every grid."""


@dataclass(frozen=True)
class Case:
    """Fields to begin from, and their futures where these can be solved."""

    name: str
    u0: Tensor
    parameters: Tensor
    truth: Tensor | None
    """``(sample, time, channel, *space)``."""


def spectrum(model: Emulator, slope: float, waves: int, seed: int) -> Draw:
    """Return random fields as strong as those of training, whose amplitudes fall like ``k^-slope`` up to a cut."""
    strength = model.statistics.rms().double()

    def draw(grid: Grid, number: int, _: tuple[float, ...]) -> Tensor:
        random = np.random.default_rng([seed, number])
        if grid.dimensions == 1:
            k = np.arange(1, waves + 1)
            a = random.standard_normal((2, waves)) * k**-slope
            phase = 2 * np.pi * k[:, None] * grid.axes[0].centres().numpy()
            u = torch.from_numpy(a[:1] @ np.cos(phase) + a[1:] @ np.sin(phase))
        else:
            i = np.arange(waves + 1)
            k = np.hypot(i[:, None], i)
            a = random.standard_normal((len(strength), *k.shape)) * np.maximum(k, 1) ** -slope * (k <= waves)
            u = from_waves(torch.from_numpy(a), grid, grid.shape)
        return u / grid.wide(grid.rms(u)) * grid.wide(strength)

    return draw


def family(model: Emulator, seed: int, factor: float = 1.0) -> Draw:
    """Return the fields that the model's data start from, times a factor."""
    made = find(model.card.facts.name).family()
    return lambda grid, number, told: factor * made.batch(grid, seed, [number], told)[0]


def kinds(model: Emulator) -> Iterator[tuple[str, Draw, float]]:
    """Yield the cases by name, and a factor on the first parameter beyond its range."""
    line = model.card.grid.dimensions == 1
    yield "inside", family(model, SEED), 1.0
    if model.card.facts.parameters:
        yield "parameter x0.5", family(model, SEED + 1), 0.5
        yield "parameter x2", family(model, SEED + 1), 2.0
    else:
        yield "amplitude x1.5", family(model, SEED + 1, 1.5), 1.0
    yield "amplitude x0.5", family(model, SEED + 2, 0.5), 1.0
    yield "amplitude x2", family(model, SEED + 2, 2.0), 1.0
    yield "white spectrum", spectrum(model, 0.0, 100 if line else 20, 5), 1.0
    yield (
        "rough, amplitudes as 1/k" if line else "rough, amplitudes as k^-0.5",
        spectrum(model, 1.0 if line else 0.5, 64 if line else 20, 6),
        1.0,
    )
    other = find("kuramoto_sivashinsky" if line else "gray_scott").initial_conditions
    assert other is not None
    yield (
        "KS's fields" if line else "Gray-Scott's fields",
        lambda grid, number, _: other.batch(grid, 7, [number])[0],
        1.0,
    )
    if line:
        yield "heat's fields", _smoothed(model), 1.0


def _smoothed(model: Emulator) -> Draw:
    """Return what the heat equation makes of the model's own initial fields in a short time."""
    own = family(model, 8)

    def draw(grid: Grid, number: int, told: tuple[float, ...]) -> Tensor:
        u = own(grid, number, told)
        k = 2 * np.pi * torch.arange(u.shape[-1] // 2 + 1)
        return torch.fft.irfft(torch.fft.rfft(u) * torch.exp(-k.square() * 0.02 / np.pi), n=u.shape[-1])

    return draw


def parameters(model: Emulator, count: int, factor: float) -> list[tuple[float, ...]]:
    """Return parameters as trained on, or a factor beyond the end of their range."""
    sets = model.card.sets or [()]
    places = (np.random.default_rng(SEED).permutation(count) + 0.5) / count
    rows = []
    for i, place in enumerate(places.tolist()):
        row = list(sets[i % len(sets)])
        at = place if factor == 1 else float(factor > 1)
        row = [one.at(at) if isinstance(one, Span) else float(one) for one in row]
        rows.append(tuple([row[0] * factor, *row[1:]] if row else row))
    return rows


def solved(model: Emulator, name: str, draw: Draw, factor: float, count: int) -> Case:
    """Return a case; one that cannot be solved has no truth."""
    solver, grid = find(model.card.facts.name).solver, model.card.grid
    assert solver is not None
    times, told = np.linspace(0, model.card.horizon, watch.JUDGED), parameters(model, count, factor)
    u0 = torch.stack([draw(grid, i, row) for i, row in enumerate(told)]).float()
    values: dict[int, Tensor] = {}
    try:
        for row in dict.fromkeys(told):
            mine = [i for i, other in enumerate(told) if other == row]

            def initial(at: Grid, mine: list[int] = mine, row: tuple[float, ...] = row) -> Tensor:
                return torch.stack([draw(at, i, row) for i in mine])

            found = solver.solve(row, initial, times, grid).values[:, 1:].float()
            values |= dict(zip(mine, found, strict=True))
    except InputError:
        values = {}
    truth = torch.stack([values[i] for i in range(count)]) if values else None
    return Case(name, u0, torch.tensor(told, dtype=torch.float32).reshape(count, -1), truth)


def asked(model: Emulator, case: Case, members: int | None = None) -> Request:
    """Return the request for a case's forecasts."""
    names = [one.name for one in model.card.facts.parameters]
    told = dict(zip(names, case.parameters.T.numpy(), strict=True))
    times = (
        np.round(np.linspace(0, model.card.horizon, watch.JUDGED)[1:] / model.statistics.time_step)
        * model.statistics.time_step
    )
    return ask(model.model, case.u0, told, times, members, False, SEED)


@torch.inference_mode()
def other_scores(model: Emulator, case: Case, inverse: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
    """Return scores that were tried and not taken, of initial fields; and the last layer's second moments.

    The last layer's variance under a Gaussian prior is ``φᵀ (Φᵀ Φ + λ)⁻¹ φ`` (last-layer Laplace, Daxberger et al.
    2021, arXiv 2106.14806), φ what enters the layer, mean over points. The reflected step is how far the step of one
    image is from the mean over images.
    """
    parts, seen = model.parts, []
    hook = parts.operator.network.leave.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    start = parts.start(case.u0, case.parameters, model.statistics.time_step)
    after = parts.step(start.z, start)
    hook.remove()
    phi = torch.cat([one.flatten(1, -2) for one in seen])[: len(case.u0)].double()
    moments = torch.einsum("spc,spd->cd", phi, phi) / (len(phi) * phi.shape[1])
    if inverse is None:
        inverse = torch.linalg.inv(moments + 1e-6 * moments.diagonal().mean() * torch.eye(len(moments)))
    found = {"last layer": torch.einsum("spc,cd,spd->s", phi, inverse, phi)}
    operator = parts.operator
    if len(operator.motions) > 1:
        step = torch.full((len(start.z),), start.time_step)
        one = unreflected(operator, start.z, start.parameters, step)
        found["reflected step"] = (one - after).square().flatten(1).mean(1).sqrt() / start.z.square().flatten(1).mean(
            1
        ).sqrt()
    return found, inverse


def unreflected(operator: torch.nn.Module, z: Tensor, told: Tensor, step: Tensor) -> Tensor:
    """Return the step of the state itself, without its images."""
    motions, operator.motions = operator.motions, ()
    try:
        return operator(z, told, step)
    finally:
        operator.motions = motions


def ringing(model: Emulator, cases: list[Case]) -> None:
    """Print the first table."""
    alarm, step = demanded(model), model.statistics.time_step
    reference, rows = solved_reference(model), []
    _, inverse = other_scores(model, reference, None)
    for case in cases:
        request = asked(model, case)
        answer = model.answer(request)
        fields = torch.cat((case.u0[:, None], answer[:, 0]), 1)
        verdict = watch.judge(model.parts, alarm, fields, case.parameters, step)
        worst = torch.from_numpy(judged(model, alarm, request, answer))  # parameters out of range among it
        scores = {"strange": verdict.strange, "unexplained": verdict.unexplained.amax(1), "alarm": worst}
        scores |= other_scores(model, case, inverse)[0]
        rows.append((case, error(model, answer[:, 0], case.truth), float((worst > 1).double().mean()), scores))
    names = list(rows[0][3])
    say(
        f"\n| {model.card.experiment} | trajectories | error | rings | "
        + " | ".join(f"AUROC, {one}" for one in names)
        + " |"
    )
    say("|---|---|---|---|" + "---|" * len(names))
    for case, wrong, rings, scores in rows:
        found = " | ".join(f"{auroc(rows[0][3][name], scores[name]):.2f}" for name in names)
        say(f"| {case.name} | {len(case.u0)} | {wrong} | {rings:.0%} | {found} |")


def solved_reference(model: Emulator) -> Case:
    """Return initial fields that the last layer is normal for; nothing is solved."""
    told = parameters(model, 64, 1.0)
    draw = family(model, SEED + 9)
    u0 = torch.stack([draw(model.card.grid, i, row) for i, row in enumerate(told)]).float()
    return Case("reference", u0, torch.tensor(told, dtype=torch.float32).reshape(64, -1), None)


def error(model: Emulator, fields: Tensor, truth: Tensor | None) -> str:
    """Return the mean error relative to the field, over times; flat fields are left out."""
    if truth is None:
        return "unknown"
    size = truth.double().square().flatten(2).mean(2).sqrt()
    wrong = (fields - truth).double().square().flatten(2).mean(2).sqrt() / size
    return f"{float(wrong[size > 1e-4 * size.max()].mean()):.2g}"


def covering(model: Emulator, cases: list[Case], count: int) -> None:
    """Print the second table."""
    say(f"\n| {model.card.experiment}, {MEMBERS} members | trajectories | 90 % intervals hold, plain | with the alarm "
        "| spread/skill, plain | with the alarm |\n|---|---|---|---|---|---|")  # fmt: skip
    for case in cases:
        if case.truth is None:
            continue
        part = Case(case.name, case.u0[:count], case.parameters[:count], case.truth[:count])
        request = asked(model, part, MEMBERS)
        plain = model.answer(request)
        thin = (..., *[slice(None, None, THINNING)] * model.card.grid.dimensions)
        found = [
            spreading.measure(one[thin], part.truth[thin]) for one in (plain, watched(model, request, plain).answer)
        ]
        held, skill = ([f"{getattr(one, name):.2f}" for one in found] for name in ("coverage_90", "spread_skill"))
        say(f"| {case.name} | {len(part.u0)} | {held[0]} | {held[1]} | {skill[0]} | {skill[1]} |")


def costing(model: Emulator, case: Case) -> None:
    """Print the third table."""
    few = Case(case.name, case.u0[:8], case.parameters[:8], None)
    say(f"\n| {model.card.experiment}, processor seconds of 8 forecasts | alone | what the alarm adds |\n|---|---|---|")
    for name, members in (("one forecast each", None), (f"{MEMBERS} members each", MEMBERS)):
        request, spent = asked(model, few, members), []
        for _ in range(2):
            begun = time.process_time()
            answer = model.answer(request)
            between = time.process_time()
            watched(model, request, answer)
            spent.append((between - begun, time.process_time() - between))
        alone, more = (min(column) for column in zip(*spent, strict=True))
        say(f"| {name} | {alone:.2f} | {more:.2f} ({more / alone:.0%}) |")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201 - an answer


def main() -> None:
    """Print the tables of each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--trajectories", type=int, default=50, help="of each case")
    parser.add_argument("--covered", type=int, default=12, help="of each case, for the second table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for address in given.models:
        model = Emulator.load(address, "cpu")
        cases = [solved(model, *kind[:2], kind[2], given.trajectories) for kind in kinds(model)]
        ringing(model, cases)
        costing(model, cases[0])
        covering(model, [case for case in cases if case.name in COVERED], given.covered)


if __name__ == "__main__":
    main()
