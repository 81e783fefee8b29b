"""Name code by what it does: a digest over a module and all modules of the project that it reaches by imports.

Templates and styles that a module names and that lie beside it count as part of it; comments, docstrings and layout do
not. Nor do the declarations of parameters, whose values are compared, and
how artefacts are stored.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = __package__.partition(".")[0]
BESIDE = (".j2", ".css")
"""Endings of files that a module fills in."""
FOLDERS = {"kind": "networks", "problem": "problems"}
"""Parameters that name a module, and the package it is in."""
SILENT = ("configuration", "support", "shell", "tracking", "catalog")
"""Modules and packages that change no number."""


@cache
def code_fingerprint(module: str) -> str:
    """Return 16 hex digits that change when the code behind ``module`` does."""
    digest = hashlib.sha256()
    for name in sorted(_closure(module)):
        digest.update(name.encode() + _content(name).encode())
    return digest.hexdigest()[:16]


def code_behind(module: str, *values: Any) -> str:
    """Return the same for a module and whatever its parameters name: networks by ``kind``, problems by ``problem``.

    Such modules are imported by name when they are needed, so that no other network or problem counts.
    """
    named = sorted({name for value in values for name in named_modules(value)})
    return hashlib.sha256("".join(map(code_fingerprint, [module, *named])).encode()).hexdigest()[:16]


def reaches(module: str, package: str) -> bool:
    """Tell whether a module imports a package, itself or by others."""
    return package in _closure(module)


def named_modules(value: Any) -> Iterator[str]:
    """Yield the modules that parameters name, however deep."""
    tree = value.model_dump() if hasattr(value, "model_dump") else value
    for key, inner in tree.items() if isinstance(tree, dict) else ():
        if isinstance(inner, dict):
            yield from named_modules(inner)
        elif key in FOLDERS and isinstance(inner, str):
            name = inner if "." in inner else f"{PACKAGE}.{FOLDERS[key]}.{inner}"
            if _source(name):
                yield name


@cache
def _closure(module: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and _source(name):
            found.add(name)
            waiting += [other for other in _imports(name) if not _is_silent(other)]
    return frozenset(found)


def _is_silent(name: str) -> bool:
    return not name.startswith(f"{PACKAGE}.") or name.split(".")[1] in SILENT


@cache  # every node asks for most of the same modules
def _imports(name: str) -> tuple[str, ...]:
    """Return what a module imports; of ``from a import b`` both a and a.b, one of which is a module."""
    found: list[str] = []
    for statement in ast.walk(_tree(name)):
        if isinstance(statement, ast.Import):
            found += (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            found += [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    return tuple(found)


@cache
def _content(name: str) -> str:
    tree = _tree(name)
    for part in ast.walk(tree):
        body = getattr(part, "body", None)
        if isinstance(body, list):  # a text on a line of its own is a docstring, of a module, function or field
            part.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree) + "".join(path.read_text("utf-8") for path in _beside(name, tree))


def _beside(name: str, tree: ast.Module) -> Iterator[Path]:
    """Yield the files that a module names and that lie in its folder."""
    folder = Path(str(_source(name))).parent
    for part in ast.walk(tree):
        named = isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.endswith(BESIDE)
        if named and (folder / part.value).is_file():  # type: ignore[attr-defined]
            yield folder / part.value  # type: ignore[attr-defined]


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def _tree(name: str) -> ast.Module:
    source = _source(name)
    assert source, name
    return ast.parse(source.read_bytes())


@cache
def _source(name: str) -> Path | None:
    """Return a module's file; None for what is no module of Python's."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
