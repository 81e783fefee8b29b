"""Twin experiments: true fields of a problem are solved, observed by sensors with noise, and sought again.

    python -m benchmarks.twin state --fields 4                 # 4D-Var through a model and through the solver
    python -m benchmarks.twin files --folder twin              # truth and observations as files, for kedro run
    python -m benchmarks.twin parameter --calibration 200      # posterior of the parameter, with calibration

Truths are the problem's family of another seed than the training data's, solved to its stated accuracy in double
precision. Prints CPU seconds of this process; threads as OMP_NUM_THREADS says.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from universal_simulator.configuration import Infer, Variational
from universal_simulator.inverse.observations import Observations
from universal_simulator.inverse.sensing import Sensing
from universal_simulator.problems import find
from universal_simulator.serving import Emulator

SEED = 99


def twin(model: Emulator, index: int, options: argparse.Namespace) -> tuple[Tensor, Observations]:
    """Return a true initial field ``(channel, x)`` and what sensors say of what becomes of it."""
    problem, grid = find(model.card.facts.name), model.card.grid
    family = problem.family(None)
    count = round(options.until / options.step)
    times = np.arange(count + 1) * options.step
    start = family.batch(grid, SEED, [index])
    told = [options.value if options.value is not None else one for one in model.card.sets[0]]
    solved = problem.solver.solve(told, lambda fine: family.batch(fine, SEED, [index]), times, grid, torch.float64)
    generator = torch.Generator().manual_seed(index)
    where = (torch.arange(options.sensors) + 0.8 * torch.rand(options.sensors, generator=generator)) / options.sensors
    seen = torch.arange(options.every, count + 1, options.every)
    blank = Observations.sensors(where, seen * options.step, torch.zeros(len(seen), options.sensors), 1.0)
    clean = Sensing.of(blank, problem.facts, grid, options.step)(solved.values[:, seen])[0]
    sd = options.noise * float(solved.values.square().mean().sqrt())
    noisy = clean + sd * torch.randn(len(clean), generator=generator, dtype=torch.float64)
    return start[0], Observations.sensors(where, seen * options.step, noisy.view(len(seen), -1), sd)


def state(model: Emulator, options: argparse.Namespace) -> Iterator[str]:
    """Yield one line for each field: errors of the initial field, coverage, seconds."""
    settings, errors = Variational(members=options.members), []
    yield "field: error by model, model taken to be perfect, solver; coverage by model, solver; cost"
    for index in range(500, 500 + options.fields):
        truth, observations = twin(model, index, options)
        known = dict(zip((one.name for one in model.card.facts.parameters), model.card.sets[0], strict=True))
        found = model.assimilate(observations, known, None, settings, True, options.seed)
        each = [one for one in (found.analysis, found.perfect, found.solver) if one is not None]
        wrong = [float((one.field - truth).norm() / truth.norm()) for one in each]
        errors.append(wrong)
        both = (found.analysis, each[-1]) if options.members > 1 else ()
        cover = [float(((one.field - truth).abs() < 1.645 * one.sd).double().mean()) for one in both] or [np.nan] * 2
        equal = found.equal.name if found.equal else "none"
        yield (
            f"{index}: {' '.join(f'{one:.4f}' for one in wrong)}; {cover[0]:.2f} {cover[1]:.2f}; {found.cost.told} "
            f"({equal}); model error {found.model_error:.2g} of the noise"
        )
    yield "mean " + " ".join(f"{value:8.4f}" for value in np.mean(errors, 0))


def parameter(model: Emulator, options: argparse.Namespace) -> Iterator[str]:
    """Yield one line for each field: the posterior of the only parameter by model and solver."""
    (name,) = (one.name for one in model.card.facts.parameters)
    settings = Infer(sought={name: tuple(options.bounds)}, calibration=options.calibration)
    for index in range(500, 500 + options.fields):
        truth, observations = twin(model, index, options)
        found = model.infer(observations, settings, truth[None].numpy(), seed=options.seed)
        each = {"model": found.posterior, "perfect": found.perfect, "solver": found.exact}
        told = "; ".join(f"{key} {one.mean:.6g} ± {one.sd:.2g}" for key, one in each.items() if one)
        own = found.calibration
        calibrated = f"; ks {own.ks:.3f}, p {own.p_value:.2g}, coverage {own.coverage:.2f}" if own else ""
        yield f"{index}: {told}{calibrated}; model error {found.model_error:.2g} of the noise; {found.cost.told}"


def files(model: Emulator, options: argparse.Namespace) -> Iterator[str]:
    """Write the truth and the observations of one field."""
    truth, observations = twin(model, 500, options)
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "truth.npy", truth.numpy())
    rows = zip(observations.times, observations.where[:, 0], observations.values, observations.sd, strict=True)
    lines = [f"{t:.6g},{x:.9g},u,{value:.9g},{sd:.6g}" for t, x, value, sd in rows]
    (folder / "observations.csv").write_text("\n".join(["time,x,channel,value,sd", *lines]) + "\n")
    yield f"{folder}/truth.npy, {folder}/observations.csv"


def main() -> None:
    """Run one of the experiments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("state", "parameter", "files"))
    parser.add_argument("--model", default="shipped:sota_v1")
    parser.add_argument("--fields", type=int, default=1)
    parser.add_argument("--sensors", type=int, default=24)
    parser.add_argument("--step", type=float, default=0.05, help="between two times; a multiple of the model's")
    parser.add_argument("--every", type=int, default=2, help="such steps between observations")
    parser.add_argument("--until", type=float, default=0.5)
    parser.add_argument("--noise", type=float, default=0.02, help="of the solution's root mean square")
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--value", type=float, default=None, help="of the parameter, where truths have another")
    parser.add_argument("--bounds", type=float, nargs=2, default=(0.005, 0.02))
    parser.add_argument("--calibration", type=int, default=0)
    parser.add_argument("--folder", default="twin")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = Emulator.load(options.model, "cpu")
    work = {"state": state, "parameter": parameter, "files": files}[options.what]
    for line in work(model, options):
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
