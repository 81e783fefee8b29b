"""The model as MLflow serves it: JSON in, JSON out. MLflow imports this module; the model itself holds no code.

```
{"inputs": {"u0": [[…], …], "nu": [0.01, …]}, "params": {"times": [0.5, 1.0], "members": 0, "guided": false}}
```

Inputs are ``u0``, ``(sample, channel, *space)``, for one channel also ``(sample, *space)``, and the model's parameters
by name; ``viscosity`` is short for the only one. ``predictions`` are ``{"u": (sample, member, time, …), "alarm":
(sample), "warnings": ["…", …]}``, with one member where ``members`` is 0, and channels where u0 has them. Above 1 the
alarm rings; a model without one has no scores. Instead of ``inputs`` also ``instances``, ``dataframe_split`` and
``dataframe_records`` are taken: rows of a field ``u0``, a list, and its
parameters. What cannot be forecast is refused with status 400 and one line in ``message``.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from universal_simulator.serving.bundle import Card
from universal_simulator.serving.emulator import Emulator
from universal_simulator.serving.payloads import FIELDS, answered, demand_known, inputs, requested
from universal_simulator.support.errors import InputError

EXAMPLE_POINTS = 64


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
            given, told = inputs(model_input, self._emulator.card), _params(params, inspect.currentframe())
            request = requested(self._emulator, given, told)
            return answered(self._emulator, request, self._emulator.answer(request))
        except InputError as refused:
            raise RefusedError(str(refused)) from refused


def _params(given: Mapping[str, Any] | None, frame: FrameType | None) -> dict[str, Any]:
    """Return the parameters, or refuse one that there is not, also where MLflow has dropped it before the frame."""
    demand_known({*map(str, given or {}), *map(str, _dropped(frame))})
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
    axes = (-1,) * (3 + card.grid.dimensions + (not card.facts.single))
    outputs = Schema(
        [
            TensorSpec(np.dtype(np.float32), axes, "u"),
            TensorSpec(np.dtype(np.float64), (-1,), "alarm"),
            TensorSpec(np.dtype(np.str_), (-1,), "warnings"),
        ]
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
    """Return one wave along the first axis in every channel, and the first parameters that were trained on."""
    grid = card.grid.resized((EXAMPLE_POINTS,) * card.grid.dimensions)
    place = (np.arange(EXAMPLE_POINTS) + 0.5) / EXAMPLE_POINTS
    wave = np.sin(2 * np.pi * place).reshape(-1, *[1] * (grid.dimensions - 1))
    u0 = np.broadcast_to(wave, (1, len(card.facts.channels), *grid.shape)).astype(np.float32)
    told = card.typical
    parameters = zip(card.facts.parameters, told, strict=True)
    named = {one.name: np.array([value], np.float32) for one, value in parameters}
    return {FIELDS: u0[:, 0] if card.facts.single else u0, **named}
