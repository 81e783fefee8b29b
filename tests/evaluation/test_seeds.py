"""The benchmark of seeds puts what differs by its seed alone into one row."""

import sys

import numpy as np
import pytest
from benchmarks.seeds import main, rows

SCORES = {
    "rollout/chain:17/nrmse": 0.01,
    "rollout/chain:18/nrmse": 0.02,
    "rollout/chain:19/nrmse": 0.06,
    "rollout/chain:17/nrmse/u": 0.5,
    "rollout/chain:17/nrmse_at_0.1": 7.0,
    "rollout/chain:17/crps": 7.0,
    "rollout/persistence/nrmse": 1.5,
}


def test_seeds_of_one_network_are_one_row_and_what_has_no_seed_has_no_deviation():
    chain, persistence, of_channel = rows(SCORES, "nrmse")
    assert np.std([0.01, 0.02, 0.06], ddof=1) == pytest.approx(0.0265, abs=1e-4)
    assert chain == "| `rollout` | chain | 17, 18, 19 | 0.01, 0.02, 0.06 | 0.03 | 0.03 | 88% |"
    assert persistence == "| `rollout` | persistence |  | 1.5 | 1.5 | |  |"
    assert of_channel.startswith("| `rollout`, u | chain | 17 | 0.5 |")


def test_an_experiment_that_nobody_has_trained_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["seeds", "dry_run", "--seeds", "4"])
    with pytest.raises(SystemExit):
        main()
    assert "--seeds = [4]: no training of dry_run is there" in capsys.readouterr().err
