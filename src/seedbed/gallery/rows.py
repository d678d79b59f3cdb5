"""Read rows of numbers with a class in the last column."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError

FLOAT32_MAX = float(np.finfo(np.float32).max)


def read_rows(path: str | Path, *, inputs: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Inputs [rows, inputs] and classes [rows] of a text file: columns apart by tabs or blanks, the class last.

    Blank lines and lines that begin with ``#`` are passed over.

    Raises:
        InputError: the file cannot be read, or a row is ragged, not numeric, or of a class out of range; file, line
            and column are named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except OSError as error:
        raise InputError(f"the data file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the data file {path} is not text: {error.reason}") from error
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            rows.append(_row(line, f"{path}, line {number}", inputs, classes))
    if not rows:
        raise InputError(f"the data file {path} holds no rows")
    table = np.array(rows, dtype=np.float64)
    return table[:, :-1].astype(np.float32), table[:, -1].astype(np.int64)


def _row(line: str, place: str, inputs: int, classes: int) -> list[float]:
    cells = line.split()
    if len(cells) != inputs + 1:
        raise InputError(f"{place}: a row has {inputs} inputs and a class, {inputs + 1} columns; got {len(cells)}")
    row: list[float] = []
    for column, cell in enumerate(cells, start=1):
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or abs(value) > FLOAT32_MAX:  # it would become an infinity
            raise InputError(f"{place}, column {column}: {cell!r} is not a number that float32 holds")
        row.append(value)
    if row[-1] != int(row[-1]) or not 0 <= row[-1] < classes:
        raise InputError(
            f"{place}, column {inputs + 1}: a class is a whole number from 0 to {classes - 1}, got {cells[-1]}"
        )
    return row
