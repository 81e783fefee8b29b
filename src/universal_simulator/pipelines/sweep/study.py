"""A sweep: its memory, and one trial of it.

A sweep's memory: which values were tried, how they did, which come next. It lies in a file and outlives any run.

One trial: train the operator on the experiment's latents, and roll it out on validation trajectories.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from universal_simulator.compute.device import choose, derive
from universal_simulator.configuration import Operator, Parameters, at_path, with_values
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.evaluation.nodes import bare, rollout_error
from universal_simulator.pipelines.operator.nodes import plan_operator
from universal_simulator.pipelines.training_stage import select_best, train_stage

log = logging.getLogger(__name__)

STARTUP_TRIALS = 4
"""Trials before anything is pruned: the median of fewer says little."""


def open_study(p: Parameters, storage: optuna.storages.BaseStorage, sources: str) -> optuna.Study:
    """Open the study of these parameters on these latents, or begin it with the experiment's own values."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    content = [p.operator.model_dump(mode="json"), p.sweep.identity(), p.seed, sources]
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS),
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # their process is gone
        study.tell(trial.number, state=TrialState.FAIL)
    # Fresh at every opening, so that a sweep that goes on does not repeat what its beginning drew.
    study.sampler = optuna.samplers.TPESampler(
        seed=derive(p.seed, "sweep", len(study.trials)) % 2**32, multivariate=True
    )
    if not study.trials:
        study.enqueue_trial({path: at_path(p, path) for path in p.sweep.searched})
    else:
        log.info("sweep: going on after %d trials", len(study.trials))
    return study


def suggest(p: Parameters, trial: optuna.Trial) -> dict[str, Any]:
    """Draw a value for every searched parameter."""
    values: dict[str, Any] = {}
    for path, search in p.sweep.searched.items():
        if search.choices is not None:
            values[path] = trial.suggest_categorical(path, list(search.choices))
            continue
        assert search.low is not None
        assert search.high is not None
        if isinstance(at_path(p, path), int):
            values[path] = trial.suggest_int(path, int(search.low), int(search.high), log=search.log)
        else:
            values[path] = trial.suggest_float(path, search.low, search.high, log=search.log)
    return values


def budget_left(p: Parameters, study: optuna.Study) -> bool:
    """Tell whether another trial may begin: none of the three limits is reached, over all runs of the study."""
    hours = sum(seconds(trial) for trial in study.trials) / 3600
    dollars = hours * p.compute.hourly_rate_usd
    limits = ((len(finished(study)), p.sweep.trials), (hours, p.sweep.hours), (dollars, p.sweep.usd))
    return all(limit is None or used < limit for used, limit in limits)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that were tried to an end; queued or killed ones do not count."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [trial for trial in study.trials if trial.state in ended or trial.user_attrs.get("diverged")]


def seconds(trial: FrozenTrial) -> float:
    """Return how long a trial took."""
    return trial.duration.total_seconds() if trial.duration else 0.0


def table(study: optuna.Study) -> pd.DataFrame:
    """Return one row per trial: how it ended, its best error on validation trajectories, time, and its values."""
    rows = [
        {
            "trial": trial.number,
            "state": "diverged" if trial.user_attrs.get("diverged") else trial.state.name.lower(),
            "error": trial.value if trial.state is TrialState.COMPLETE else last(trial),
            "epochs": len(trial.intermediate_values),
            "seconds": round(seconds(trial), 3),
            **trial.params,
        }
        for trial in study.trials
        if trial.state.is_finished()
    ]
    return pd.DataFrame(rows, columns=None if rows else ["trial", "state", "error", "epochs", "seconds"])


def last(trial: FrozenTrial) -> float:
    """Return the error of the last epoch; not a number where there was none."""
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else float("nan")


def run_trial(
    parameters: Parameters,
    values: Mapping[str, Any],
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Any],
    trajectories: Trajectories,
) -> Iterator[float]:
    """Train with ``values`` in the place of the experiment's; yield the rollout's error after every epoch."""
    p = with_values(parameters, values)
    section, compute = shortened(p.operator, parameters.sweep.epochs), p.compute
    plan = plan_operator(train, validation, autoencoder, section, p.diffusion_residual.holdout, compute)
    for state, epochs in train_stage(plan, p.seed, compute, {}):
        if len(epochs):  # states within an epoch are for going on after a kill
            emulator = bare(autoencoder, select_best(plan, state))
            yield rollout_error(emulator, trajectories, p.data.time_stride, choose(compute.device))


def shortened(operator: Operator, epochs: int) -> Operator:
    """Return the section with that many epochs; the schedule of its learning rate shrinks with them."""
    return operator.model_copy(update={"training": operator.training.model_copy(update={"epochs": epochs})})
