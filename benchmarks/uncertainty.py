"""What the generative half of a finished experiment earns: ``python -m benchmarks.uncertainty golden``.

Four tables, each by its own question (``--only``), on the experiment's networks and calibration as they lie in the data
folder. Errors are of decoded fields over rollouts from one snapshot of ``--trajectories`` test trajectories; intervals
are 95 % bootstrap over trajectories, paired where two forecasts are compared. A network call is one state through
operator, teacher or student, counted where it happens.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from rich.console import Console
from torch import Tensor

from universal_simulator.cli import parse_params
from universal_simulator.compute.device import stream
from universal_simulator.configuration import Guidance, TestTimeConditioning, Variant
from universal_simulator.diffusion.denoising import NoiseSchedule
from universal_simulator.emulation.emulator import Emulator, TeacherSampler, assemble
from universal_simulator.emulation.forecasters import Rollout
from universal_simulator.emulation.protocols import Sample, Task, make_task
from universal_simulator.evaluation.scores import interval, paired_gain, resampled_means
from universal_simulator.evaluation.uncertainty import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.pipelines.evaluation.out_of_distribution import evaluate_out_of_distribution
from universal_simulator.training.windows import fitted

MEMBERS, SEED = 8, 17
EVERY = 4
"""Frames and points from which ensembles are scored: one of so many."""
console = Console(width=180, highlight=False)


@dataclass(frozen=True)
class Experiment:
    """What the catalog holds of a finished experiment."""

    emulator: Emulator
    teacher: TeacherSampler
    stride: int
    ttc: TestTimeConditioning
    load: Callable[[str], Any]

    def task(self, part: Trajectories) -> Task:
        """Pose the rollout from the first snapshot."""
        return make_task("rollout", whole(part), self.stride, 1)

    def test(self, count: int) -> Task:
        """Return some test trajectories."""
        test = self.load("test_trajectories")
        return self.task(test.subset(np.linspace(0, len(test) - 1, min(count, len(test))).round().astype(int)))


def whole(part: Trajectories) -> Sample:
    """Read trajectories."""
    told = torch.as_tensor(part.parameters, dtype=torch.float32)
    return Sample(part.read(slice(None)), told, part.times, part.grid)


@dataclass
class Calls:
    """States that went through the networks."""

    count: int = 0


@contextmanager
def counted(emulator: Emulator) -> Iterator[Calls]:
    """Count every state that operator (once for each image it is averaged over) and sampler see inside."""
    calls = Calls()

    def add(module: Any, _inputs: Any, output: Tensor) -> None:
        calls.count += len(output) * max(1, len(getattr(module, "motions", ())))

    assert emulator.sampler is not None
    networks = (emulator.operator, emulator.sampler.network)
    handles = [network.register_forward_hook(add) for network in networks]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def run(
    emulator: Emulator, task: Task, variant: Variant, members: int, ttc: TestTimeConditioning
) -> tuple[Tensor, int]:
    """Return the forecast, and its network calls for one trajectory."""
    with counted(emulator) as calls:
        fields = Rollout(emulator, variant, members, ttc)(task, stream(SEED, "benchmark", variant))
    return fields, calls.count // len(task.truth)


def errors(fields: Tensor, task: Task) -> np.ndarray:
    """Return the nRMSE of each trajectory."""
    rms = task.grid.rms
    ratio = rms(fields.mean(1) - task.truth) / rms(task.truth).clamp(min=1e-6)
    return np.asarray(ratio.mean((1, 2)).double().numpy())


def thin(values: Tensor, task: Task) -> Tensor:
    """Leave out frames and points."""
    return values[(..., slice(None, None, EVERY), slice(None), *[slice(None, None, EVERY)] * task.grid.dimensions)]


def residuals(of: Experiment, count: int) -> None:
    """Compare the operator on what it was fitted to with what it was not: errors there are those that it will make."""
    train, holdout = of.load("train_trajectories"), of.load("params:diffusion_residual").holdout
    border = len(fitted(of.load("train_latents"), holdout))
    parts = {
        "fitted to": np.linspace(0, border - 1, count),
        "kept from it, for the residual": np.linspace(border, len(train) - 1, count),
    }
    console.print(
        f"\n| operator's trajectories, {count} each | error of one step | error of a rollout |\n|---|---|---|"
    )
    for name, rows in parts.items():
        part = train.subset(rows.round().astype(int))
        task = of.task(part)
        single = make_task("one_step", whole(part), of.stride, 5)
        found = [errors(run(of.emulator, one, "deterministic", 1, of.ttc)[0], one) for one in (single, task)]
        console.print(f"| {name} | {sure(found[0])} | {sure(found[1])} |")


def sure(values: np.ndarray) -> str:
    """Print a mean with its interval."""
    found = interval(float(values.mean()), resampled_means(values[:, None])[:, 0])
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def student(of: Experiment, count: int) -> None:
    """Compare the student's draws with its teacher's, and what they cost."""
    part = of.load("test_trajectories").subset(np.arange(count))
    single = make_task("one_step", whole(part), of.stride, 10)
    assert of.emulator.sampler is not None
    samplers = {
        f"teacher, {of.teacher.calls} Heun steps": of.teacher,
        "student": of.emulator.sampler,
        "student, twice": replace(of.emulator.sampler, calls=2),
    }
    console.print(
        f"\n| sampler, {count} trajectories | calls per draw | CRPS, one step | CRPS, rollout | of the teacher's |"
    )
    console.print("|---|---|---|---|---|")
    reference: list[float] = []
    for name, sampler in samplers.items():
        emulator, found = replace(of.emulator, sampler=sampler), []
        for task in (single, of.task(part)):
            fields, calls = run(emulator, task, "ensemble", MEMBERS, of.ttc)
            found.append(measure(thin(fields, task), thin(task.truth, task)).crps)
        reference = reference or found
        steps = task.truth.shape[1] * MEMBERS
        shares = " and ".join(f"{a / b:.3f}" for a, b in zip(found, reference, strict=True))
        operators = max(1, len(of.emulator.operator.motions))
        console.print(f"| {name} | {calls // steps - operators} | {found[0]:.3e} | {found[1]:.3e} | {shares} |")


def conditioning(of: Experiment, count: int) -> None:
    """Tell apart what lowers the error: guidance, search, or just that many network calls."""
    task, ttc = of.test(count), of.ttc
    plain, price = run(of.emulator, task, "deterministic", 1, ttc)
    reference = errors(plain, task)
    unguided = ttc.model_copy(update={"guidance": Guidance(modes=0)})
    ways: dict[str, tuple[Variant, int, TestTimeConditioning]] = {
        "guidance and search": ("ttc", 1, ttc),
        "guidance alone": ("ttc", 1, ttc.model_copy(update={"budget": 0})),
        "search alone": ("ttc", 1, unguided),
        "search alone, threshold 0": ("ttc", 1, unguided.model_copy(update={"threshold": 0.0})),
    }
    console.print(
        f"\n| {count} trajectories | nRMSE | lower by (paired) | worst trajectory, relative to without | calls |"
    )
    console.print(f"|---|---|---|---|---|\n| without | {sure(reference)} | | | {price} |")
    one_member = price + task.truth.shape[1] * (of.emulator.sampler.calls if of.emulator.sampler else 0)
    most = 2 * one_member
    for name, (variant, members, settings) in ways.items():
        fields, calls = run(of.emulator, task, variant, members, settings)
        most = max(most, calls)
        _compare(name, errors(fields, task), reference, calls)
    members = max(2, round(most / one_member))
    fields, calls = run(of.emulator, task, "ensemble", members, ttc)
    _compare(f"mean of {members} members", errors(fields, task), reference, calls)


def _compare(name: str, found: np.ndarray, reference: np.ndarray, calls: int) -> None:
    gain = paired_gain(found, reference)
    console.print(
        f"| {name} | {sure(found)} | {gain.value:.1%} ({gain.low:.1%} to {gain.high:.1%}) | "
        f"{(found / reference).max():.3f} | {calls} |"
    )


def outside(of: Experiment, count: int) -> None:
    """Show spread and error for parameters and amplitudes that training did not hold."""
    evaluation = of.load("params:evaluation")
    wanted = evaluation.outside.model_copy(update={"trajectories": count})
    settings = evaluation.model_copy(update={"outside": wanted})
    table = evaluate_out_of_distribution(of.emulator, of.load("test_trajectories"), settings, of.ttc, of.stride, SEED)
    console.print("\n| parameter | amplitude | nRMSE | error of the mean | spread | spread/skill | coverage of 90 % |")
    console.print("|---|---|---|---|---|---|---|")
    for row in table.itertuples():
        console.print(
            f"| {row.parameter:g} | {row.amplitude:g} | {row.nrmse:.3g} | {row.error:.3g} | {row.spread:.3g} | "
            f"{row.spread_skill:.2f} | {row.coverage_90:.2f} |"
        )


def opened(params: str) -> Iterator[Experiment]:
    """Yield the experiment while its catalog is open."""
    project = Path(__file__).parents[1]
    bootstrap_project(project)
    with KedroSession.create(project, runtime_params=parse_params(params)) as session:
        load = session.load_context().catalog.load
        diffusion, distill = load("params:diffusion_residual"), load("params:consistency_distillation")
        compute, stride = load("params:compute"), load("params:data.time_stride")
        parts = [load(name) for name in ("autoencoder", "operator", "consistency_distill")]
        emulator = assemble(*parts, diffusion, distill, compute, load("ensemble_calibration"))
        schedule = NoiseSchedule(diffusion.sigma_min, diffusion.sigma_max)
        teacher = TeacherSampler(load("diffusion_residual").network, schedule, diffusion.sampler_steps)
        yield Experiment(emulator, teacher, stride, load("params:ttc"), load)


TABLES = {"residuals": residuals, "student": student, "conditioning": conditioning, "outside": outside}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="as after --params=")
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--trajectories", type=int, default=40)
    arguments = parser.parse_args()
    for experiment in opened(arguments.experiment):
        for name in arguments.only:
            TABLES[name](experiment, arguments.trajectories)


if __name__ == "__main__":
    main()
