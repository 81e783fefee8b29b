"""Which pipelines ``kedro run --pipelines=NAME`` knows, and which stages each of them is made of."""

from importlib import import_module

from kedro.pipeline import Pipeline

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

APART = ("baselines", "ablation", "compare", "promote", "predict", "sweep")
"""Packages under ``pipelines/`` that belong to no experiment's chain."""

PIPELINES: dict[str, tuple[str, ...]] = {
    **{stage: (stage,) for stage in STAGES},
    "data_engineering": ("data_engineering", "autoencoder", "latents"),
    **{name: (name,) for name in APART},
    "full": STAGES,
    "__default__": STAGES,
}
"""Registered pipelines by name; ``data_engineering`` goes from raw files to latents, so it trains the encoder."""


def register_pipelines() -> dict[str, Pipeline]:
    """Build every pipeline from its stages."""
    stages = {stage: _stage(stage) for stage in (*STAGES, *APART)}
    return {name: sum((stages[stage] for stage in parts), Pipeline([])) for name, parts in PIPELINES.items()}


def _stage(name: str) -> Pipeline:
    """Return a stage's nodes in a namespace of its name, so that Kedro-Viz folds them up; datasets keep their names."""
    module = import_module(f"universal_simulator.pipelines.{name}")
    return Pipeline(module.create_pipeline(), tags=name, namespace=name, prefix_datasets_with_namespace=False)
