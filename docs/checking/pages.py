"""A page's fenced blocks, by what their first lines say of them."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

KINDS = ("console", "sh", "pycon", "python", "output", "text", "toml", "bash")
CHECKED = ("console", "sh", "pycon", "python")
OPTIONS = {
    "console": ("no-run", "needs", "exit"),
    "sh": ("no-run", "needs", "exit"),
    "pycon": ("no-run", "needs"),
    "python": ("no-run", "needs", "file", "from"),
    "text": ("file",),
}


class PageError(Exception):
    """A page that cannot be read as blocks: where, what was expected, what came."""


@dataclass(frozen=True)
class Step:
    """One thing of a block that is run, and what the page shows of it.

    Attributes:
        code: a command, a script or Python.
        shown: the lines of output on the page; None where output is not compared.
        first: index of the first of these lines in the page; where there is none yet, of where they would stand.
    """

    code: str
    shown: tuple[str, ...] | None
    first: int


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        kind: console, sh, pycon, python; or text, toml and the like, which are neither run nor compared.
        line: of its fence, counted from 1.
        indent: of the fence, as in a list.
        options: by name; those without a value have an empty one.
        text: what stands in it.
        steps: what is run of it, in order; of a block that is not run, none.
    """

    kind: str
    line: int
    indent: str
    options: dict[str, str]
    text: str
    steps: tuple[Step, ...]

    @property
    def is_code(self) -> bool:
        """Whether it is of a kind that is run unless it says otherwise, or a file."""
        return self.kind in CHECKED or "file" in self.options


def read(path: Path) -> tuple[Block, ...]:
    """The blocks of a page, each with the output block that follows it.

    Raises:
        PageError: a block without a kind, of an unknown one, or with an option that its kind has not.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks: list[Block] = []
    for token in MarkdownIt().parse("\n".join(lines)):
        if token.type != "fence" or token.map is None or token.info.strip().startswith("{"):
            continue
        where = f"{path}:{token.map[0] + 1}"
        kind, options = _heading(token.info, where)
        content = token.content.splitlines()
        begins = token.map[0] + 1
        if kind == "output":
            _give_output(blocks, tuple(content), begins, where)
            continue
        fence = lines[token.map[0]]
        blocks.append(
            Block(
                kind,
                begins,
                fence[: len(fence) - len(fence.lstrip())],
                options,
                token.content,
                tuple(_steps(kind, options, token.content, begins, where)),
            )
        )
    return tuple(blocks)


def _heading(info: str, where: str) -> tuple[str, dict[str, str]]:
    kind, *words = info.split() or [""]
    if kind not in KINDS:
        raise PageError(f"{where}: a block must say what it is ({', '.join(KINDS)}), got {kind or 'nothing'!r}")
    options: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        known = OPTIONS.get(kind, ())
        if name not in known:
            raise PageError(f"{where}: a {kind} block takes {', '.join(known) or 'no option'}, got {word!r}")
        if bool(value) == (name == "no-run") or (name == "exit" and not value.isdigit()):
            raise PageError(f"{where}: write no-run, exit=1, needs=MODULE, file=NAME or from=PATH, got {word!r}")
        options[name] = value
    return kind, options


def _give_output(blocks: list[Block], shown: tuple[str, ...], begins: int, where: str) -> None:
    """Add what an output block shows to the block before it."""
    last = blocks[-1] if blocks else None
    if last is not None and "no-run" in last.options:
        return
    if last is None or last.kind not in ("python", "sh") or not last.steps or last.steps[0].shown is not None:
        raise PageError(f"{where}: an output block stands behind a python or sh block that is run, one behind each")
    step = Step(last.steps[0].code, shown, begins)
    blocks[-1] = Block(last.kind, last.line, last.indent, last.options, last.text, (step,))


def _steps(kind: str, options: dict[str, str], text: str, begins: int, where: str) -> Iterator[Step]:
    if {"no-run", "file", "from"} & set(options):
        return
    if kind in ("sh", "python"):
        yield Step(text, None, begins)
    elif kind == "console":
        yield from _commands(text.splitlines(), begins, where)
    elif kind == "pycon":
        for example in doctest.DocTestParser().get_examples(text):
            shown = tuple("" if line == "<BLANKLINE>" else line for line in example.want.splitlines())
            yield Step(example.source, shown, begins + example.lineno + len(example.source.splitlines()))


def _commands(lines: list[str], begins: int, where: str) -> Iterator[Step]:
    """Commands, which begin with ``$ `` and go on behind ``> `` after a backslash, and the lines below each."""
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if not starts or starts[0] != 0:
        raise PageError(f"{where}: a console block begins with a command, a line that begins with '$ '")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        code, first = [lines[start][2:]], start + 1
        while code[-1].endswith("\\") and first < end:
            code.append(re.sub(r"^> ?", "", lines[first]))
            first += 1
        yield Step("\n".join(code), tuple(lines[first:end]), begins + first)
