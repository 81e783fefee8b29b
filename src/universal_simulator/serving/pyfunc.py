"""The model as MLflow serves it: JSON in, JSON out. MLflow imports this module; the model itself holds no code.

```
{"inputs": {"u0": [[…], …], "viscosity": [0.01, …]}, "params": {"times": [0.5, 1.0], "members": 0, "guided": false}}
```

``predictions`` are ``{"u": (sample, member, time, space), "warnings": ["…", …]}``, with one member where ``members`` is
0. Instead of ``inputs`` also ``instances``, ``dataframe_split`` and ``dataframe_records`` are taken: rows of a field
``u0``, a list, and its ``viscosity``. What cannot be forecast is refused with status 400 and one line in ``message``.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from universal_simulator.serving.bundle import Card
from universal_simulator.serving.emulator import Emulator, diverged
from universal_simulator.serving.limits import LARGEST_SERVED
from universal_simulator.serving.request import ask
from universal_simulator.support.errors import InputError

EXAMPLE_POINTS = 64
INPUTS, PARAMS = ("u0", "viscosity"), ("times", "members", "guided", "seed")


class RefusedError(MlflowException, InputError):
    """A refusal that MLflow's server passes on to the client, as the one line that it is."""

    def __init__(self, line: str) -> None:
        self._line = line
        super().__init__(line, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """Return the line: MLflow would put all of the data before it."""
        return self._line

    @message.setter
    def message(self, longer: str) -> None:
        """Keep the line."""


class Served:
    """An emulator with the face that MLflow expects."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Forecast the fields ``u0``, as the module's text says."""
        try:
            return self._answer(_inputs(model_input), _params(params, inspect.currentframe()))
        except InputError as refused:
            raise RefusedError(str(refused)) from refused

    def _answer(self, given: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
        times = told["times"] if told.get("times") is not None else self._emulator.card.horizon
        members, step = told.get("members") or None, self._emulator.statistics.time_step
        guided, seed = told.get("guided") or False, told.get("seed") or 0
        request = ask(given["u0"], given["viscosity"], times, step, members, guided, seed)
        request.refuse_beyond(LARGEST_SERVED)
        answer = self._emulator.answer(request)
        if lost := diverged(answer):
            names = ", ".join(map(str, lost[:10])) + (" …" if len(lost) > 10 else "")
            raise InputError(
                f"u0 = fields {names} of {len(answer)}, counted from 0: their forecasts left all bounds, must stay "
                "finite; ask for earlier times, or leave them out"
            )
        return {"u": answer.numpy(), "warnings": [str(warning) for warning in self._emulator.unknown(request)]}


def _inputs(given: Any) -> dict[str, Any]:
    """Return what is forecast by its name; a row of a table is a field."""
    columns = given.to_dict("list") if isinstance(given, pd.DataFrame) else given
    if not isinstance(columns, Mapping):
        raise InputError(f"inputs = {type(given).__name__}: must be u0 and viscosity by name; give both, as an object")
    if strange := sorted(map(str, columns.keys() - set(INPUTS))):
        raise InputError(f"{strange[0]} = unknown: must be one of {', '.join(INPUTS)}; leave it out, or rename it")
    if missing := sorted(set(INPUTS) - columns.keys()):
        raise InputError(f"{missing[0]} = missing: must be in the inputs; give u0 and viscosity")
    return {str(name): value for name, value in columns.items()}


def _params(given: Mapping[str, Any] | None, frame: FrameType | None) -> dict[str, Any]:
    """Return the parameters, or refuse one that there is not, also where MLflow has dropped it before the frame."""
    if strange := sorted(map(str, {*(given or {}), *_dropped(frame)} - set(PARAMS))):
        raise InputError(f"{strange[0]} = unknown: must be one of {', '.join(PARAMS)}; leave it out, or rename it")
    return dict(given or {})


def _dropped(frame: FrameType | None) -> set[Any]:
    """Return the names that MLflow was given: it says what it drops in its log only, where no client reads it.

    Those are the arguments of its own call, the nearest one around the frame.
    """
    names: set[Any] = set()
    while frame is not None and not isinstance(frame.f_locals.get("self"), PyFuncModel):
        frame = frame.f_back
    while frame is not None and isinstance(frame.f_locals.get("self"), PyFuncModel):
        params = frame.f_locals.get("params")
        names |= params.keys() if isinstance(params, Mapping) else set()
        frame = frame.f_back
    return names


def _load_pyfunc(path: str) -> Served:
    """Open the bundle that MLflow has kept; called by MLflow."""
    return Served(Emulator.load(Path(path)))


def signature(card: Card) -> ModelSignature:
    """Return what comes out, and the parameters; of inputs, MLflow would drop what it does not know without a word."""
    outputs = Schema(
        [TensorSpec(np.dtype(np.float32), (-1, -1, -1, -1), "u"), TensorSpec(np.dtype(np.str_), (-1,), "warnings")]
    )
    params = ParamSchema(
        [
            ParamSpec("times", DataType.double, [card.horizon], (-1,)),
            ParamSpec("members", DataType.long, 0),
            ParamSpec("guided", DataType.boolean, False),
            ParamSpec("seed", DataType.long, 0),
        ]
    )
    return ModelSignature(outputs=outputs, params=params)


def example(card: Card) -> dict[str, np.ndarray]:
    """Return one sine wave at the first viscosity that was trained on."""
    x = (np.arange(EXAMPLE_POINTS) + 0.5) / EXAMPLE_POINTS
    u0 = np.sin(2 * np.pi * x)[None].astype(np.float32)
    return {"u0": u0, "viscosity": np.array([card.data.viscosities[0]], np.float32)}
