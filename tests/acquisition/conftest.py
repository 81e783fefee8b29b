"""Small raw files, right in everything unless a test breaks one thing."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

RawFile = Callable[..., Path]


@pytest.fixture
def raw_file(tmp_path: Path) -> RawFile:
    """Return a writer of files as PDEBench publishes them; any dataset can be replaced, or left out with ``...``."""

    def write(name: str = "1D_Burgers_Sols_Nu0.01.hdf5", samples: int = 8, **replaced: object) -> Path:
        random = np.random.default_rng(0)
        content = {
            "tensor": random.normal(size=(samples, 5, 32)).astype(np.float32),
            "x-coordinate": ((np.arange(32) + 0.5) / 32).astype(np.float32),
            "t-coordinate": (np.arange(6) * 0.01).astype(np.float32),
            "Nu": 0.01,
        } | {key.replace("_", "-"): value for key, value in replaced.items()}
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, value in content.items():
                if value is ...:
                    continue
                (file.attrs if key == "Nu" else file)[key] = value
        return path

    return write


@pytest.fixture
def changed(raw_file: RawFile) -> RawFile:
    """Return a writer of a file of which one thing is changed, after it was written right."""

    def write(attributes: dict[str, object] | None = None, value: float | None = None, **storage: object) -> Path:
        path = raw_file()
        with h5py.File(path) as file:
            u = file["tensor"][()]
        if value is not None:
            u[3, 0, 7] = value
        with h5py.File(path, "r+") as file:
            del file["tensor"]
            file.create_dataset("tensor", data=u, **storage)
            file["tensor"].attrs.update(attributes or {})
        return path

    return write
