"""A page's blocks are run in order, in one folder, and their output is compared with what the page shows."""

from __future__ import annotations

import difflib
import doctest
import importlib.util
import itertools
import json
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from checking import terminal
from checking.pages import Block, Step

LIMIT_SECONDS = 300.0
ROOT = Path(__file__).parents[2]


class Fate(Enum):
    """What became of a block."""

    RUN = "run"
    SKIPPED = "skipped"
    NOT_RUN = "not run"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Change:
    """Lines of the page that would show what was printed.

    Attributes:
        first: index of the first line that is replaced.
        count: how many are.
        lines: what takes their place.
    """

    first: int
    count: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """A block, and what became of it.

    Attributes:
        why: the reason of a skip; of a failure what was expected and what came, with their difference.
        changes: what would make the page show what came.
    """

    block: Block
    fate: Fate
    why: str = ""
    changes: tuple[Change, ...] = ()


@dataclass
class Workplace:
    """A folder for the blocks of one page, with a copy of the examples, and one Python for all its Python blocks."""

    folder: Path
    root: Path
    limit: float
    _python: list[subprocess.Popen[str]] = field(default_factory=list)

    def command(self, code: str, *, script: bool) -> tuple[int | None, list[str]]:
        """Run a command of the shell, or a script that ends at the first command that fails."""
        return terminal.run(
            ["bash", *(["-e", "-o", "pipefail"] if script else []), "-c", code], self.folder, self.limit
        )

    def python(self, code: str, name: str, *, single: bool) -> tuple[str | None, list[str]]:
        """Run Python; its error (None where there is none), and the lines that it printed on standard output."""
        told = self.folder / ".stderr"
        if not self._python:
            with told.open("w") as errors:
                child = subprocess.Popen(
                    [sys.executable, Path(__file__).with_name("session.py")],
                    cwd=self.folder, env=terminal.environment(), text=True, encoding="utf-8",
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                )  # fmt: skip
            self._python.append(child)
        child = self._python[0]
        assert child.stdin is not None
        assert child.stdout is not None
        print(json.dumps({"code": code, "name": name, "single": single}), file=child.stdin, flush=True)
        in_time = select.select([child.stdout], [], [], self.limit)[0]
        line = child.stdout.readline() if in_time else ""
        if not line:
            self.close()
            last_words = told.read_text(encoding="utf-8", errors="replace")
            return (f"took longer than {self.limit:.0f} s" if not in_time else f"Python ended:\n{last_words}"), []
        found = json.loads(line)
        return found["error"], found["output"].splitlines()

    def close(self) -> None:
        """End the Python of the page."""
        for child in self._python:
            child.kill()
            with child:  # closes its pipes and waits
                pass
        self._python.clear()


def results(
    page: Path, blocks: Iterable[Block], *, root: Path = ROOT, limit: float = LIMIT_SECONDS
) -> Iterator[Result]:
    """Run a page's blocks and tell what became of each.

    Args:
        root: the folder of the repository, for the copy of its examples and for what blocks are quoted from.
        limit: seconds for each command, and for each Python block.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True)))
        if (root / "examples").is_dir():
            shutil.copytree(root / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        place = Workplace(folder, root, limit)
        stack.callback(place.close)
        for block in blocks:
            if block.is_code:
                yield _result(page, block, place)


def _result(page: Path, block: Block, place: Workplace) -> Result:
    if "no-run" in block.options:
        return Result(block, Fate.NOT_RUN)
    needed = block.options.get("needs", "")
    if missing := [name for name in needed.split(",") if name and importlib.util.find_spec(name) is None]:
        return Result(block, Fate.SKIPPED, f"{' and '.join(missing)} not installed")
    if "file" in block.options:
        path = place.folder / block.options["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    if "from" in block.options:
        source = place.root / block.options["from"]
        if block.text.strip() not in source.read_text(encoding="utf-8"):
            return Result(block, Fate.FAILED, f"these lines do not stand in {block.options['from']}")
    faults, changes = [], []
    for number, step in enumerate(block.steps):
        status = int(block.options.get("exit", 0)) if number == len(block.steps) - 1 else 0
        fault, printed = _run(page, block, step, status, place)
        if fault:
            faults.append(fault)
        if step.shown is not None and not same(step.shown, printed):
            faults.append(_difference(step, printed))
            changes.append(_change(block, step, printed))
    return Result(block, Fate.FAILED if faults else Fate.RUN, "\n".join(faults), tuple(changes))


def _run(page: Path, block: Block, step: Step, expected: int, place: Workplace) -> tuple[str, list[str]]:
    """What went wrong, apart from the output; and the lines that were printed."""
    if block.kind in ("python", "pycon"):
        error, printed = place.python(step.code, f"<{page.name}:{block.line}>", single=block.kind == "pycon")
        return error or "", printed
    status, printed = place.command(step.code, script=block.kind == "sh")
    if status == expected:
        return "", printed
    if status is None:
        fault = f"took longer than {place.limit:.0f} s"
    else:
        fault = f"expected exit status {expected}" + (" (exit=N declares another)" * (not expected)) + f", got {status}"
    told = "" if step.shown is not None else "\n" + "\n".join(printed)
    return f"{step.code.strip()}\n{fault}{told}", printed


def same(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether a page shows what was printed: but for spaces at the ends of lines, for how many blank lines follow one
    another, and for what ``...`` stands for."""
    want, got = ("".join(f"{line}\n" for line in tidied(lines)) for lines in (shown, printed))
    return doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS)


def tidied(lines: Iterable[str]) -> list[str]:
    """Lines without spaces at their ends, one blank line in the place of several, none at either end."""
    kept: list[str] = []
    for blank, group in itertools.groupby((line.rstrip() for line in lines), key=lambda line: not line):
        kept += [""] if blank else group
    return kept[bool(kept) and not kept[0] : len(kept) - (len(kept) > 1 and not kept[-1])]


def merged(shown: Sequence[str], printed: Sequence[str]) -> list[str]:
    """The lines that were printed, with ``...`` wherever the page has it and it still stands for what was printed."""
    want, got = tidied(shown), tidied(printed)
    patterns = [line for line in want if "..." in line and line.strip() != "..."]
    lines = [next((pattern for pattern in patterns if same([pattern], [line])), line) for line in got]
    kept: list[str] = []
    for _, i, j, k, m in difflib.SequenceMatcher(None, want, lines, autojunk=False).get_opcodes():
        dots = [number for number in range(i, j) if want[number].strip() == "..."]
        before, after = (dots[0] - i, j - dots[0] - 1) if len(dots) == 1 else (0, 0)
        cut = len(dots) == 1 and m - k >= before + after
        kept += [*lines[k : k + before], want[dots[0]], *lines[m - after : m]] if cut else lines[k:m]
    return kept


def _difference(step: Step, printed: Sequence[str]) -> str:
    shown = step.shown or ()
    lines = difflib.unified_diff(tidied(shown), merged(shown, printed), "the page", "the output", lineterm="")
    return "\n".join([step.code.strip(), *lines])


def _change(block: Block, step: Step, printed: Sequence[str]) -> Change:
    shown = step.shown or ()
    lines = merged(shown, printed)
    if block.kind == "pycon":
        lines = [line or "<BLANKLINE>" for line in lines]
    return Change(step.first, len(shown), tuple((block.indent + line).rstrip() for line in lines))


def changed(text: str, changes: Iterable[Change]) -> str:
    """A page's text with its changes made."""
    lines = text.splitlines()
    for change in sorted(changes, key=lambda change: change.first, reverse=True):
        lines[change.first : change.first + change.count] = change.lines
    return "\n".join(lines) + "\n"
