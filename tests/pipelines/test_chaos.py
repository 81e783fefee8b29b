"""Scoring chaos: a real solver, an emulator of random weights, and what everybody's scores must then be."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from universal_simulator.configuration import Chaos, CoarseSolver, Evaluation, TestTimeConditioning
from universal_simulator.evaluation import chaos as scoring
from universal_simulator.fields.grid import Channel, Grid
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.pipelines.evaluation.chaos import COLUMNS, assemble_scores, evaluate_chaos, worth_of_ensembles
from universal_simulator.problems import find
from universal_simulator.support.errors import InputError
from untrained import untrained

PROBLEM, LINE, SEED = find("kuramoto_sivashinsky"), Grid.interval(96), 5
FINE, COARSE = CoarseSolver(points=192, courant=0.2), CoarseSolver(points=32, courant=4.0)
CHAOS = Chaos(starts=3, spin_up=30.0, horizon=12.0, long_run=24.0, members=3, solvers=(FINE, COARSE))


def trajectories(count: int) -> Trajectories:
    """Return solved trajectories, a snapshot every half time unit."""
    times = np.arange(81) * 0.5

    def initial(grid: Grid) -> Tensor:
        return PROBLEM.family().batch(grid, 1, range(count))

    u = PROBLEM.solver.solve((64.0,), initial, times, LINE).values.float().numpy()
    return Trajectories.of(u, np.full((count, 1), 64.0), times, PROBLEM.facts, LINE)


@pytest.fixture(scope="module")
def train() -> Trajectories:
    return trajectories(4)


def evaluated(train, chaos: Chaos | None, variants=("persistence", "mean", "nearest", "deterministic", "ensemble")):
    emulator = untrained(PROBLEM.facts, LINE, Grid.interval(48))
    evaluation = Evaluation(variants=variants, chaos=chaos)
    return evaluate_chaos(emulator, train, train, evaluation, TestTimeConditioning(), 1, SEED)


@pytest.fixture(scope="module")
def found(train):
    return evaluated(train, CHAOS)


def test_nothing_is_scored_as_chaos_unless_it_is_asked_for(train):
    scores, curves = evaluated(train, None)
    assert scores == {}
    assert list(curves.columns) == list(COLUMNS)
    assert not len(curves)
    assert assemble_scores({"rollout/deterministic/nrmse": 1.0}, scores) == {"rollout/deterministic/nrmse": 1.0}


def test_a_fine_solver_follows_the_truth_to_the_end_and_a_coarse_one_does_not(found):
    scores, _ = found
    assert scores[f"chaos/correlation_time/{FINE.name}"] == pytest.approx(12.0)
    assert scores[f"chaos/one_step_error/{FINE.name}"] < 1e-4
    assert scores[f"chaos/correlation_time/{COARSE.name}"] < 12.0
    assert scores[f"chaos/rms_ratio/{FINE.name}"] == pytest.approx(1, abs=0.01)
    assert scores["chaos/rms_ratio/truth"] == 1.0


def test_the_mean_is_not_correlated_with_anything_and_persistence_for_a_short_while(found):
    scores, _ = found
    assert scores["chaos/correlation_time/mean"] < 0.5
    assert 0 < scores["chaos/correlation_time/persistence"] < 8
    assert "chaos/rms_ratio/persistence" not in scores, "what does not move has no statistics"


def test_the_equation_brings_a_network_that_knows_nothing_nearer_to_the_truth(found):
    """The eight longest waves of every step are then those of the equation, whatever the weights."""
    scores, _ = found
    alone, guided = (scores[f"chaos/one_step_error/{name}"] for name in ("deterministic", "guided"))
    assert guided < 0.9 * alone
    assert "chaos/rms_ratio/guided" not in scores, "it is followed as far as the horizon alone"


def test_curves_have_a_row_for_everybody_and_every_lead_time(found):
    _, curves = found
    assert set(curves["quantity"]) == {"correlation", "valid", "error", "crps", "spread", "energy", "cost_us"}
    for variant in ("nearest", "deterministic", "ensemble", FINE.name):
        frame = curves[(curves["variant"] == variant) & (curves["quantity"] == "crps")]
        assert frame["at"].tolist() == pytest.approx([0.5 * i for i in range(1, 25)])
    assert set(curves[curves["quantity"] == "spread"]["variant"]) == {"ensemble"}
    assert set(curves[curves["quantity"] == "energy"]["variant"]) == {"truth", "deterministic", FINE.name, COARSE.name}


def test_the_same_seed_gives_the_same_scores(train, found):
    again, _ = evaluated(train, CHAOS)
    assert again == found[0]


def test_the_gain_of_an_ensemble_is_taken_beyond_half_the_correlation_time():
    times, ones = np.arange(1.0, 11.0), torch.ones(10, dtype=torch.float64)
    alone = scoring.Lead(ones, ones, 0 * ones)
    several = scoring.Lead(ones, torch.tensor([2.0] * 4 + [0.9] + [0.7] * 5).double(), 0.5 * ones)
    told = {"chaos/correlation_time/deterministic": 8.0}
    got = worth_of_ensembles({"deterministic": alone, "ensemble": several}, told, times)
    assert got["chaos/crps_gain/ensemble"] == pytest.approx(1 - (0.9 + 5 * 0.7) / 6)
    assert got["chaos/least_crps_gain/ensemble"] == pytest.approx(0.1)
    assert got["chaos/spread_skill/ensemble"] == pytest.approx(0.5)
    assert worth_of_ensembles({"deterministic": alone}, told, times) == {}


def test_a_problem_without_a_solver_is_refused(train):
    nobody = untrained(PROBLEM.facts.model_copy(update={"name": "data_only"}), LINE, Grid.interval(48))
    test = Trajectories.of(train.read(slice(None)).numpy(), train.parameters, train.times, nobody.facts, LINE)
    with pytest.raises(InputError, match=r"evaluation\.chaos = given: data_only must have a solver and initial fields"):
        evaluate_chaos(nobody, train, test, Evaluation(chaos=CHAOS), TestTimeConditioning(), 1, SEED)


def test_a_long_run_that_has_not_forgotten_its_start_is_refused():
    with pytest.raises(ValueError, match="long_run = 10 must be at least twice horizon = 8"):
        Chaos(horizon=8.0, long_run=10.0)


def second_solver(u: Tensor, length: float, step: float, interval: float, frames: int) -> Tensor:
    """Solve in X by SBDF2, all points in the products: another integrator, and no 2/3 rule (Ascher et al. 1995)."""
    k = 2 * math.pi / length * torch.arange(u.shape[-1] // 2 + 1, dtype=torch.float64)
    linear, keep = k**2 - k**4, k < 0.9 * k[-1]

    def rest(spectrum: Tensor) -> Tensor:
        return torch.fft.rfft(torch.fft.irfft(spectrum, n=u.shape[-1]).square()) * (-0.5j * k) * keep

    before, kept = torch.fft.rfft(u), []
    now, old = (before + step * rest(before)) / (1 - step * linear), rest(before)
    for i in range(1, frames * round(interval / step)):
        new = rest(now)
        now, before = (4 * now - before + 2 * step * (2 * new - old)) / (3 - 2 * step * linear), now
        old = new
        if (i + 1) % round(interval / step) == 0:
            kept.append(torch.fft.irfft(now, n=u.shape[-1]))
    return torch.stack(kept, 1)[:, :, None]


@pytest.mark.slow
def test_the_invariants_of_the_problems_solver_are_those_of_another_one():
    """Root mean square of U about 1.3, as of the published attractor; energies of the bands within 20 per cent.

    Rounding decides which runs these are. Of four sets of 16, none differed by more than 7 per cent.
    """
    times, grid, count = np.arange(201) * 2.0, Grid.interval(128), 16

    def initial(at: Grid) -> Tensor:
        return PROBLEM.family().batch(at, 3, range(count))

    ours = 64 * PROBLEM.solver.solve((64.0,), initial, times, grid, torch.float64).values[:, 50:]
    theirs = second_solver(64 * initial(grid)[:, 0], 64.0, 0.02, 2.0, 200)[:, 50:]
    mine, other = (scoring.invariants(runs, grid, (Channel(name="u"),)) for runs in (ours, theirs))
    alike = scoring.likeness(mine, other)
    assert alike.rms_ratio == pytest.approx(1, abs=0.04)
    assert alike.spectrum_error < 0.2
    assert alike.distribution_distance < 0.05
    assert (alike.calm, alike.stable) == (0, 1.0)
    assert float(mine.rms.median()) == pytest.approx(1.3, abs=0.05)
