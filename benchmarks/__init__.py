"""Measurements whose tables stand in ``docs``; run each with ``python -m benchmarks.<name>``."""
