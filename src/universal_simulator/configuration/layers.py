"""Parameters laid over others."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

Tree = dict[str, Any]


def overlay(lower: Tree, upper: Tree) -> Tree:
    """Lay ``upper`` over ``lower``, section by section.

    A section that names another ``kind`` replaces the lower one entirely: its keys have another meaning.
    """
    if "kind" in lower and upper.get("kind", lower["kind"]) != lower["kind"]:
        return upper
    merged = dict(lower)
    for key, value in upper.items():
        below = lower.get(key)
        both_sections = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = overlay(below, value) if both_sections else value  # type: ignore[arg-type]
    return merged


def nest(overrides: Mapping[str, Any]) -> Tree:
    """Turn dotted keys into sections: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``."""

    def section(path: str, value: Any) -> Tree:
        return reduce(lambda inner, key: {key: inner}, reversed(path.split(".")), value)

    return reduce(overlay, (section(str(path), value) for path, value in overrides.items()), {})
