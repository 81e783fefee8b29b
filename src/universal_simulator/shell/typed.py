"""What is typed: ``--params``, and the file of ``--config``, which is another place for the same."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from universal_simulator.support.errors import InputError
from universal_simulator.support.reading import read_mapping, read_value, read_word
from universal_simulator.support.refusals import suggestion

OPEN, CLOSE, QUOTES, BEFORE_QUOTE = "[{(", "]})", "'\"", "=[{(,: "
CONFIG_SECTION = "run"


def parse_params(text: str) -> dict[str, Any]:
    """Read ``name,name,key.path=value,…``: bare words name experiments, values are YAML.

    A comma inside brackets, braces or quotes belongs to the value.
    """
    params: dict[str, Any] = {}
    names: list[str] = []
    before = ""
    for item in _items(text):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            names.append(_name(item, before))
        elif not key:
            raise InputError(f"params = {item}: a parameter needs a name before the '='; write name=value")
        elif key in ("experiment", "from_run") and not value:
            raise InputError(f"{key} = nothing: must have a value; write {key}=NAME, or drop it")
        elif key == "experiment":
            names += _items(value.strip("[]"))
        else:  # a run's id is of hexadecimal digits, which YAML may take for a number
            params[key] = value if key == "from_run" else read_value(key, value)
        before = item if equals else before
    return {"experiment": names, **params} if names else params


def _name(word: str, before: str) -> str:
    """Return the name of an experiment; refuse what looks like one and is a value."""
    if before and not isinstance(read_word("params", word), str):
        key, _, value = before.partition("=")
        raise InputError(f"params = {before},{word}: a list must stand in brackets; write {key}=[{value},{word}]")
    if ":" in word:
        key, _, value = word.partition(":")
        raise InputError(f"params = {word}: name and value must be joined by '='; write {key.strip()}={value.strip()}")
    return word


def _items(text: str) -> list[str]:
    """Split at the commas outside brackets, braces and quotes; a quote within a word is a letter."""
    pieces, closing, quote, last = [""], 0, "", "="
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in QUOTES and last in BEFORE_QUOTE:
            quote = letter
        else:
            closing = max(0, closing + (letter in OPEN) - (letter in CLOSE))
        if letter == "," and not closing and not quote:
            pieces.append("")
        else:
            pieces[-1] += letter
        last = letter
    return [piece.strip() for piece in pieces if piece.strip()]


def read_config(path: str, options: Mapping[str, str], flags: set[str]) -> dict[str, Any]:
    """Read the section ``run`` of a file; ``options`` has the names that may stand there, and ours for them."""
    try:
        content = read_mapping(Path(path).read_bytes(), path)
    except OSError as error:
        raise InputError(f"config = {path}: must be readable ({error.strerror}); correct it") from error
    section = content.get(CONFIG_SECTION)
    if content.keys() != {CONFIG_SECTION} or not isinstance(section, dict):
        raise InputError(f"config = {path}: must hold one section, `run:`, with the options of kedro run; correct it")
    found: dict[str, Any] = {}
    for key, value in section.items():
        name = options.get(key.replace("-", "_"))
        if name is None:
            guess = suggestion(key, options)
            raise InputError(f"{path}: run.{key}: no such option; {guess}known are {', '.join(sorted(options))}")
        if name in found:
            raise InputError(f"{path}: run.{key}: must stand once; drop its other spelling")
        found[name] = _option(path, key, value, name in flags, name)
    return found


def _option(path: str, key: str, value: Any, flag: bool, name: str) -> Any:
    """Return an option's value as if it had been typed."""
    if flag != isinstance(value, bool) or value is None:
        rule = "true or false" if flag else "a text"
        raise InputError(f"{path}: run.{key} = {value}: must be {rule}; correct it")
    if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        value = ",".join(map(str, value))
    if isinstance(value, dict | list) and not (isinstance(value, dict) and name.endswith("params")):
        raise InputError(f"{path}: run.{key} = {value}: must be a text or a list of words; correct it")
    if name in ("params", "pipelines"):  # which may be typed several times
        return [value if isinstance(value, dict) else str(value)]
    return value if flag or isinstance(value, dict) else str(value)


def merged_params(given: tuple[Any, ...]) -> dict[str, Any]:
    """Join all that was typed as ``--params``, the later winning; a file may have it as a mapping."""
    typed = parse_params(",".join(one for one in given if isinstance(one, str)))
    mappings = [one for one in given if isinstance(one, dict)]
    return {str(key): value for one in mappings for key, value in one.items()} | typed


def pipeline_names(given: tuple[str, ...]) -> list[str]:
    """Return the names of pipelines; refuse an option without any, as an unset variable makes it."""
    names = [name.strip() for one in given for name in re.split(",", one) if name.strip()]
    if given and not names:
        raise InputError("pipelines = nothing: must name a pipeline; write --pipelines=full for all of them")
    return names
