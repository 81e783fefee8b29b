"""Refine an experiment's parameters: suggest, try, prune what lags behind, and keep everything for the next time.

The study lies in a sqlite file, so the same command goes on where it was stopped. The objective is an error on
validation trajectories; the test split is no input of this pipeline.
"""

import logging
from collections.abc import Iterator
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState

from universal_simulator.configuration import Parameters
from universal_simulator.fields.latents import Latents
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Trained
from universal_simulator.pipelines.sweep.study import budget_left, open_study, run_trial, suggest, table
from universal_simulator.reporting import sweep_page
from universal_simulator.training.loop import DivergenceError

log = logging.getLogger(__name__)


def search(
    parameters: dict[str, Any],
    train: Latents,
    validation: Latents,
    autoencoder: Trained[Any],
    trajectories: Trajectories,
    storage: optuna.storages.BaseStorage,
) -> Iterator[pd.DataFrame]:
    """Try until the budget is used up; yield the table of all trials, at first and after each."""
    p = Parameters.model_validate(parameters)
    part = trajectories.interleave_by_parameter(p.sweep.trajectories)
    study = open_study(p, storage, f"{train.fingerprint}-{autoencoder.fingerprint}")
    yield table(study)
    while budget_left(p, study):
        trial = study.ask()
        values = suggest(p, trial)
        try:
            _follow(study, trial, run_trial(p, values, train, validation, autoencoder, part))
        except DivergenceError:
            trial.set_user_attr("diverged", True)
            study.tell(trial, state=TrialState.FAIL)
        rows = table(study)
        told = rows.iloc[-1]
        log.info("sweep: trial %d %s, error %.5f: %s", told["trial"], told["state"], told["error"], values)
        yield rows


def _follow(study: optuna.Study, trial: optuna.Trial, errors: Iterator[float]) -> None:
    """Tell the study of every epoch, and stop a trial that is worse than the median of the others then."""
    found = []
    for epoch, error in enumerate(errors, 1):
        found.append(error)
        trial.report(error, epoch)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, found[-1])


def draw_sweep(parameters: dict[str, Any], trials: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return what mattered, and the page; the best trial is told in the log."""
    p = Parameters.model_validate(parameters)
    mattered = sweep_page.importance(trials, list(p.sweep.searched))
    for sentence in sweep_page.sentences(p, trials):
        log.info("%s", sentence)
    return mattered, sweep_page.render(p, trials, mattered)
