"""Data of any origin: channels, grid and parameters are those of the file, and no equation is known.

Networks learn from it as from any other problem. What needs an equation is left out: corrections and rewards by
physics, residuals, numerical baselines, and cases outside of the file.
"""

from universal_simulator.fields.facts import Facts
from universal_simulator.problems.problem import Problem

PROBLEM = Problem(facts=Facts(name="data_only", channels=()), open_facts=True)
