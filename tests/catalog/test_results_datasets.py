"""Figures as files, and the scores that other experiments left."""

import base64
import inspect
import json

import pandas as pd
import pytest
from kedro.io import DatasetError

from universal_simulator.catalog.records import (
    CSVDataset,
    FinishedScoresDataset,
    HistoryDataset,
    JSONDataset,
    ScoresDataset,
)
from universal_simulator.catalog.results import FiguresDataset

PNG = b"\x89PNG\r\n\x1a\n"
WEBP = b"RIFF....WEBP"


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


def test_what_moves_is_stored_beside_the_others_and_goes_like_them(tmp_path):
    figures = FiguresDataset(str(tmp_path))
    figures.save({"a": WEBP, "b": PNG})
    assert {path.name for path in tmp_path.iterdir()} == {"a.webp", "b.png"}
    assert figures.load() == {"a": WEBP, "b": PNG}
    assert base64.b64decode(figures.preview()) == PNG
    figures.save({"a": PNG})
    assert {path.name for path in tmp_path.iterdir()} == {"a.png"}


def test_what_is_no_picture_is_refused_and_named(tmp_path):
    with pytest.raises(DatasetError, match=r"figures\.growth = .* must be the bytes of a PNG"):
        FiguresDataset(str(tmp_path)).save({"growth": b"<svg"})


def test_the_preview_is_the_error_of_the_rollout_or_else_any(tmp_path):
    figures = FiguresDataset(str(tmp_path))
    figures.save({"a": PNG + b"a"})
    assert base64.b64decode(figures.preview()) == PNG + b"a"
    figures.save({"a": PNG + b"a", "growth-rollout": PNG + b"g"})
    assert base64.b64decode(figures.preview()) == PNG + b"g"


def test_scores_are_previewed_as_a_table_of_variants(tmp_path):
    scores = ScoresDataset(filepath=str(tmp_path / "scores.json"))
    scores.save({"one_step/ttc/nrmse": 0.5, "rollout/ttc/nrmse": 0.25, "rollout/ensemble/ece": 0.03125,
                 "reconstruction/nrmse": 1.0, "rollout/ttc/frmse_low": 3.0})  # fmt: skip
    shown = scores.preview()
    assert shown["columns"] == ["protocol", "metric", "ttc", "ensemble"]
    assert shown["data"] == [
        ["rollout", "nrmse", "0.25", "–"],
        ["rollout", "ece", "–", "0.03125"],
        ["one_step", "nrmse", "0.5", "–"],
    ]


def test_a_history_is_previewed_as_its_losses_without_nan(tmp_path):
    history = HistoryDataset(str(tmp_path / "operator.csv"))
    history.save(pd.DataFrame({"epoch": [1, 2], "step": [10, 20], "train_loss": [0.5, 0.25],
                               "validation_loss": [None, 0.125], "seconds": [1.0, 1.0]}))  # fmt: skip
    train, validation = history.preview()["data"]
    assert (train["name"], train["x"], train["y"]) == ("train", [10, 20], [0.5, 0.25])
    assert (validation["name"], validation["y"]) == ("validation", [None, 0.125])
    json.dumps(history.preview(), allow_nan=False)


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [(ScoresDataset, "TablePreview"), (CSVDataset, "TablePreview"), (HistoryDataset, "PlotlyPreview"),
     (FiguresDataset, "ImagePreview"), (JSONDataset, "JSONPreview")],
)  # fmt: skip
def test_kedro_viz_is_told_what_kind_of_preview_it_gets(dataset, kind):
    annotation = inspect.signature(dataset.preview).return_annotation
    assert getattr(annotation, "__name__", annotation) == kind


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
