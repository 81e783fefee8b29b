"""Whether a model's alarm rings outside of what it was trained on, and only there; and what intervals then hold.

python -m benchmarks.alarm shipped:golden shipped:sota_v1 shipped:burgers_all shipped:diffusion_reaction

Fresh trajectories of seeds that no data set is solved with: as trained, and others. Each begins from one field and is
forecast to a quarter, half, three quarters and all of the longest time that was scored. First table: the error there
(root mean square relative to the field's, mean), the share that rings, and the AUROC of each score against the first
row (1: always higher than inside; 0.5: no difference). Second: share of the truth in 90 % intervals of the
ensemble as it is, and as the alarm makes it. Third: processor time of a forecast, with and without the alarm. Before
them, how often it rings for many fields as trained.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from torch import Tensor

from benchmarks.alarm_cases import SEED, Case, family, kinds, parameters, solved
from universal_simulator.emulation import watch
from universal_simulator.evaluation import uncertainty
from universal_simulator.pipelines.evaluation.out_of_distribution import auroc
from universal_simulator.serving import Emulator
from universal_simulator.serving.alarms import demanded, judged, watched
from universal_simulator.serving.request import Request, ask

MEMBERS, MANY = 8, 400
TABLES = ("silence", "rings", "cost", "intervals")
THINNING = 4
COVERED = ("inside", "parameter x0.5", "parameter x2", "amplitude x2", "white spectrum", "KS's fields")


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
    reference, rows = as_trained(model, 64, SEED + 9), []
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


def as_trained(model: Emulator, count: int, seed: int) -> Case:
    """Return initial fields as in training; nothing is solved."""
    told, draw = parameters(model, count, 1.0), family(model, seed)
    u0 = torch.stack([draw(model.card.grid, i, row) for i, row in enumerate(told)]).float()
    return Case("as trained", u0, torch.tensor(told, dtype=torch.float32).reshape(count, -1), None)


def silence(model: Emulator) -> None:
    """Print how often it rings for many fields as trained, from the initial fields alone."""
    case, alarm = as_trained(model, MANY, SEED + 8), demanded(model)
    verdict = watch.judge(model.parts, alarm, case.u0[:, None], case.parameters, model.statistics.time_step)
    parts = (verdict.score, verdict.strange, verdict.unexplained)
    whole, strange, by_law = (float((one > 1).double().mean()) for one in parts)
    say(f"\n{model.card.experiment}: of {MANY} initial fields as trained {whole:.1%} ring, {strange:.1%} as strange, "
        f"{by_law:.1%} by the equation")  # fmt: skip


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
            uncertainty.measure(one[thin], part.truth[thin]) for one in (plain, watched(model, request, plain).answer)
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
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for address in given.models:
        model = Emulator.load(address, "cpu")
        if "silence" in given.only:
            silence(model)
        names = COVERED if given.only == ["intervals"] else [] if given.only == ["silence"] else None
        cases = [
            solved(model, name, draw, factor, given.trajectories)
            for name, draw, factor in kinds(model)
            if names is None or name in names
        ]
        if "rings" in given.only:
            ringing(model, cases)
        if "cost" in given.only:
            costing(model, cases[0])
        if "intervals" in given.only:
            covering(model, [case for case in cases if case.name in COVERED], given.covered)


if __name__ == "__main__":
    main()
