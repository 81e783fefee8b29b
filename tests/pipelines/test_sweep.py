"""A sweep: what may be searched, that it goes on, prunes and keeps to its budget, and what its page says."""

import math

import optuna
import pandas as pd
import pytest

from universal_simulator.cli import parse_params
from universal_simulator.configuration import Parameters, at_path, with_values
from universal_simulator.pipelines.sweep import nodes
from universal_simulator.pipelines.sweep.pipeline import create_pipeline
from universal_simulator.pipelines.sweep.study import open_study
from universal_simulator.reporting import sweep_page
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.support.errors import InputError
from universal_simulator.training.loop import DivergenceError

RATE, EXPONENT = "operator.training.learning_rate", "operator.start_exponent"


def load(**sweep) -> dict:
    runtime = {"experiment": "sota_v1", **{f"sweep.{name}": value for name, value in sweep.items()}}
    return ExperimentLoader("conf", "base", runtime, base_env="base", default_run_env="local")["parameters"]


@pytest.mark.parametrize(
    ("space", "line"),
    [
        ({"operator.training.learning_rat": {"low": 1e-3, "high": 1e-2}}, "must be the path of a single value"),
        ({"operator.training": {"low": 1e-3, "high": 1e-2}}, "must be the path of a single value"),
        ({"latent.tokens": {"low": 8, "high": 16}}, "sweep.space = latent.tokens: must begin with operator."),
        ({EXPONENT: {"low": 1e-2, "high": 1e-3}}, "sweep.space.operator.start_exponent: low = 0.01 and high = 0.001 must be low < high"),
        ({RATE: {"low": 0.0, "high": 1e-3, "log": True}}, "must be 0 < low < high, as log is true"),
        ({EXPONENT: {"low": 0.5}}, "start_exponent = 0.5: Input should be greater than or equal to 1"),
        ({RATE: {"choices": [1e-3, 2e-3]}}, "must be low and high, or choices; set the others to null"),
        ({"operator.network.heads": {"choices": [5, 7]}}, "heads = 7 must divide hidden_width = 80"),
        ({"operator.training.patience": {"choices": ["long", 3]}}, "patience = long: Input should be a valid integer"),
    ],
)  # fmt: skip
def test_a_space_that_no_run_could_have_is_refused_before_the_first_trial(space, line):
    with pytest.raises(InputError) as refusal:
        Parameters.model_validate(load(space=space)).refuse_impossible_space()
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_sweep_without_any_limit_is_refused():
    with pytest.raises(InputError, match="one of them must be set"):
        load(trials=None)


def test_the_test_split_is_no_input():
    assert not [name for name in create_pipeline().all_inputs() if name.startswith("test_")]


class Made:
    """What the search asks of latents and networks, when no trial really trains."""

    fingerprint = "f" * 16

    def interleave_by_parameter(self, _):
        return self


@pytest.fixture
def tried(monkeypatch):
    """Let a trial's error be a valley in the learning rate, and return the values that were tried."""
    seen = []

    def run_trial(p, values, *_):
        seen.append(dict(values))
        if values[RATE] > 0.008:
            raise DivergenceError("not finite")
        error = 0.01 + math.log(values[RATE] / 2e-3) ** 2
        yield from (error + 1 / epoch for epoch in range(1, p.sweep.epochs + 1))

    monkeypatch.setattr(nodes, "run_trial", run_trial)
    return seen


def search(storage, **sweep) -> pd.DataFrame:
    space = {RATE: {"low": 5e-4, "high": 1e-2, "log": True}, EXPONENT: {"low": 1.0, "high": 4.0}}
    tree = load(**sweep)
    tree["sweep"]["space"] = space
    made = Made()
    *_, rows = nodes.search(tree, made, made, made, made, storage)
    return rows


@pytest.mark.usefixtures("unchecked")  # stand-ins of another type
def test_a_sweep_begins_with_the_experiments_own_values_goes_on_and_finds_the_valley(tried):
    storage = optuna.storages.InMemoryStorage()
    first = search(storage, trials=6)
    assert tried[0] == {RATE: 3e-3, EXPONENT: 3.0}
    assert len(first) == len(tried) == 6
    again = search(storage, trials=30)
    assert len(again) == len(tried) == 30
    pd.testing.assert_frame_equal(again.iloc[:6], first, check_dtype=False)
    assert len({values[RATE] for values in tried}) > 25  # going on draws something new
    best = sweep_page.complete(again).iloc[0]
    assert best[RATE] == pytest.approx(2e-3, rel=0.25)
    assert {"complete", "pruned"} <= set(again["state"])
    assert (again.loc[again["state"] == "diverged", RATE] > 0.008).all()


@pytest.mark.usefixtures("unchecked")
def test_a_budget_in_money_ends_a_sweep_and_killed_trials_are_given_up(tried):
    storage = optuna.storages.InMemoryStorage()
    assert len(search(storage, trials=50, usd=1e-9)) == 1
    p = Parameters.model_validate(load())
    study = open_study(p, storage, "x")
    study.ask()
    assert [trial.state.name for trial in open_study(p, storage, "x").trials] == ["FAIL"]


def test_the_command_repeats_a_trial_to_the_last_digit():
    p = Parameters.model_validate(load())
    trial = {path: at_path(p, path) for path in p.sweep.searched} | {RATE: 0.0012345678901234567}
    words = parse_params(sweep_page.command(p, trial).partition("--params=")[2])
    assert words.pop("experiment") == ["sota_v1"]
    assert with_values(p, words) == with_values(p, trial)


def test_the_page_names_the_parameter_that_mattered():
    rates = [1e-3 * 1.2**i for i in range(12)]
    rows = [{"trial": i, "state": "complete", "error": 0.01 + rate, "epochs": 3, "seconds": 60.0,
             RATE: rate, EXPONENT: [1.0, 3.0][i % 2]} for i, rate in enumerate(rates)]  # fmt: skip
    trials = pd.DataFrame(rows)
    found = sweep_page.importance(trials, [RATE, EXPONENT])
    assert found["parameter"].tolist() == [RATE, EXPONENT]
    assert found["strength"][0] == pytest.approx(1)
    assert not len(sweep_page.importance(trials.head(5), [RATE]))
    p = Parameters.model_validate(load() | {"sweep": load()["sweep"] | {"space": {RATE: {"low": 5e-4, "high": 1e-2}}}})
    page = sweep_page.render(p, trials, found)
    assert "nothing better was found" in page
    assert page.count("<img") == 2
    assert "http" not in page.replace("http://www.w3.org", "")
