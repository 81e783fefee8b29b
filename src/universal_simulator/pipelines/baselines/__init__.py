"""Others on the same data at the same cost: persistence, a U-Net, an FNO, and the numerical solver, run coarse."""

from universal_simulator.pipelines.baselines.pipeline import create_pipeline

__all__ = ["create_pipeline"]
