"""A node of a pipeline as a text that another process can read and run: names, paths and values, no objects."""

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from kedro.io import AbstractDataset, CatalogProtocol, MemoryDataset
from kedro.pipeline.node import Node
from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_jsonable_python

from universal_simulator.support.errors import InputError

PREFIX = "universal_simulator."
JSON = "universal_simulator.catalog.records.JSONDataset"


class Input(BaseModel):
    """What a function is given: a value, the content of a dataset, or what another function makes."""

    value: Any = None
    dataset: dict[str, Any] | None = None
    call: "Call | None" = None


class Call(BaseModel):
    """A function of ours and what it is given."""

    function: str
    inputs: list[Input]

    def run(self) -> Any:
        """Return what it makes."""
        module, _, name = self.function.partition(":")
        function = getattr(import_module(module), name, None) if module.startswith(PREFIX) else None
        if not inspect.isfunction(function) or function.__module__ != module:  # an import of that module's, say
            raise InputError(f"function = {self.function}: must be a function of {PREFIX}*; run the command again")
        kinds, names = get_type_hints(function), inspect.signature(function).parameters
        return function(*(_given(one, kinds[name]) for name, one in zip(names, self.inputs, strict=True)))


class Job(BaseModel):
    """A call whose results are kept."""

    number: int
    """Counts from 1 within a run."""
    call: Call
    outputs: list[dict[str, Any] | None]
    """Datasets; None for what is not to be kept."""
    threads: int

    def keeper(self) -> Callable[[Any], None]:
        """Return what saves all that the function returns, or yields one after the other: a dataset may count."""
        kept = [dataset(config) if config else None for config in self.outputs]

        def keep(made: Any) -> None:
            for one, value in zip(kept, made if len(kept) > 1 else [made], strict=True):
                if one is not None:
                    one.save(value)

        return keep


def dataset(config: dict[str, Any]) -> AbstractDataset:
    """Return a dataset of the catalog's kind."""
    return AbstractDataset.from_config("shared", config)


def describe(node: Node, catalog: CatalogProtocol, makers: dict[str, Node]) -> Call:
    """Put a node into words; ``makers`` are the nodes whose results pass in memory, by name of the result."""
    return Call(
        function=f"{node.func.__module__}:{node.func.__name__}",
        inputs=[_described(name, catalog, makers) for name in node.inputs],
    )


def aside(name: str, catalog: CatalogProtocol, folder: Path) -> dict[str, Any]:
    """Return a dataset like that of the catalog, in another folder; what passes in memory is handed over as JSON."""
    if is_in_memory(name, catalog):
        return {"type": JSON, "filepath": str(folder / f"{name}.json")}
    return _config(name, catalog) | {"filepath": str(folder / path_of(name, catalog).name)}


def path_of(name: str, catalog: CatalogProtocol) -> Path:
    """Return where a dataset lies."""
    return Path(_config(name, catalog)["filepath"])


def folder_of(node: Node, catalog: CatalogProtocol) -> Path:
    """Return the folder of the first dataset that a node writes, or else reads, and that lies in one."""
    names = [name for name in (*node.outputs, *node.inputs) if not is_parameter(name)]
    return path_of(next(name for name in names if not is_in_memory(name, catalog)), catalog).parent


def is_parameter(name: str) -> bool:
    """Tell whether an input is a value of the configuration."""
    return name == "parameters" or name.startswith("params:")


def is_in_memory(name: str, catalog: CatalogProtocol) -> bool:
    """Tell whether a dataset is gone when the process ends."""
    return name not in catalog or isinstance(catalog.get(name), MemoryDataset)


def _described(name: str, catalog: CatalogProtocol, makers: dict[str, Node]) -> Input:
    if is_parameter(name):
        return Input(value=to_jsonable_python(catalog.load(name)))
    if is_in_memory(name, catalog):
        return Input(call=describe(makers[name], catalog, makers))
    return Input(dataset=_config(name, catalog))


def _config(name: str, catalog: CatalogProtocol) -> dict[str, Any]:
    config = catalog.config_resolver.resolve_pattern(name)  # type: ignore[attr-defined]
    return {key: value for key, value in config.items() if key not in ("metadata", "credentials")}  # it is written down


def _given(one: Input, kind: Any) -> Any:
    if one.call:
        return one.call.run()
    if one.dataset:
        return dataset(one.dataset).load()
    return TypeAdapter(kind).validate_python(one.value)
