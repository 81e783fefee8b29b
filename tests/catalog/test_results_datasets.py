"""Figures as files, and the scores that other experiments left."""

import base64
import json

import pytest
from kedro.io import DatasetError

from universal_simulator.catalog.figures import FiguresDataset
from universal_simulator.catalog.references import FinishedScoresDataset

PNG = b"\x89PNG\r\n\x1a\n"


def test_figures_are_stored_bit_by_bit(tmp_path):
    figures = FiguresDataset(str(tmp_path / "figures"))
    assert not figures.exists()
    figures.save({"growth": PNG + b"1", "fan": PNG + b"2"})
    assert figures.exists()
    assert figures.load() == {"growth": PNG + b"1", "fan": PNG + b"2"}


def test_a_figure_that_is_not_drawn_any_more_goes(tmp_path):
    figures = FiguresDataset(str(tmp_path))
    figures.save({"old": PNG, "kept": PNG})
    figures.save({"kept": PNG})
    assert set(figures.load()) == {"kept"}


def test_what_is_no_picture_is_refused_and_named(tmp_path):
    with pytest.raises(DatasetError, match=r"figures\.growth = .* must be the bytes of a PNG"):
        FiguresDataset(str(tmp_path)).save({"growth": b"<svg"})


def test_the_preview_is_the_error_of_the_rollout_or_else_any(tmp_path):
    figures = FiguresDataset(str(tmp_path))
    figures.save({"a": PNG + b"a"})
    assert base64.b64decode(figures.preview()) == PNG + b"a"
    figures.save({"a": PNG + b"a", "growth-rollout": PNG + b"g"})
    assert base64.b64decode(figures.preview()) == PNG + b"g"


def test_scores_of_every_finished_experiment_are_found_by_name(tmp_path):
    for name, score in (("golden", 0.08), ("sota_v1", 0.05)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps({"rollout/deterministic/nrmse": score}))
    (tmp_path / "unfinished").mkdir()
    found = FinishedScoresDataset(str(tmp_path)).load()
    assert found == {"golden": {"rollout/deterministic/nrmse": 0.08}, "sota_v1": {"rollout/deterministic/nrmse": 0.05}}


def test_before_anything_ran_there_are_no_scores(tmp_path):
    assert FinishedScoresDataset(str(tmp_path / "nothing")).load() == {}


@pytest.mark.usefixtures("unchecked")
def test_finished_scores_cannot_be_saved_together(tmp_path):
    with pytest.raises(DatasetError, match="must not be saved to as a whole"):
        FinishedScoresDataset(str(tmp_path)).save({"golden": {}})
