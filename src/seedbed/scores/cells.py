"""What a cell of a table says: a score, a seed, or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from seedbed.errors import InputError
from seedbed.seeds import check_seed

NO_NUMBER = frozenset({"nan", "na", "n/a", "#n/a", "none", "null", "-"})  # words for a score that is none
_STARTS_AS_NUMBER = re.compile(r"[-+<>~]?\.?\d")
_WHOLE = re.compile(r"(\d+)(\.0*)?")  # 3.0 is what tables make of a whole number beside an empty cell


def as_score(cell: str) -> float | None:
    """The number in a cell: None where it is empty, NaN where it says that there is none.

    Raises:
        InputError: it holds something else, or a number in a form that could be misread.
    """
    if not cell:
        return None
    if cell.lower() in NO_NUMBER:
        return math.nan
    if cell.endswith("%"):
        raise InputError(f"{cell!r} has a percent sign: leave it out, or write the share, for all runs alike")
    if "," in cell:
        raise InputError(f"{cell!r} has a comma: write numbers with a decimal point, such as 0.85")
    try:
        if "_" in cell:
            raise ValueError
        return float(cell)
    except ValueError:
        raise InputError(f"{cell!r} is not a number") from None


def as_seed(cell: str, name: str = "seed") -> int:
    """The seed in a cell.

    Raises:
        InputError: it is empty, no whole number or out of range.
    """
    if not cell:
        raise InputError("a run has no seed")
    whole = _WHOLE.fullmatch(cell)
    if whole is None or len(cell) > 1000:  # int() refuses longer ones
        raise InputError(f"{cell!r:.80} is no seed: a seed is a whole number from 0 to 2^32 - 1")
    return check_seed(int(whole[1]), name)


def are_seeds(cells: Iterable[str]) -> bool:
    """Whether all cells that are not empty hold whole numbers, and one does."""
    full = [cell for cell in cells if cell]
    return bool(full) and all(map(_WHOLE.fullmatch, full))


def are_numbers(cells: Iterable[str], *, one_is_enough: bool = False) -> bool:
    """Whether more than half of the cells that say something begin as numbers do: ``0.9x`` is a number mistyped.

    So do cells that all say that there is no number.
    """
    said = [cell for cell in cells if cell]
    full = [cell for cell in said if cell.lower() not in NO_NUMBER]
    if not full:
        return bool(said)
    numbers = sum(bool(_STARTS_AS_NUMBER.match(cell)) or _is_float(cell) for cell in full)
    return numbers > 0 if one_is_enough else 2 * numbers > len(full)


def are_blank(cells: Iterable[str]) -> bool:
    """Whether all cells are empty."""
    return not any(cells)


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
