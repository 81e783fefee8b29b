"""Where a model is: a folder, one shipped with the project, or one in MLflow.

| address | meaning |
|---|---|
| ``models:/universal-simulator@champion``, ``models:/universal-simulator/3`` | a version in MLflow's registry |
| ``runs:/<run id>`` | what an evaluation recorded in MLflow |
| ``shipped:sota_v1`` | ``weights/sota_v1`` of the project |
| ``data/06_models/golden`` | an experiment's folder, or the bundle's own |
"""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from universal_simulator.serving.bundle import CARD, Bundle
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import data_root, sqlite_address

CHAMPION = "models:/universal-simulator@champion"
SHIPPED = "shipped:"
FOLDER = "bundle"
"""What the bundle is called inside an experiment's folder and inside an MLflow run."""
ALONE = threading.Lock()
"""MLflow takes its store from the environment, which all threads share."""


def open_bundle(address: str | os.PathLike[str]) -> Bundle:
    """Return the model at an address."""
    if not isinstance(address, str | os.PathLike) or not isinstance(text := os.fspath(address), str) or not text:
        raise InputError(f"model = {address!r}: must be an address; give shipped:sota_v1, models:/… or a folder")
    if text.startswith(("models:", "runs:")):
        with tempfile.TemporaryDirectory() as place:
            return Bundle.read(_download(text, place))
    if text.startswith(SHIPPED):
        return Bundle.read(shipped(text.removeprefix(SHIPPED)))
    folder = Path(text).expanduser()
    if not folder.exists() and text in _came_along():
        raise InputError(f"model = {text}: must be an address; did you mean {SHIPPED}{text}?")
    return Bundle.read(_inside(folder) or folder)


def shipped(name: str) -> Path:
    """Return the folder of a model that came with the project."""
    found = [place / name for place in _places() if (place / name / CARD).is_file()]
    if not found:
        raise InputError(
            f"model = {SHIPPED}{name}: no such weights came with the project; "
            f"there are {', '.join(_came_along()) or 'none'} (in {_places()[0]})"
        )
    return found[0]


def _places() -> list[Path]:
    return [root / "weights" for root in (Path.cwd(), Path(__file__).parents[3])]


def _came_along() -> list[str]:
    return sorted({card.parent.name for place in _places() for card in place.glob(f"*/{CARD}")})


def default_store() -> str | None:
    """Return the project's own MLflow store, where nothing else was named and it is there."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    store = data_root(Path.cwd()) / "mlflow" / "mlflow.db"
    return sqlite_address(store) if store.is_file() else None


def _download(uri: str, place: str) -> Path:
    """Fetch the model from MLflow and return the folder with the card."""
    import mlflow  # two seconds, which only this pays

    of_run = uri.startswith("runs:") and uri.count("/") == 1
    with ALONE:
        store = None if mlflow.is_tracking_uri_set() else default_store()
        if store is None and not mlflow.is_tracking_uri_set():  # mlflow would make an empty one in the working folder
            raise InputError(
                f"model = {uri}: must be in the store of MLflow, and there is none yet; run and promote an experiment, "
                "or set MLFLOW_TRACKING_URI"
            )
        try:
            with _looking_in(store):
                local = mlflow.artifacts.download_artifacts(f"{uri}/{FOLDER}" if of_run else uri, dst_path=place)
        except Exception as error:  # whatever the store raises
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"model = {uri}: must be in the store of MLflow ({reason}); promote one, or check MLFLOW_TRACKING_URI"
            ) from error
    found = _inside(Path(local))
    if found is None:
        raise InputError(f"model = {uri}: holds no {CARD}; name a model of this project")
    return found


@contextmanager
def _looking_in(store: str | None) -> Iterator[None]:
    """Name a store to mlflow for a while, as an argument not all of mlflow listens to it, and keep its bars away."""
    told = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"} | ({} if store is None else {"MLFLOW_TRACKING_URI": store})
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _inside(folder: Path) -> Path | None:
    """Return the folder with the card, at most three levels down."""
    for pattern in ("", "*/", "*/*/", "*/*/*/"):
        for card in sorted(folder.glob(f"{pattern}{CARD}")):
            return card.parent
    return None
