"""What a report holds, before it is a page or a text: sentences, figures, tables, and what could not be told."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.charts.data import Figure


@dataclass(frozen=True)
class TextTable:
    """A table of cells in words.

    Attributes:
        caption: what it is of.
        columns: their headings.
        rows: of as many cells each.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One question and what the runs say of it.

    Attributes:
        key: short, and the same in every report: ``distribution``.
        title: for people.
        text: paragraphs before the figures.
        figures: charts.
        tables: after them.
        notes: what must be known of it.
    """

    key: str
    title: str
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[TextTable, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """What the report does not show, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: the studies' names.
        answer: the first paragraphs: what the numbers support, in sentences that stand alone.
        sections: in the order of reading.
        missing: what could be told of other runs, and is not of these.
        made: how the runs were made: (name, text).
        commands: by which the studies can be made again.
    """

    title: str
    answer: tuple[str, ...]
    sections: tuple[Section, ...]
    missing: tuple[Missing, ...] = ()
    made: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
