"""Defects of published data, rebuilt, are found with their numbers; the same files without them have no error."""

import numpy as np
import pytest

ALL = ("shallow_water", "reaction_diffusion", "advection", "diffusion_sorption", "compressible", "burgers", "two_files")


def errors(found) -> set[str]:
    return {name for name, several in found.items() if any(one["severity"] == "error" for one in several)}


@pytest.mark.parametrize("name", ALL)
def test_a_file_without_the_defect_has_no_error(audited, name):
    assert errors(audited(name, "clean")) == set()


def test_81_different_trajectories_among_1000_with_test_twins_in_training(audited):
    found = audited("shallow_water", "faulty")
    assert found["distinct_trajectories"][0]["value"] == 81
    assert found["published_split_leaks"][0]["value"] == 100
    assert {"published_split_leaks", "nearest_solves"} <= errors(found)
    assert found["dead_trajectories"][0]["value"] == 1000 - 81


def test_a_reaction_lost_to_single_precision(audited, defects):
    found = audited("reaction_diffusion", "faulty")
    assert {"equation_residual", "parameter"} <= errors(found)
    rho = next(one for one in found["parameter"] if one["message"].startswith("Rho"))
    assert rho["value"] < 0.5, "of the declared 1"
    clean = next(one for one in audited("reaction_diffusion", "clean")["parameter"] if one["message"].startswith("Rho"))
    assert clean["value"] == pytest.approx(1, rel=1e-3)


def test_the_rebuilt_reaction_misses_the_logistic_curve_as_the_published_one_does(defects):
    half, times = np.full((1, 8), 0.5), np.arange(11) * 0.1
    lost = defects.fisher(half, 0.5, defects.lost_reaction(0.5, 1.0), times)[0, -1, 0]
    kept = defects.fisher(half, 0.5, lambda u: u * (1 - u), times)[0, -1, 0]
    assert kept == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-4)
    assert 0.55 < lost < 0.68


def test_advection_at_twice_its_speed(audited):
    found = audited("advection", "faulty")
    assert {"time_scale", "parameter", "equation_residual"} <= errors(found)
    assert found["time_scale"][0]["value"] == pytest.approx(2, rel=0.01)
    assert found["parameter"][0]["value"] == pytest.approx(0.4, rel=0.01)
    assert audited("advection", "clean")["parameter"][0]["value"] == pytest.approx(0.2, rel=0.01)


def test_a_family_of_one_number_is_solved_by_interpolation(audited):
    found = audited("diffusion_sorption", "faulty")
    assert errors(found) == {"interpolation_solves"}
    assert found["interpolation_solves"][0]["value"] < 1e-3
    declared = {one["message"].split()[0]: one["value"] for one in found["parameter"]}
    assert declared == pytest.approx({"D": 5e-4, "k": 3.5e-4, "n": 0.874, "left": 1.0}, rel=0.02)


def test_velocities_that_have_died(audited):
    found = audited("compressible", "faulty")
    assert errors(found) == {"vanishing_channel"}
    assert found["vanishing_channel"][0]["message"].startswith("velocity has fallen below 5 %")
    assert found["vanishing_channel"][0]["value"] > 0.3


def test_burgers_on_twice_the_interval(audited):
    found = audited("burgers", "faulty")
    assert {"time_scale", "equation_residual", "solver_disagrees"} <= errors(found)
    told = found["time_scale"][0]
    assert told["value"] == pytest.approx(0.5, rel=0.01)
    assert "what Nu stands before 0.25 times" in told["message"]


def test_two_files_that_are_one(audited):
    found = audited("two_files", "faulty")
    assert errors(found) == {"same_file"}
    assert "the same bytes" in found["same_file"][0]["message"]
    assert audited("two_files", "clean")["shared_starts"][0]["value"] == 20, "ours begin alike, and are no copies"
