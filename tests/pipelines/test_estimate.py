"""An estimate scales a few measured steps up to what is planned, and leaves no trace."""

import signal
import time
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from torch import nn

from universal_simulator.configuration import Parameters
from universal_simulator.pipelines import estimate
from universal_simulator.pipelines.training_stage import _facts
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.shell.hooks.estimating import _share
from universal_simulator.support.progress import deferred

STAGES = {
    "data_engineering", "autoencoder", "latents", "operator", "diffusion_residual", "consistency_distillation",
    "calibration", "evaluation", "reporting",
}  # fmt: skip


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    loader = ExperimentLoader("conf", "base", {"experiment": "dry_run"}, base_env="base", default_run_env="local")
    return Parameters.model_validate(loader["parameters"])


def planned(section):
    """What is trained of a section, as far as an estimate asks for it: some weights."""
    return SimpleNamespace(section=section, recipe=SimpleNamespace(build=lambda: nn.Linear(1, 1)))


def test_short_epochs_are_scaled_to_all_planned_steps_and_validations(parameters, monkeypatch):
    def run(plan, *_):
        section = plan.section
        assert section.training.windows_per_epoch == estimate.STEPS * section.training.batch_size
        for seconds in (99.0, 0.4, 0.4, 0.4)[: section.training.epochs]:  # the first one warms up
            yield {}, pd.DataFrame([{"seconds": seconds}])

    training = parameters.operator.training.model_copy(
        update={"epochs": 5, "windows_per_epoch": 320, "batch_size": 32, "validation_windows": 96}
    )
    p = parameters.model_copy(update={"operator": parameters.operator.model_copy(update={"training": training})})
    per_step = 0.4 / (estimate.STEPS + 1 / 3)
    monkeypatch.setattr(estimate, "train_stage", run)
    assert estimate._training(p, "operator", planned) == pytest.approx(5 * (10 + 3 / 3) * per_step)


def test_a_signal_during_an_estimate_is_obeyed(parameters, monkeypatch):
    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    def run(*_):
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            yield {}, pd.DataFrame()

    monkeypatch.setattr(estimate, "train_stage", run)
    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stopped):
            estimate._training(parameters, "operator", planned)
    finally:
        signal.signal(signal.SIGTERM, earlier)


def test_every_stage_is_estimated_and_what_is_done_costs_nothing(parameters):
    state = torch.random.get_rng_state()
    seconds = estimate.estimate(parameters, {"operator": 0.0, "evaluation": 0.0})
    assert seconds.keys() == STAGES
    assert {stage for stage, value in seconds.items() if not value} == {"operator", "evaluation"}
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_estimate_of_processor_time_is_near_the_truth(parameters, monkeypatch):
    """The clock of the wall would say more about what else the machine is doing."""
    monkeypatch.setattr(time, "monotonic", time.process_time)
    p = parameters
    invented = estimate._invented(p)
    planner = estimate._autoencoder(p, invented, estimate.measure(invented, 2))
    *_, (_, truth) = estimate.train_stage(planner(p.autoencoder), p.seed, p.compute, {})
    assert estimate._training(p, "autoencoder", planner) == pytest.approx(truth["seconds"].sum(), rel=0.5)


def test_an_evaluation_is_estimated_with_all_its_nodes(parameters, monkeypatch):
    """Each forecast of one trajectory takes a second here, and each of 1000 reconstructed snapshots a thousandth."""
    monkeypatch.setattr(estimate, "_forecasts", lambda *_: 1.0)
    monkeypatch.setattr(estimate, "_reconstruction", lambda *_: 1e-3)
    invented = estimate._invented(parameters)
    trained = estimate._untrained(parameters, invented, estimate.measure(invented, 2))
    tested, kept, outside = 8 * 3, 1, 3 * 2  # three protocols; what training held, another parameter, another amplitude
    found = estimate._evaluation(parameters, invented, trained, searching=True)
    assert found == pytest.approx(tested + kept + outside + 1.0)


def test_a_search_is_counted_until_its_budget_is_spent(parameters, monkeypatch):
    now = iter(range(1000))  # whatever is timed takes a second
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    only = parameters.model_copy(update={"evaluation": parameters.evaluation.model_copy(update={"variants": ("ttc",)})})
    invented = estimate._invented(only).subset([0])
    emulator = estimate.assembled(only, estimate._untrained(only, invented, estimate.measure(invented, 2)))
    plain, searching = (estimate._forecasts(only, emulator, invented, "rollout", asked) for asked in (False, True))
    assert plain == pytest.approx(100 / 3)  # of 100 frames, three were forecast
    assert searching == pytest.approx((2 * 100 + 20) / 3)  # two beams, and a budget of 20


def test_what_is_slow_once_is_not_taken_for_a_habit(monkeypatch):
    now, costs = [0.0], [60.0, 0.1, 0.1]  # fonts are looked for with the first figure

    class Picture:
        def png(self):
            now[0] += costs.pop(0)

        @property
        def svg(self):
            self.png()

    monkeypatch.setattr(estimate, "learning", lambda *_: Picture())
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert estimate._reporting() == pytest.approx(estimate.FIGURES * 0.2)


def test_downloads_are_not_estimated(parameters):
    local = parameters.data.model_copy(update={"source": {"kind": "local"}})
    p = Parameters.model_validate(parameters.model_dump() | {"data": local.model_dump(warnings=False)})
    assert estimate._solving(p) == 0


@pytest.mark.parametrize(("change", "left"), [({}, 0.25), ({"weight_decay": 0.5}, 1.0)])
def test_an_interrupted_training_is_estimated_from_where_it_stands_unless_it_starts_over(parameters, change, left):
    training = parameters.operator.training.model_copy(update={"epochs": 4})
    p = parameters.model_copy(update={"operator": parameters.operator.model_copy(update={"training": training})})
    kept = p.operator.model_copy(update={"training": training.model_copy(update=change)})
    invented = estimate._invented(p)
    networks = estimate._untrained(p, invented, estimate.measure(invented, 2))
    latents, _ = estimate._encode(p, invented, networks["autoencoder"])
    state = {"epoch": 3, "facts": _facts(estimate._operator(p, latents, networks)(kept), p.seed)}
    catalog = DataCatalog({"operator_previous": MemoryDataset(state)})
    assert _share("operator", catalog, p) == left
