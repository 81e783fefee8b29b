"""What happens around a pipeline: parameters checked, threads set, stages timed, everything recorded in MLflow."""

from universal_simulator.shell.hooks.estimating import EstimateHooks
from universal_simulator.shell.hooks.preparation import (
    ArtefactHooks,
    ComputeHooks,
    LockHooks,
    ParameterHooks,
    SessionHooks,
)
from universal_simulator.shell.hooks.recording import ProvenanceHooks, TrackingHooks
from universal_simulator.shell.hooks.timing import TimingHooks
from universal_simulator.shell.hooks.weights import WeightsHooks

__all__ = [
    "ArtefactHooks",
    "ComputeHooks",
    "EstimateHooks",
    "LockHooks",
    "ParameterHooks",
    "ProvenanceHooks",
    "SessionHooks",
    "TimingHooks",
    "TrackingHooks",
    "WeightsHooks",
]
