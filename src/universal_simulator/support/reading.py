"""One reader for what people write: YAML of version 1.2, in UTF-8, in which every key is a word and stands once.

PyYAML has version 1.1, where ``017`` is 15, ``1:30`` is 90 and ``no`` is false.
"""

import re
from typing import Any

import yaml

from universal_simulator.support.errors import InputError

TAG = "tag:yaml.org,2002:"
PLAIN = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+(_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?([0-9]+(_[0-9]+)*(\.[0-9_]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": ("<<", ["<"]),
}
"""What words mean that stand without quotes, and what they begin with; all others are text."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name for it

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Take keys as they are written, each once; checked here, as merging (``<<``) adds others later."""
        node = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in known:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice", problem_mark=key.start_mark)
            known.add(key.value)
            if key.tag != TAG + "merge":
                key.tag = TAG + "str"
        return node

    def construct_yaml_int(self, node: Any) -> int:
        """Read decimals, also with zeros before them."""
        return int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10)


for _name, (_pattern, _first) in PLAIN.items():
    _Loader.add_implicit_resolver(TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor(TAG + "int", _Loader.construct_yaml_int)


def read_yaml(text: str, where: str) -> Any:
    """Return what a text means; ``where`` begins the line that refuses it, which quotes nothing: it may be a secret."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{where}: must be valid YAML; {line}{error.problem}: correct it") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{where}: must be valid YAML; {reason}: correct it") from error


def read_mapping(content: bytes, where: str) -> dict[str, Any]:
    """Return the sections of a file; none where it is empty."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: must be UTF-8, and byte {error.start} is not; save it in that encoding") from error
    found = read_yaml(text, where)
    if not isinstance(found, dict | None):
        raise InputError(f"{where}: must hold `name: value` pairs; see conf/base/parameters.yml for the names")
    return found or {}


def read_value(key: str, text: str) -> Any:
    """Return what a typed value means: YAML within brackets, braces or quotes, else a number, a truth, null or text.

    So a path keeps its ``#``, ``: `` and ``*``.
    """
    if text[:1] in ("[", "{", '"', "'"):
        try:
            return read_yaml(text, "")
        except InputError as error:
            raise InputError(f"{key} = {text}: must be a YAML value; close its brackets and quotes") from error
    return read_word(key, text)


def read_word(key: str, text: str) -> Any:
    """Return the number, the truth value or the null that a word means, or the word."""
    loader = _Loader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))
    if tag == TAG + "merge":
        return text
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text), deep=True)
    except ValueError as error:
        raise InputError(f"{key} = {text[:20]}…: must be a number that a computer holds; shorten it") from error
