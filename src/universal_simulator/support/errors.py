"""What a user did wrong, as opposed to what we did wrong, and how to say it in one line.

Say in one line what is wrong with a parameter, or with the machine: name, value, rule, remedy.
"""

import difflib
import errno
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


class InputError(ValueError):
    """A mistake of the user's, told in one line: name, rule, value, remedy.

    The command line prints it as that line and ends with exit status 1; every other exception is a bug of ours and
    keeps its traceback.
    """

    def __str__(self) -> str:
        """Return the line: whatever was typed, it stays one, and cannot steer a terminal."""
        return "".join(letter if letter.isprintable() else " " for letter in super().__str__())


CREDENTIALS = r"//\S*@"
"""A password in an address."""
TAGS = ("values", "range")
"""Of unions whose place in the tree has a name of the user's."""
LONGEST_DEFAULT = 100
"""Characters of a default that a line may quote; a longer one, as a table of changes is, stands in its file."""


def user_mistake(error: BaseException | None) -> InputError | None:
    """Find the user's mistake behind an exception, or None where the fault is ours.

    Kedro wraps what a dataset raises, so the causes are searched too.
    """
    while error is not None:
        if isinstance(error, InputError):
            return error
        if isinstance(error, ValidationError):
            return InputError(explain(error))
        error = error.__cause__
    return None


REMEDIES = {
    errno.ENOSPC: "must have room; free some, or put the data elsewhere with UNIVERSAL_SIMULATOR_DATA",
    errno.EDQUOT: "must be within its quota; free some, or put the data elsewhere with UNIVERSAL_SIMULATOR_DATA",
    errno.EROFS: "must be writable; mount it so, or put the data elsewhere with UNIVERSAL_SIMULATOR_DATA",
    errno.EACCES: "must be writable for this user; change its owner, or set UNIVERSAL_SIMULATOR_DATA",
    errno.EPERM: "must be writable for this user; change its owner, or set UNIVERSAL_SIMULATOR_DATA",
    errno.ENOTDIR: "must be a folder, and is a file; move it away, or set UNIVERSAL_SIMULATOR_DATA",
    errno.EEXIST: "must be a folder, and is a file; move it away, or set UNIVERSAL_SIMULATOR_DATA",
    errno.ENAMETOOLONG: "must have a shorter name; shorten it, or set UNIVERSAL_SIMULATOR_DATA",
    errno.EFBIG: "must be allowed to be larger; raise the limit (ulimit -f)",
    errno.EIO: "must be readable and writable; its disk reports an error: check it",
}
"""What to do about a machine that refuses, by the number of its error."""


def machine_refusal(error: BaseException | None) -> InputError | None:
    """Explain what the machine refused, or return None where something else is wrong."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in REMEDIES:
            where = error.filename or "the disk of the data"
            again = "Run the same command again: what is done is kept"
            return InputError(f"{where} = {error.strerror}: {REMEDIES[error.errno]}. {again}")
        error = error.__cause__ or error.__context__
    return None


def explain(
    error: ValidationError, model: type[BaseModel] | None = None, defaults: dict[str, Any] | None = None
) -> str:
    """Put the first complaint of a validation into one line, with the remedy that is nearest at hand."""
    complaints = error.errors(include_url=False, include_context=True)
    known = sorted(parameter_paths(model)) if model else []
    line = _complaint(complaints[0], known, defaults or {})  # type: ignore[arg-type]
    more = len(complaints) - 1
    return line + (f" (and {more} more like it)" if more else "")


def parameter_paths(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted path of every parameter and section in a model."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(prefix + name)
        for section in _sections(field.annotation):
            found |= parameter_paths(section, f"{prefix}{name}.")
    return found


def suggestion(word: str, known: Iterable[str]) -> str:
    """Guess what was meant: ``did you mean …? `` or nothing."""
    known = list(known)
    leaf = word.rpartition(".")[2]
    near = [path for path in known if path.rpartition(".")[2] == leaf] or difflib.get_close_matches(word, known, 1, 0.6)
    if not near:  # perhaps only the last part is misspelt
        leaves = {path.rpartition(".")[2] for path in known}
        close = difflib.get_close_matches(leaf, leaves, 1, 0.75)
        near = [path for path in known if path.rpartition(".")[2] in close]
    return f"did you mean {' or '.join(near[:3])}? " if near else ""


def shorten(value: object, length: int = 60) -> str:
    """Print a value so that it fits into a sentence, without a password that an address in it may have."""
    text = " ".join(re.sub(CREDENTIALS, "//***@", str(value)).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _complaint(complaint: dict[str, Any], known: list[str], defaults: dict[str, Any]) -> str:
    path, value = _path(complaint["loc"], known), shorten(complaint["input"])
    match complaint["type"]:
        case "extra_forbidden":
            guess = suggestion(path, known) or "see conf/base/parameters.yml "
            return f"{path} = {value}: no such parameter; {guess}".rstrip()
        case "missing" if path.endswith("]"):
            return f"{path} = missing: must be there, in a list of that length; add it to {value}"
        case "missing":
            return f"{path} = missing: must have a value; state it in conf/base/parameters.yml"
        case "union_tag_invalid":
            kind, expected = complaint["ctx"]["tag"], complaint["ctx"]["expected_tags"].replace("'", "")
            guess = suggestion(kind, expected.split(", ")) or f"the default is {_default(path + '.kind', defaults)}"
            return f"{path}.kind = {kind}: must be one of {expected}; {guess}".rstrip()
        case "value_error":  # a rule between several parameters: the message names them and the remedy itself
            message = complaint["msg"].removeprefix("Value error, ")
            return f"{path}: {message}" if path else message
        case "model_type" | "model_attributes_type":
            return f"{path} = {value}: must be a section, not a value; set one of {path}.*"
        case _:
            rule = re.sub(r"^\w+ should", "must", complaint["msg"]).replace("Input tag", "kind")
            return f"{path} = {value}: {rule}; {_remedy(path, defaults)}"


def _remedy(path: str, defaults: dict[str, Any]) -> str:
    default = _default(path.partition("[")[0], defaults)
    if default is None or len(str(default)) > LONGEST_DEFAULT:
        return "see conf/base/parameters.yml"
    return f"the default is {default}" if default != "" else "the default is none"


def _default(path: str, defaults: dict[str, Any]) -> Any:
    found: Any = defaults
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _path(location: tuple[int | str, ...], known: list[str]) -> str:
    """Join a location, without the tags that pydantic adds for the members of a union."""
    path = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
            continue
        longer = f"{path}.{part}" if path else part
        after = location[position + 1 : position + 2]
        is_tag = part in TAGS or (path in known and longer not in known and bool(after) and after[0] not in TAGS)
        path = path if is_tag else longer
    return path


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the models in an annotation, also inside unions and ``Annotated``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)
