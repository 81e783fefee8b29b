"""The models of this project in MLflow's registry, and which of them is the champion.

Every version remembers when it was promoted, over which version, and when it was demoted: the history.
"""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from universal_simulator.serving.addresses import FOLDER, open_bundle
from universal_simulator.serving.bundle import Bundle
from universal_simulator.support.errors import InputError

MODEL, ALIAS = "universal-simulator", "champion"


@dataclass(frozen=True)
class Version:
    """One registered model."""

    number: int
    run_id: str
    experiment: str
    promoted_at: str
    over: str
    """Number of the champion before it; empty for the first one."""
    demoted_at: str
    champion: bool


class Registry:
    """MLflow's registry, as far as this project uses it."""

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient  # two seconds, which only this pays

        self._client, self._experiment = MlflowClient(uri, uri), experiment

    def find(self, candidate: str) -> tuple[str, Bundle]:
        """Return id and model of a run, named by its id or as the newest finished one of an experiment."""
        runs = self._runs(f"attributes.run_id = '{candidate}'") or self._runs(f"tags.experiment = '{candidate}'")
        for run in runs:
            if self._client.list_artifacts(run.info.run_id, FOLDER):
                return run.info.run_id, open_bundle(f"runs:/{run.info.run_id}")
        reason = "has recorded no model" if runs else "is no finished run and no experiment with one in this store"
        raise InputError(f"candidate = {candidate}: {reason}; run --pipeline=full --params={candidate} first")

    def champion(self) -> Version | None:
        """Return the version with the alias."""
        return next((one for one in self.history() if one.champion), None)

    def history(self) -> list[Version]:
        """Return every version, the newest first."""
        if not self._client.search_registered_models(f"name = '{MODEL}'"):
            return []
        aliases = self._client.get_registered_model(MODEL).aliases
        found = [
            Version(
                number=int(one.version),
                run_id=str(one.run_id),
                experiment=one.tags.get("experiment", ""),
                promoted_at=one.tags.get("promoted_at", ""),
                over=one.tags.get("over", ""),
                demoted_at=one.tags.get("demoted_at", ""),
                champion=str(aliases.get(ALIAS)) == str(one.version),
            )
            for one in self._client.search_model_versions(f"name = '{MODEL}'")
        ]
        return sorted(found, key=lambda one: -one.number)

    def promote(self, run_id: str, bundle: Bundle) -> int:
        """Register a run's model, if it is not yet, and make it the champion; return its number."""
        before = self.champion()
        known = [one.number for one in self.history() if one.run_id == run_id]
        number = known[0] if known else self._register(run_id, bundle)
        if before is None or before.number != number:
            self._tag(number, promoted_at=_now(), over=str(before.number) if before else "", demoted_at="")
            self._client.set_registered_model_alias(MODEL, ALIAS, str(number))
        return number

    def demote(self) -> Version | None:
        """Take the alias from the champion and give it back to the one before; return that one, if there is one."""
        versions = {str(one.number): one for one in self.history()}
        champion = next((one for one in versions.values() if one.champion), None)
        if champion is None:
            raise InputError("promotion.demote = true: there must be a champion to demote; promote one first")
        before = versions.get(champion.over)
        while before is not None and before.demoted_at:
            before = versions.get(before.over)
        if before is None:
            self._client.delete_registered_model_alias(MODEL, ALIAS)
        else:
            self._client.set_registered_model_alias(MODEL, ALIAS, str(before.number))
        self._tag(champion.number, demoted_at=_now())
        return before

    def _runs(self, search: str) -> list[Any]:
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return []
        found = f"{search} and attributes.status = 'FINISHED'"
        return list(
            self._client.search_runs([experiment.experiment_id], found, order_by=["attributes.start_time DESC"])
        )

    def _register(self, run_id: str, bundle: Bundle) -> int:
        """Log the model in the form that MLflow serves, and register it as the run's."""
        import mlflow

        from universal_simulator.serving.pyfunc import example, signature

        if not self._client.search_registered_models(f"name = '{MODEL}'"):
            self._client.create_registered_model(MODEL, description="Emulators that were, or are, the champion")
        with tempfile.TemporaryDirectory() as place:
            bundle.write(Path(place) / FOLDER)
            logged = mlflow.pyfunc.log_model(
                name="model",
                loader_module="universal_simulator.serving.pyfunc",
                data_path=str(Path(place) / FOLDER),
                signature=signature(bundle.card),
                input_example=example(bundle.card),
                pip_requirements=[f"{name}=={version(name)}" for name in ("universal_simulator", "mlflow", "torch")],
            )
        tags = {"experiment": bundle.card.experiment, **bundle.card.provenance}
        made = self._client.create_model_version(MODEL, logged.model_uri, run_id, {k: str(v) for k, v in tags.items()})
        return int(made.version)

    def _tag(self, number: int, **tags: str) -> None:
        for key, value in tags.items():
            self._client.set_model_version_tag(MODEL, str(number), key, value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
