"""Problems are found by name; one without facts of its own takes those of the data."""

import sys

import numpy as np
import pytest
import torch

from universal_simulator.fields.facts import Facts, Parameter
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.problems import find, names
from universal_simulator.problems.problem import Problem, Rate, Solver
from universal_simulator.support.errors import InputError

OWN = Facts(name="mine", channels=(Channel(name="h"), Channel(name="q")), parameters=(Parameter(name="g"),))
PLANE = Grid(axes=(Axis(name="y", points=6, sides=("wall", "wall")), Axis(points=8)))


@pytest.mark.parametrize("name", names())
def test_every_problem_is_found_by_its_name_and_offers_what_it_says(name):
    problem = find(name)
    assert problem.name == name
    if problem.open_facts:
        return
    family, small = problem.family(), problem.grid.resized((16,) * problem.grid.dimensions)
    u = family.batch(small, 0, [0, 1])
    assert u.shape == (2, len(problem.facts.channels), *small.shape)
    assert u.dtype == torch.float64
    assert isinstance(problem.solver, Solver)
    if problem.rate:
        assert isinstance(problem.rate, Rate)
        parameters = torch.full((2, len(problem.facts.parameters)), 0.1)
        assert problem.rate(u, parameters, small).shape == u.shape
        assert problem.rate.tangent(u, u, parameters, small).shape == u.shape
    np.testing.assert_allclose(np.diff(problem.times), problem.times[1], rtol=1e-9)


def test_data_alone_have_no_equation_and_bring_their_own_facts():
    problem = find("data_only")
    assert (problem.rate, problem.solver, problem.grid, problem.times) == (None, None, None, None)
    assert problem.facts.channels == ()
    filled = problem.with_facts(OWN, PLANE)
    assert filled.facts == OWN.model_copy(update={"name": "data_only"})
    assert filled.grid == PLANE
    assert find(filled.facts.name).open_facts, "whoever reads the facts finds that there is no equation"
    assert filled.file_name((0.5,)) == "2D_data_only_Sols_g0.5.hdf5"
    assert problem.facts.channels == (), "the problem itself stays open"


def test_a_problem_with_facts_of_its_own_refuses_others_and_takes_any_grid():
    problem = find("burgers")
    told = problem.facts.model_copy(update={"symmetries": ()})
    assert problem.with_facts(told, Grid.interval(32)).grid == Grid.interval(32)
    assert problem.with_facts(told, Grid.interval(32)).facts == problem.facts
    with pytest.raises(
        InputError, match=r"problem = burgers: channels and parameters .*'h', 'q'.*'g'.* name the problem"
    ):
        problem.with_facts(OWN, PLANE)


def test_a_problem_of_the_users_is_found_by_its_dotted_name(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "still.py").write_text(
        "from universal_simulator.fields.facts import Facts\n"
        "from universal_simulator.problems.problem import Problem\n"
        "PROBLEM = Problem(facts=Facts(name='mine.still', channels=()), open_facts=True)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert isinstance(find("mine.still"), Problem)
    for name in ("problem", "waves", "mine.moving"):
        with pytest.raises(InputError, match=f"problem = {name}: "):
            find(name)
