"""The text of a program, taken apart without running it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seedbed.auditing.lint.names import Names
from seedbed.auditing.lint.scopes import Scopes, build
from seedbed.errors import InputError

_SILENCED = re.compile(r"#\s*seedbed:\s*ignore(?:\[([^\]]*)\])?", re.ASCII)
_LINE_END = re.compile("\r\n|\r|\n")  # those of Python alone: str.splitlines knows more
EVERY: frozenset[str] = frozenset({"*"})


@dataclass(eq=False)
class Memory:
    """What was answered of a source: question and node to answer; and how many questions are being asked."""

    answers: dict[tuple[object, ast.AST], object] = field(default_factory=dict)
    depth: int = 0


@dataclass(frozen=True, eq=False)
class Source:
    """A parsed file.

    Attributes:
        file: its name, as it was given.
        lines: of its text.
        tree: what Python's own parser makes of it.
        scopes: where its names are bound.
        names: what they stand for.
        silenced: line to the rules that a comment on it silences, ``EVERY`` for all.
        calls: all calls, in the order of the text.
        memory: of the questions about it.
    """

    file: str
    lines: tuple[str, ...]
    tree: ast.Module
    scopes: Scopes
    names: Names
    silenced: Mapping[int, frozenset[str]]
    calls: tuple[ast.Call, ...]
    memory: Memory = field(default_factory=Memory)

    def silences(self, rule: str, node: ast.expr | ast.stmt) -> bool:
        """Whether a comment on the first or last line of a node silences a rule."""
        last = node.end_lineno if isinstance(node, ast.expr) else node.lineno
        rules = {each for line in (node.lineno, last) for each in self.silenced.get(line or 0, ())}
        return rule in rules or rules >= EVERY


def read_text(path: Path) -> str:
    """The text of a Python file, in the encoding that it declares.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with tokenize.open(path) as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise InputError(f"{path} is no valid Python: {error}") from error


def parse(text: str, file: str) -> Source:
    """A program's text, taken apart.

    Raises:
        InputError: it is no valid Python; the message names file and line.
    """
    try:
        with warnings.catch_warnings():  # such as of an escape sequence: the person's own Python tells those
            warnings.simplefilter("ignore")
            tree = ast.parse(text, file)
    except SyntaxError as error:
        raise InputError(f"{file} is no valid Python, line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # null bytes
        raise InputError(f"{file} is no valid Python: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise InputError(f"{file} nests too deeply to be read: {error}") from error
    scopes = build(tree)
    calls = tuple(each for each in scopes.nodes if isinstance(each, ast.Call))
    return Source(file, tuple(_LINE_END.split(text)), tree, scopes, Names(scopes), _silenced(text), calls)


def _silenced(text: str) -> dict[int, frozenset[str]]:
    if "seedbed:" not in text:
        return {}
    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and (match := _SILENCED.search(token.string)):
                rules = match[1]
                named = frozenset(each.strip() for each in rules.split(",")) if rules is not None else EVERY
                found[token.start[0]] = named
    except (tokenize.TokenError, SyntaxError):  # the parser reads it all the same
        pass
    return found
