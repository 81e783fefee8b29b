"""What happens around a pipeline: parameters checked, threads set, stages timed, everything recorded in MLflow."""

from universal_simulator.hooks.estimating import EstimateHooks
from universal_simulator.hooks.preparation import ArtefactHooks, ComputeHooks, LockHooks, ParameterHooks
from universal_simulator.hooks.recording import ProvenanceHooks, TrackingHooks
from universal_simulator.hooks.timing import TimingHooks
from universal_simulator.hooks.weights import WeightsHooks

__all__ = [
    "ArtefactHooks",
    "ComputeHooks",
    "EstimateHooks",
    "LockHooks",
    "ParameterHooks",
    "ProvenanceHooks",
    "TimingHooks",
    "TrackingHooks",
    "WeightsHooks",
]
