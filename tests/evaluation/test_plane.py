"""The benchmark of flows refuses what it does not know before it computes anything."""

import sys

import pytest
from benchmarks import plane


def test_a_model_of_another_problem_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plane", "shipped:golden"])
    with pytest.raises(SystemExit):
        plane.main()
    (*_, said) = capsys.readouterr().err.splitlines()
    assert "shipped:golden = a model of burgers: must be of navier_stokes or kolmogorov_flow; choose another" in said
