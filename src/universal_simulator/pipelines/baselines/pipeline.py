"""Fields and a time in; trained baselines, their scores, costs and a page out."""

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

from universal_simulator.emulation.assembly import assemble
from universal_simulator.pipelines.baselines.nodes import (
    plan_baselines,
    prepare_fields,
    select_fno,
    select_unet,
    train_fno,
    train_unet,
)
from universal_simulator.pipelines.baselines.scoring import clock, score_baselines
from universal_simulator.pipelines.baselines.showing import draw_baselines
from universal_simulator.pipelines.calibration.pipeline import TRAINED

NETWORKS = {"unet": (train_unet, select_unet), "fno": (train_fno, select_fno)}


def create_pipeline() -> Pipeline:
    """Return: train each network, score everybody, clock everybody beside the chain, and say who wins where."""
    return Pipeline([_plan(), *_fields(), *_training(), *_scoring(), _page()])


def _plan() -> Node:
    return node(
        plan_baselines,
        ["timings", "statistics", "params:baselines", "params:operator"],
        "planned",
        name="plan_baselines",
    )


def _fields() -> list[Node]:
    settings = ["params:baselines", "params:data", "params:compute"]
    return [
        node(prepare_fields, [f"{split}_trajectories", *settings], f"{split}_fields", name=f"prepare_{split}_fields")
        for split in ("train", "validation")
    ]


def _training() -> list[Node]:
    shared = ["planned", "train_fields", "validation_fields", "params:data", "params:seed", "params:compute"]
    return [
        part
        for name, (train, select) in NETWORKS.items()
        for part in (
            node(train, [*shared, f"{name}_previous"], [f"{name}_state", f"{name}_history"], name=f"train_{name}"),
            node(select, ["planned", f"{name}_state", "params:data"], name, name=f"select_{name}"),
        )
    ]


def _scoring() -> list[Node]:
    judged = ["unet", "fno", "test_trajectories", "params:evaluation", "params:baselines"]
    return [
        node(assemble, TRAINED, "emulator", name="assemble_emulator"),
        node(
            score_baselines,
            [*judged, "params:ttc", "params:data", "params:compute"],
            ["baseline_scores", "baseline_trajectory_scores", "baseline_error_growth"],
            name="score_baselines",
        ),
        node(
            clock,
            {
                "unet": "unet",
                "fno": "fno",
                "emulator": "emulator",
                "test": "test_trajectories",
                "evaluation": "params:evaluation",
                "baselines": "params:baselines",
                "ttc": "params:ttc",
                "data": "params:data",
                "compute": "params:compute",
                "timings": "timings",
            },
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
