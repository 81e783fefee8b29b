"""Fields and a time in; trained baselines, their scores, costs and a page out."""

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

from universal_simulator.emulation.emulator import assemble
from universal_simulator.pipelines.baselines.nodes import plan_fno, plan_unet, prepare_fields
from universal_simulator.pipelines.baselines.scoring import clock, enter_baselines, score_baselines
from universal_simulator.pipelines.baselines.showing import draw_baselines
from universal_simulator.pipelines.calibration.pipeline import TRAINED
from universal_simulator.pipelines.evaluation.pipeline import FAST
from universal_simulator.pipelines.training_stage import training_stage

NETWORKS = {"unet": plan_unet, "fno": plan_fno}


def create_pipeline() -> Pipeline:
    """Return: train each network, score everybody, clock everybody beside the chain, and say who wins where."""
    return sum(_training(), Pipeline([*_fields(), *_scoring(), _page()]))


def _fields() -> list[Node]:
    settings = ["params:baselines", "params:compute"]
    return [
        node(prepare_fields, [f"{split}_trajectories", *settings], f"{split}_fields", name=f"prepare_{split}_fields")
        for split in ("train", "validation")
    ]


def _training() -> list[Pipeline]:
    fields = ["train_fields", "validation_fields", "autoencoder"]
    inputs = [*fields, "params:operator", "params:baselines", "timings", "params:compute"]
    return [training_stage(name, plan, inputs, name) for name, plan in NETWORKS.items()]


def _scoring() -> list[Node]:
    settings = ["params:evaluation", "params:ttc", "params:data.time_stride"]
    entering = ["unet", "fno", "train_trajectories", "params:evaluation", "params:baselines", "params:ttc"]
    judged = ["test_trajectories", "params:evaluation", "params:baselines", "params:data.time_stride"]
    return [
        node(assemble, TRAINED, "emulator", name="assemble_emulator"),
        FAST,
        node(enter_baselines, entering, "entered", name="enter_baselines"),
        node(
            score_baselines,
            ["entered", *judged],
            ["baseline_scores", "baseline_trajectory_scores", "baseline_error_growth"],
            name="score_baselines",
        ),
        node(
            clock,
            ["entered", "emulator", "test_trajectories", *settings, "timings", "fast_mode"],
            "baseline_costs",
            name="measure_costs",
        ),
    ]


def _page() -> Node:
    return node(
        draw_baselines,
        {
            "experiment": "params:experiment",
            "scores": "scores",
            "trajectory_scores": "trajectory_scores",
            "baseline_scores": "baseline_scores",
            "baseline_trajectory_scores": "baseline_trajectory_scores",
            "costs": "baseline_costs",
            "unet": "unet_history",
            "fno": "fno_history",
        },
        ["baseline_figures", "baseline_report"],
        name="draw_baselines",
    )
