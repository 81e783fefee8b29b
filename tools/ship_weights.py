"""Ship the weights of a finished experiment with the project: ``weights/<experiment>/``.

kedro run --pipeline=full --params=golden
python tools/ship_weights.py golden            # several names, or a change: sota_v1,seed=3

It reads the experiment's artefacts as the catalog names them (``UNIVERSAL_SIMULATOR_DATA``) and writes the bundle that
``--params=sota_v1,weights=shipped`` and ``Emulator.load("shipped:sota_v1")`` open, with a README of how it was made.
"""

import argparse
from pathlib import Path

from click import ClickException
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline

from universal_simulator.cli import one_line_errors, parse_params
from universal_simulator.pipelines.evaluation.pipeline import BUNDLE
from universal_simulator.serving.bundle import Bundle
from universal_simulator.shell.hooks.preparation import refuse_missing
from universal_simulator.support.errors import InputError

PROJECT = Path(__file__).parents[1]
LARGEST_MB = 8.0
SHOWN = {
    "nRMSE, rollout": "rollout/deterministic/nrmse",
    "nRMSE, rollout, guided by the equation": "rollout/ttc/nrmse",
    "nRMSE of no change": "rollout/persistence/nrmse",
    "nRMSE of the training mean": "rollout/mean/nrmse",
    "nRMSE, `pdebench` protocol": "pdebench/deterministic/nrmse",
    "nRMSE, rollout, mode `fast`": "rollout/fast/nrmse",
    "time for which chaos is followed": "chaos/correlation_time/deterministic",
    "conservation gap": "rollout/deterministic/conservation_gap",
    "boundary violation": "rollout/deterministic/boundary_violation",
    "calibration error of the ensemble": "rollout/ensemble/ece",
    "coverage of 90 % intervals": "rollout/ensemble/coverage_90",
}


def gather(params: str) -> Bundle:
    """Make the bundle as the last node of ``evaluation`` does, from what lies in the experiment's folders."""
    with KedroSession.create(PROJECT, runtime_params=parse_params(params)) as session:
        catalog = session.load_context().catalog
        refuse_missing(sorted(Pipeline(BUNDLE).inputs()), catalog)
        at_hand = {name: catalog.load(name) for name in Pipeline(BUNDLE).inputs()}
        for step in BUNDLE:
            at_hand |= step.run({name: at_hand[name] for name in step.inputs})
        return at_hand["bundle"]


def readme(bundle: Bundle, params: str) -> str:
    """Say what this is, how good it is, and how it was made."""
    card = bundle.card
    facts = card.provenance | {"trained and scored in": f"{card.timings.get('total_seconds', 0) / 60:.0f} minutes"}
    shown = SHOWN | {
        f"nRMSE, rollout, {one.name}": f"rollout/deterministic/nrmse_at_{one.name}" for one in card.members
    }
    scores = [f"| {name} | {card.scores[key]:.4g} |" for name, key in shown.items() if key in card.scores]
    count = sum(value.numel() for part in bundle.parts.values() for value in part.network.state_dict().values())
    purpose = card.parameters["experiment"]["purpose"]
    purpose = purpose[:1].upper() + purpose[1:]
    lines = [
        f"# {card.experiment}",
        "",
        f"{purpose}{'' if purpose.endswith('?') else '.'} {count:,} numbers, made by",
        f"`kedro run --pipeline{'s=full,fast' if 'fast' in bundle.parts else '=full'} --params={params}` and "
        f"`python tools/ship_weights.py {params}`.",
        "",
        f"| score on {card.parameters['data']['test']} unseen trajectories | value |",
        "|---|---|",
        *scores,
        "",
        "| origin | |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in facts.items()),
        "",
        "`bundle.json` holds all scores and the whole configuration. The same scores again, on your machine:",
        f"`kedro run --pipeline=evaluation --params={card.experiment},weights=shipped`.",
    ]
    return "\n".join(lines) + "\n"


def ship(params: str, place: Path) -> None:
    """Write the folder of one experiment."""
    bundle = gather(params)
    folder = place / bundle.card.experiment
    bundle.write(folder)
    (folder / "README.md").write_text(readme(bundle, params), encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    if size > LARGEST_MB:
        raise InputError(f"{folder} = {size:.1f} MB: must be at most {LARGEST_MB:g} MB; ship a smaller network")
    print(f"{folder}: {size:.1f} MB")  # noqa: T201 - a command's answer


def main() -> None:
    """Write one folder for each experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+", metavar="params")
    parser.add_argument("--to", type=Path, default=PROJECT / "weights")
    given = parser.parse_args()
    bootstrap_project(PROJECT)
    try:
        with one_line_errors():
            for params in given.experiments:
                ship(params, given.to)
    except ClickException as mistake:
        mistake.show()
        raise SystemExit(mistake.exit_code) from None


if __name__ == "__main__":
    main()
