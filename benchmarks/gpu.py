"""An experiment on a GPU, and where neither Kedro nor MLflow is installed: ``python -m benchmarks.gpu``.

Runs the tests marked ``gpu``, times a training step of the operator (plain, compiled, in bfloat16, as one CUDA graph),
takes the experiment's whole chain from solving to scores in the fastest of these ways that keeps float32, and times
forecasts. ``--out`` receives ``gpu.json`` (device, date, command, steps a second, seconds of each stage, scores,
forecasts) and the model's bundle. ``--params`` makes it smaller. It needs what the library itself imports: torch,
NumPy, SciPy, pandas, h5py, pydantic, jaxtyping, safetensors, PyYAML, rich, psutil, tenacity.
"""

import argparse
import json
import logging
import subprocess
import sys
import time
from copy import deepcopy
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from universal_simulator.acquisition.solve import provide
from universal_simulator.acquisition.sources import order
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.compute.device import choose, threads, use_threads
from universal_simulator.configuration import Compute, Parameters
from universal_simulator.configuration.tree import Tree, nest, overlay
from universal_simulator.emulation.emulator import assemble
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.statistics import measure
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.autoencoder.nodes import plan_autoencoder
from universal_simulator.pipelines.calibration.nodes import calibrate_ensemble
from universal_simulator.pipelines.consistency_distillation.nodes import plan_consistency_distillation
from universal_simulator.pipelines.diffusion_residual.nodes import plan_diffusion_residual
from universal_simulator.pipelines.evaluation.nodes import evaluate, make_bundle, write_card
from universal_simulator.pipelines.latents.nodes import precompute_latents
from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import Plan, equipped, select_best, train_stage
from universal_simulator.serving import Emulator
from universal_simulator.serving.bundle import Bundle
from universal_simulator.support.files import read_mapping
from universal_simulator.training.budget import steps_per_second

PROJECT = Path(__file__).parents[1]
WAYS = {
    f"{'graph' if graph else 'plain'}{', compiled' if compiled else ''}{', bfloat16' if low else ''}": (
        "bfloat16" if low else "float32",
        compiled,
        graph,
    )
    for graph in (False, True)
    for compiled in (False, True)
    for low in (False, True)
}
"""Precision of products, whether networks are compiled, and whether a step is one CUDA graph."""
USUAL = ["plain", "graph", "graph, compiled", "graph, compiled, bfloat16"]
console = Console(width=120, highlight=False)


def parameters_of(names: list[str], overrides: Tree) -> Parameters:
    """Return named experiments and overrides laid over the defaults, as ``kedro run --params`` does."""
    base = PROJECT / "conf/base"

    def read(path: Path) -> Tree:
        return nest(read_mapping(path.read_bytes(), str(path)))

    def experiment(name: str) -> Tree:
        tree = read(base / f"experiments/{name}.yml")
        parent = tree.pop("extends", None)
        return overlay(experiment(parent), tree) if parent else tree

    named = nest({"experiment.name": "-".join(names)})
    layers = [read(base / "parameters.yml"), *map(experiment, names), named, nest(overrides)]
    return Parameters.model_validate(reduce(overlay, layers))


class Chain:
    """The stages of an experiment, one after the other, and how long each took."""

    def __init__(self, parameters: Parameters, folder: Path) -> None:
        self.p, self.raw = parameters, folder / "raw"
        self.seconds: dict[str, float] = {}
        self.losses: dict[str, float] = {}

    def timed(self, name: str, work: Any) -> Any:
        """Return what a stage returns."""
        begun = time.perf_counter()
        done = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds[name] = round(time.perf_counter() - begun, 2)
        console.print(f"{name}: {self.seconds[name]:.1f} s")
        return done

    def splits(self) -> tuple[Trajectories, Trajectories, Trajectories]:
        """Solve what is missing, and return training, validation and test trajectories."""
        store, data = RawStore(self.raw, self.p.problem), self.p.data
        for one in store.files(data):
            one.path.parent.mkdir(parents=True, exist_ok=True)
            assert data.source.kind == "solve"
            provide(one.path, order(store, one, data.source), data.needed)
        chosen = split(store, data, set())
        return chosen["train"].open(), chosen["validation"].open(), chosen["test"].open()

    def trained(self, name: str, plan: Plan) -> Trained[Any]:
        """Train a stage to its end."""

        def work() -> Trained[Any]:
            state: Any = None
            for state, _ in train_stage(plan, self.p.seed, self.p.compute, {}):  # noqa: B007 - the last one counts
                pass
            return select_best(plan, state)

        found: Trained[Any] = self.timed(name, work)
        self.losses[name] = float(found.provenance["validation_loss"])
        return found

    def latents(self, part: Trajectories, codec: Trained[Any]) -> Latents:
        """Return a split in latent space, in memory."""
        parts = [chunk.part for chunk in precompute_latents(part, codec, self.p.compute)]
        values, mean, told = (
            np.concatenate([np.asarray(getattr(one, name)) for one in parts])
            for name in ("values", "mean", "parameters")
        )
        first = parts[0]
        return Latents(values, mean, told, first.times, first.facts, first.grid, first.fingerprint)

    def prepare(self) -> Plan:
        """Do all that comes before the operator, and return the plan that it is trained by."""
        p, compute = self.p, self.p.compute
        self.data = train, validation, _ = self.timed("data", self.splits)
        statistics = measure(train, p.data.time_stride).model_dump(mode="json")
        self.codec = codec = self.trained(
            "autoencoder", plan_autoencoder(train, validation, statistics, p.autoencoder, p.latent, compute)
        )
        self.known = self.timed("latents", lambda: [self.latents(one, codec) for one in (train, validation)])
        return plan_operator(*self.known, codec, p.operator, p.diffusion_residual.holdout, compute)

    def run(self, plan: Plan, way: str) -> Bundle:
        """Train all that is left, steps taken in this way, and return the scored model."""
        self.p = p = self.p.model_copy(update={"compute": taken(self.p.compute, way)})
        compute, known = p.compute, self.known
        operator = self.trained("operator", plan)
        teacher = self.trained(
            "diffusion_residual", plan_diffusion_residual(*known, operator, p.diffusion_residual, compute)
        )
        student = self.trained(
            "consistency_distillation",
            plan_consistency_distillation(
                *known, operator, teacher, p.consistency_distillation, p.diffusion_residual, compute
            ),
        )
        return self.scored(self.data, (self.codec, operator, student))

    def scored(self, data: tuple[Trajectories, ...], parts: tuple[Trained[Any], ...]) -> Bundle:
        """Calibrate, evaluate on the test split, and put all together."""
        p, (train, validation, test) = self.p, data
        settings = (*parts, p.diffusion_residual, p.consistency_distillation, p.compute)
        protocol = (p.evaluation, p.ttc, p.data.time_stride, p.seed)
        fit = self.timed(
            "calibration", lambda: calibrate_ensemble(assemble(*settings), validation, p.calibration, *protocol)
        )
        emulator = assemble(*settings, fit)
        scores, *_ = self.timed("evaluation", lambda: evaluate(emulator, train, test, *protocol))
        told = {"device": device_name(), "command": " ".join(sys.argv), "torch": torch.__version__}
        card = write_card(p.model_dump(mode="json"), scores, fit, test, dict(self.seconds), told)
        return make_bundle(card, *parts)


