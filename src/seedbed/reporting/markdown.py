"""A report as Markdown, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Iterator

from seedbed.reporting.document import Document, TextTable

# What would be read as markup where users' own words stand: of a table's cell also the bar.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


def text(document: Document) -> str:
    """The whole report; pictures are left out, the tables behind some of them stand in their place."""
    return "\n\n".join(_parts(document)) + "\n"


def _parts(document: Document) -> Iterator[str]:
    yield f"## {escaped(document.title)}"
    yield from map(escaped, document.answer)
    for section in document.sections:
        if not section.tables:
            continue
        yield f"### {escaped(section.title)}"
        yield from map(escaped, section.text)
        for each in section.tables:
            if each.caption and len(section.tables) > 1:
                yield f"**{escaped(each.caption)}**"
            yield table(each)
        if section.notes:
            yield "\n".join(f"- {escaped(note)}" for note in section.notes)
    yield "### How this was made"
    yield "\n".join(f"- {escaped(name)}: {escaped(told)}" for name, told in document.made)
    if document.commands:
        longest = max((len(run) for each in document.commands for run in re.findall("`+", each)), default=0)
        fence = "`" * max(3, longest + 1)  # which nothing within it ends
        yield "\n".join([fence, *document.commands, fence])


def table(found: TextTable) -> str:
    """A table; its first column is of words, and the others are set to the right."""
    columns = found.columns if any(found.columns) else tuple("" for _ in found.columns)
    rule = ["---", *(["---:"] * (len(columns) - 1))]
    lines = [tuple(map(escaped, columns)), tuple(rule), *(tuple(map(escaped, row)) for row in found.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(words: str) -> str:
    """Words that are shown as they are."""
    return _SPECIAL.sub(r"\\\1", words.replace("\n", " "))
