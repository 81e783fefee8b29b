"""The model as MLflow serves it: JSON in, JSON out. MLflow imports this module; the model itself holds no code.

```
{"inputs": {"u0": [[…], …], "viscosity": [0.01, …]}, "params": {"times": [0.5, 1.0], "members": 0, "guided": false}}
```

``predictions`` are ``(sample, member, time, space)``, with one member where ``members`` is 0.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from universal_simulator.serving.bundle import Card
from universal_simulator.serving.emulator import Emulator
from universal_simulator.support.errors import InputError

EXAMPLE_POINTS = 64


class Served:
    """An emulator with the face that MLflow expects."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def predict(self, model_input: Mapping[str, np.ndarray], params: Mapping[str, Any] | None = None) -> np.ndarray:
        """Forecast the fields ``u0``, as the module's text says."""
        given, told = dict(model_input), dict(params or {})
        missing = {"u0", "viscosity"} - given.keys()
        if missing:
            raise InputError(f"{sorted(missing)[0]} = missing: must be in the inputs; give u0 and viscosity")
        members = int(told.get("members") or 0)
        answer = self._emulator.rollout(
            np.atleast_2d(np.asarray(given["u0"], np.float32)),
            np.asarray(given["viscosity"], np.float32),
            told.get("times") or self._emulator.card.horizon,
            members=members or None,
            guided=bool(told.get("guided")),
            seed=int(told.get("seed") or 0),
        )
        return np.asarray(answer if members else answer[:, None])


def _load_pyfunc(path: str) -> Served:
    """Open the bundle that MLflow has kept; called by MLflow."""
    return Served(Emulator.load(Path(path)))


def signature(card: Card) -> ModelSignature:
    """Return what goes in and comes out."""
    inputs = Schema(
        [TensorSpec(np.dtype(np.float32), (-1, -1), "u0"), TensorSpec(np.dtype(np.float32), (-1,), "viscosity")]
    )
    outputs = Schema([TensorSpec(np.dtype(np.float32), (-1, -1, -1, -1))])
    params = ParamSchema(
        [
            ParamSpec("times", DataType.double, [card.horizon], (-1,)),
            ParamSpec("members", DataType.long, 0),
            ParamSpec("guided", DataType.boolean, False),
            ParamSpec("seed", DataType.long, 0),
        ]
    )
    return ModelSignature(inputs, outputs, params)


def example(card: Card) -> dict[str, np.ndarray]:
    """Return one sine wave at the first viscosity that was trained on."""
    x = (np.arange(EXAMPLE_POINTS) + 0.5) / EXAMPLE_POINTS
    u0 = np.sin(2 * np.pi * x)[None].astype(np.float32)
    return {"u0": u0, "viscosity": np.array([card.data.viscosities[0]], np.float32)}
