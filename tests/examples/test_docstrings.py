"""What users call shows an example in its docstring, and the examples of docstrings and of the first page run."""

import doctest
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from universal_simulator.acquisition import writing
from universal_simulator.compute.device import choose
from universal_simulator.evaluation.metrics import nrmse
from universal_simulator.fields.grid import Axis, Channel, Grid
from universal_simulator.problems import find
from universal_simulator.problems.problem import Problem
from universal_simulator.serving import Emulator

README = Path(__file__).parents[2] / "README.md"
CALLED = [Emulator.load, Emulator.rollout, find, Problem, Grid, Axis, Channel, nrmse, choose, writing.save]


@pytest.mark.parametrize("called", CALLED, ids=lambda called: called.__qualname__)
def test_the_examples_of_a_docstring_run(called):
    known = dict(vars(sys.modules[called.__module__]))
    test = doctest.DocTestParser().get_doctest(called.__doc__, known, called.__qualname__, None, None)
    assert test.examples
    failed = []
    doctest.DocTestRunner().run(test, out=failed.append)
    assert failed == []


def test_the_lines_of_python_on_the_first_page_run_and_are_five():
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    there = {}
    exec(code, there)
    assert there["u"].shape == (8, 2, 256)
    assert np.isfinite(there["u"]).all()
    assert len([line for line in code.splitlines() if line]) == 5
