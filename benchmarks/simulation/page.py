"""The page: the template beside this file, with its tables and figures filled in.

In the template, ``[[table NAME]]`` is a table, ``[[NAME: row | column]]`` a figure of it, and ``[[least NAME: rows |
columns]]`` and ``[[most ...]]`` the least and the largest of the figures whose row and column begin as the regular
expressions say. ``[[draws]]`` and ``[[seed]]`` are those of the run. What was not simulated is a question mark.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulation.rows import CONFIDENCE, SEED, Figure, Row

TEMPLATE = Path(__file__).with_name("page.md")
Found = Mapping[str, Mapping[str, Figure]]


def write(rows: Sequence[Row], found: Found, draws: int) -> str:
    def filled(match: re.Match[str]) -> str:
        text = " ".join(match[1].split())  # a placeholder may be broken over two lines
        if text in ("draws", "seed"):
            return f"{draws:,}" if text == "draws" else str(SEED)
        if text.startswith("table "):
            return _table(text.removeprefix("table "), rows, found)
        where, _, column = text.partition(" | ")
        which = re.match(r"(least|most) ", where)
        if which is None:
            return _shown(found.get(where, {}).get(column), bold=False)
        values = [
            figure
            for name, row in found.items()
            if re.match(where[which.end() :], name)
            for key, figure in row.items()
            if re.match(column, key) and figure.value is not None
        ]
        chosen = (min if which[1] == "least" else max)(values, key=lambda each: each.value or 0.0, default=None)
        return _shown(chosen, bold=False)

    text = re.sub(r"\[\[(.+?)\]\]", filled, TEMPLATE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return "\n\n".join(_wrapped(block) for block in text.strip().split("\n\n")) + "\n"


def _wrapped(block: str) -> str:
    """A paragraph in lines of even length again, after figures came into it; what is no paragraph stays."""
    if block.startswith(("|", "#", "- ")):
        return block
    whole = " ".join(block.split()).replace(" %", "\0%")  # a number and its unit stay on one line
    return textwrap.fill(whole, 120, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def _table(name: str, rows: Sequence[Row], found: Found) -> str:
    lines = [(row.label, found[row.name]) for row in rows if row.table == name and row.name in found]
    if not lines:
        return "Not simulated."
    columns = list(dict.fromkeys(column for _, row in lines for column in row))
    drawn = [max(each.draws for each in row.values()) for _, row in lines]
    mixed = len(set(drawn)) > 1
    head = ["", *columns, *(["draws"] if mixed else [])]
    text = [_line(head), _line([":---", *["---:"] * (len(head) - 1)])]
    for (label, row), draws in zip(lines, drawn, strict=True):
        cells = [_shown(row[column]) if column in row else "" for column in columns]
        text.append(_line([label, *cells, *([f"{draws:,}"] if mixed else [])]))
    return "\n".join(text) + "\n\n" + _drawn(drawn)


def _drawn(drawn: Sequence[int]) -> str:
    if not max(drawn):
        return "Sums of probabilities: nothing is drawn."
    least, most = min(drawn), max(drawn)
    numbers, errors = f"{least:,}", f"{_error(most):.2f}"
    if least < most:
        numbers, errors = f"{least:,} to {most:,}", f"{_error(most):.2f} to {_error(least):.2f}"
    return f"{numbers} draws a figure; standard error at 95 % or 5 %: {errors} points."


def _error(draws: int) -> float:
    return 100 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / draws)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(figure: Figure | None, *, bold: bool = True) -> str:
    if figure is None:
        return "?"
    if figure.value is None:
        return "none"
    if figure.kind == "number":
        if figure.draws == 0:
            return f"{figure.value:g}"
        shown = f"{round(figure.value, 1) + 0.0:.1f}"  # with no sign at 0
        return shown + (f" ± {figure.error:.1f}" if figure.error is not None and bold else "")
    text = f"{100 * figure.value:.1f}"
    if bold and figure.outside:
        text = f"**{text}**"
    return text + (f" ({100 * (1 - figure.given):.1f} none)" if figure.given < 0.9995 and bold else "")
