"""Which pipelines ``kedro run --pipelines=NAME`` knows, and which stages each of them is made of."""

from functools import cache
from importlib import import_module
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

STAGES = (
    "data_engineering",
    "autoencoder",
    "latents",
    "operator",
    "diffusion_residual",
    "consistency_distillation",
    "calibration",
    "evaluation",
    "reporting",
)
"""Packages under ``pipelines/``, in the order of work. Each tags its nodes with its name, which times them too."""

OF_NO_EXPERIMENT = ("compare", "promote", "predict", "audit", "score", "propagate", "assimilate", "infer")
"""Packages under ``pipelines/`` that work on files and finished models, not on an experiment's own data."""

APART = ("baselines", "ablation", "fast", "sweep", *OF_NO_EXPERIMENT)
"""Packages under ``pipelines/`` that belong to no experiment's chain."""

PIPELINES: dict[str, tuple[str, ...]] = {
    **{stage: (stage,) for stage in STAGES},
    "data_engineering": ("data_engineering", "autoencoder", "latents"),
    **{name: (name,) for name in APART},
    "full": STAGES,
    "__default__": STAGES,
}
"""Registered pipelines by name; ``data_engineering`` goes from raw files to latents, so it trains the encoder."""


class LazyPipeline(Pipeline):
    """A pipeline that is built when somebody looks into it: its nodes import torch, its name does not."""

    def __init__(self, *stages: str) -> None:  # the base class's begins when it is built
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        """Build the pipeline where something is asked of it that it does not have yet."""
        if not name.startswith("__") and "_stages" in vars(self):
            super().__init__([_stage(stage) for stage in vars(self).pop("_stages")])
            return getattr(self, name)
        raise AttributeError(f"{type(self).__name__} has no {name}")


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name."""
    return {name: LazyPipeline(*stages) for name, stages in PIPELINES.items()}


def plain_name(node: Node) -> str:
    """Return a node's name without its namespace, which says where it is drawn and nothing of what it makes."""
    return node.name.removeprefix(f"{node.namespace}.")


@cache
def _stage(name: str) -> Pipeline:
    """Return a stage's nodes in a namespace of its name, so that Kedro-Viz folds them up; datasets keep their names."""
    module = import_module(f"universal_simulator.pipelines.{name}.pipeline")
    return Pipeline(module.create_pipeline(), tags=name, namespace=name, prefix_datasets_with_namespace=False)
