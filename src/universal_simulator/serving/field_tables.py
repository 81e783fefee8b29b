"""Fields in a CSV file, one in each row: what is no field in it is recognised, or refused, never taken for one.

Names above the columns, a column of row numbers in front, other separators and decimal commas are what other programs
write unasked.
"""

import logging
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from universal_simulator.acquisition.axes import are_cell_centres
from universal_simulator.support.errors import InputError

FEW = 4
"""Fewer numbers than these look like anything."""
ROW_NUMBERS = {"", "index", "id", "row", "sample", "unnamed: 0"}
"""What a column of row numbers is called."""
NOTHING = {"", "nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity"}
"""What stands where a number is missing."""
REMEDY = 'write with DataFrame.to_csv(path, header=False, index=False), or numpy.savetxt(path, u0, delimiter=",")'

log = logging.getLogger(__name__)


def read_table(path: Path) -> np.ndarray:
    """Return the fields in a CSV file."""
    cells = _cells(path)
    names, body = _header(path, cells)
    names, body = _without_row_numbers(path, names, body)
    if not body.size:
        raise InputError(f"{path}: rows of numbers = none, must be at least one below the names; {REMEDY}")
    if names is not None:
        _refuse_other_columns(path, names)
    values = _numbers(path, body, len(cells) - len(body))
    if len(values) >= FEW and are_cell_centres(values[:, 0]):
        raise InputError(
            f"{path}: first column = positions (i + ½)/{len(values)}, must be a field in each row; transpose"
        )
    return values


def _cells(path: Path) -> np.ndarray:
    """Return the table as text, with points as decimal signs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} = in another encoding, must be UTF-8; convert it (iconv -t UTF-8)") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"{path} = empty, must hold a field in each row; {REMEDY}")
    separator, comma = _notation(path, lines[:FEW])
    try:
        table = pd.read_csv(
            StringIO("\n".join(lines)),
            header=None,
            dtype=str,
            keep_default_na=False,
            sep=separator,
            skipinitialspace=True,
            engine="c",
        )
    except ValueError as error:  # rows of different lengths
        said = " ".join(str(error).split())
        raise InputError(f"{path}: rows must be equally long ({said}); {REMEDY}") from None
    cells = np.char.strip(table.to_numpy().astype(str))
    return np.char.replace(cells, ",", ".") if comma else cells


def _notation(path: Path, lines: list[str]) -> tuple[str, bool]:
    """Return the separator, and whether decimals follow a comma."""
    text = "\n".join(lines)
    for separator in (";", "\t"):
        if separator in text:
            return separator, "," in text and "." not in text
    if "," not in text:
        return r"\s+", False
    if re.search(r"\d,\d+[ \t]+[-+]?\d+,\d", text):
        raise InputError(
            f"{path}: separators = commas and blanks, must be one of them; write decimals with a point, or "
            "semicolons between numbers"
        )
    return ",", False


def _numeric(cells: np.ndarray) -> np.ndarray:
    return np.asarray(pd.to_numeric(pd.Series(cells), errors="coerce"), np.float64)


def _header(path: Path, cells: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Take off the names of the columns, if there are any: text, or numbers that say where the points lie."""
    first = _numeric(cells[0])
    words = [cell for cell, number in zip(cells[0], first, strict=True) if np.isnan(number)]
    if any(word.lower() not in NOTHING for word in words):
        return cells[0], cells[1:]
    points = first[1:] if cells[0, 0] == "" else first
    if len(points) < FEW or np.isnan(points).any():
        return None, cells
    if _are_places(points):
        return cells[0], cells[1:]
    steps = np.diff(points)
    if len(cells) > 1 and steps.min() > 0 and np.ptp(steps) <= 1e-3 * steps.max():
        raise InputError(
            f"{path}: first row = evenly from {points[0]:g} to {points[-1]:g}, must be a field, or the cell centres "
            f"(i + ½)/{len(points)}; take it off if it says where the points lie, or put another field first"
        )
    return None, cells


def _are_places(points: np.ndarray) -> bool:
    """Tell whether numbers are cell centres, or count the points from 0 or 1."""
    counted = points[0] in (0, 1) and bool((points == points[0] + np.arange(len(points))).all())
    return counted or are_cell_centres(points)


def _without_row_numbers(
    path: Path, names: np.ndarray | None, body: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray]:
    """Take off a column that counts the rows; refuse one of which it cannot be told whether it does."""
    if body.shape[1] < 2 or not len(body):
        return names, body
    whole = all(re.fullmatch(r"\d+", cell) for cell in body[:, 0])
    if names is not None:
        counts = names[0].lower() in ROW_NUMBERS and whole
        return (names[1:], body[:, 1:]) if counts else (names, body)
    count = _numeric(body[:, 0])
    if not whole or count[0] not in (0, 1) or (np.diff(count) != 1).any():
        return names, body
    elsewhere = any(not re.fullmatch(r"[-+]?\d+", cell) for cell in body[:, 1:].ravel())
    if len(body) > 1 and elsewhere:
        log.warning("%s: the first column counts the rows: it is taken for no point", path)
        return names, body[:, 1:]
    if len(body) > 1 or elsewhere:
        raise InputError(
            f"{path}: first column = {', '.join(body[:3, 0])}, must be told from row numbers; write its values with "
            f"decimals (0.0) if it is a point, or leave it out if it counts the rows: {REMEDY}"
        )
    return names, body


def _refuse_other_columns(path: Path, names: np.ndarray) -> None:
    """Refuse columns whose names say that they hold something else than points."""
    numbers = _numeric(names)
    parts = [re.fullmatch(r"(\D*?)\[?(\d+(?:\.\d+)?)\]?", name) for name in names]
    if not np.isnan(numbers).any():
        if not _are_places(numbers):
            raise InputError(
                f"{path}: columns = {names[0]} to {names[-1]}, must be the cell centres (i + ½)/{len(names)}; resample"
            )
        return
    prefix = next((part[1] for part in parts if part), None)
    for name, part in zip(names, parts, strict=True):
        if part is None or part[1] != prefix:
            raise InputError(
                f"{path}: column {str(name)!r} = no point of a field, must be left out; a field belongs in each row: "
                f"{REMEDY}"
            )


def _numbers(path: Path, body: np.ndarray, above: int) -> np.ndarray:
    found = _numeric(body.ravel()).reshape(body.shape)
    for row, column in np.argwhere(~np.isfinite(found))[:1]:
        raise InputError(
            f"{path}: row {above + row + 1}, column {column + 1} = {str(body[row, column])!r}, must be a finite "
            "number; correct it, or leave the row out"
        )
    return body.astype(np.float64)