def taken(compute: Compute, way: str) -> Compute:
    """Return the settings with steps taken in this way."""
    precision, compiled, graphs = WAYS[way]
    return compute.model_copy(update={"precision": precision, "compile": compiled, "graphs": graphs})


def device_name() -> str:
    """Return the GPU's name, or that there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def steps(plan: Plan, parameters: Parameters, ways: list[str], seconds: float) -> dict[str, float]:
    """Return training steps per second of the operator, each way taken for so many seconds; 0 where one fails."""
    device, found = choose(parameters.compute.device), {}
    # an epoch of ten steps is validated by one batch: validation is plain, whatever the steps are
    settings = plan.settings.model_copy(update={"validation_windows": plan.settings.batch_size})
    for name in ways:
        network = plan.recipe.build().to(device).train()
        average = deepcopy(network).requires_grad_(False)
        try:
            stage = equipped(plan, network, average, taken(parameters.compute, name))
            found[name] = round(steps_per_second(stage, settings, seconds), 2)
            console.print(f"operator, {name}: {found[name]:.1f} steps per second")
        except Exception as error:  # compilers fail in many ways, and the other ways are worth knowing
            found[name] = 0.0
            console.print(f"operator, {name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
    return found


def forecasts(folder: Path, parameters: Parameters, test: Trajectories, batches: list[int]) -> dict[str, float]:
    """Return seconds for one forecast of the whole horizon, by fields at once; the first one warms up."""
    emulator, found = Emulator.load(str(folder), parameters.compute.device), {}
    u0 = test.read(slice(0, 1))[:, 0].numpy()
    told = dict(zip((one.name for one in test.facts.parameters), test.parameters[0].tolist(), strict=True))
    for fields in batches:
        many = np.repeat(u0, fields, 0)
        if len(test.facts.channels) == 1:
            many = many[:, 0]
        for _ in range(2):
            begun = time.perf_counter()
            emulator.rollout(many, parameters=told, times=[float(test.times[-1])])
            found[f"{fields} fields"] = round(time.perf_counter() - begun, 4)
        console.print(f"forecast of {fields} fields: {found[f'{fields} fields']:.3f} s")
    return found


def marked_tests() -> str:
    """Run the tests that need a GPU, and return the line that pytest ends with."""
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/compute", "-o", "addopts="]
    done = subprocess.run([*words, "--import-mode=importlib"], cwd=PROJECT, capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]


def main() -> None:
    """Do it all, and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", nargs="+", default=["sota_v1"])
    parser.add_argument("--params", type=json.loads, default={}, help='overrides, as {"operator.training.epochs": 3}')
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fields", nargs="*", type=int, default=[1, 64, 1024], help="that are forecast at once")
    parser.add_argument("--ways", nargs="+", default=USUAL, choices=WAYS, help="of taking a step, to be timed")
    parser.add_argument("--seconds", type=float, default=3.0, help="for which each of them is timed")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parameters = parameters_of(arguments.experiment, arguments.params)
    use_threads(threads(parameters.compute.threads))
    known: dict[str, Any] = {"device": device_name(), "date": datetime.now(UTC).isoformat(timespec="minutes")}
    known |= {"command": " ".join(sys.argv), "torch": torch.__version__, "tests": marked_tests()}
    console.print(known)
    chain, folder = Chain(parameters, arguments.out / "work"), arguments.out / "model"
    plan = chain.prepare()
    known |= {"steps": steps(plan, parameters, arguments.ways, arguments.seconds)}
    keep(arguments.out, known)
    whole = {name: rate for name, rate in known["steps"].items() if WAYS[name][0] == "float32"}
    known |= {"trained": max(whole, key=lambda name: whole[name], default="plain")}
    bundle = chain.run(plan, known["trained"])
    bundle.write(folder)
    known |= {"seconds": chain.seconds, "validation": chain.losses, "scores": bundle.card.scores}
    keep(arguments.out, known)
    keep(arguments.out, known | {"forecasts": forecasts(folder, parameters, chain.data[2], arguments.fields)})


def keep(folder: Path, known: dict[str, Any]) -> None:
    """Write what is known so far: time may run out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(known, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
