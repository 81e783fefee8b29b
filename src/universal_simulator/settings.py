"""What Kedro is to use in this project. See https://docs.kedro.org/en/stable/configure/project_settings.html."""

from universal_simulator.shell.command_line import put_off
from universal_simulator.shell.configuration_loader import ExperimentLoader
from universal_simulator.shell.hooks import (
    ArtefactHooks,
    ComputeHooks,
    EstimateHooks,
    LockHooks,
    ParameterHooks,
    ProvenanceHooks,
    SessionHooks,
    TimingHooks,
    TrackingHooks,
    WeightsHooks,
)

put_off()  # Kedro imports this file before it imports its plugins' commands

CONFIG_LOADER_CLASS = ExperimentLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}


def _hooks() -> tuple[object, ...]:
    """Return the hooks of one session; Kedro calls the last one first."""
    timings = TimingHooks()
    return (
        TrackingHooks(timings),
        EstimateHooks(timings),
        timings,
        ProvenanceHooks(),
        ComputeHooks(),
        LockHooks(),
        ArtefactHooks(),
        WeightsHooks(),
        ParameterHooks(),
    )


HOOKS = (SessionHooks(_hooks),)

# TrackingHooks own the MLflow run: the plugin's would log typed parameters as opaque strings, open the store for
# `kedro viz` and `kedro catalog list` too, and leave interrupted runs FINISHED. Its commands and datasets stay.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-telemetry")
