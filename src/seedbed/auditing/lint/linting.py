"""All rules over one file or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from seedbed.auditing.lint.findings import Alarm, Finding
from seedbed.auditing.lint.hashes import hash_orders
from seedbed.auditing.lint.listings import unsorted_listings
from seedbed.auditing.lint.loaders import loader_workers
from seedbed.auditing.lint.memory import uninitialised
from seedbed.auditing.lint.outside import seeds_from_outside
from seedbed.auditing.lint.reading import Source, parse, read_text
from seedbed.auditing.lint.set_iteration import set_iterations
from seedbed.auditing.lint.settings import settings
from seedbed.auditing.lint.unseeded import unseeded
from seedbed.auditing.lint.whole import unseeded_globals

_RULES: tuple[Callable[[Source], Iterator[Alarm]], ...] = (
    seeds_from_outside,
    unseeded,
    loader_workers,
    set_iterations,
    hash_orders,
    unsorted_listings,
    settings,
    uninitialised,
)
_SAYS_MORE = {"seed-from-outside": ("unseeded-generator", "hash-order")}  # one rule on a line, and what it stands for


def lint_source(text: str, file: str, *, whole_program: bool = False) -> list[Finding]:
    """What in a program's text can make one seed give two results, ordered by line.

    The text is read, not run. A line with the comment ``# seedbed: ignore`` is left out, and one with
    ``# seedbed: ignore[rule, ...]`` for these rules.

    Args:
        text: of the file.
        file: its name, for the findings.
        whole_program: whether the text is a program, which must seed what it draws from, and not a part of one.

    Raises:
        InputError: the text is no valid Python; the message names file and line.
    """
    return _lint([parse(text, file)], whole_program)


def lint_files(files: Sequence[str | Path], *, whole_program: bool = False) -> list[Finding]:
    """What in several files can make one seed give two results, ordered by file and line.

    Args:
        files: each is read once. Those of a whole program begin with the one that is run.
        whole_program: whether the files together are a program, which must seed what it draws from.

    Raises:
        InputError: a file cannot be read, or is no valid Python.
    """
    once: dict[Path, str | Path] = {}
    for each in files:
        once.setdefault(Path(each).resolve(), each)
    return _lint([parse(read_text(Path(each)), str(each)) for each in once.values()], whole_program)


def _lint(sources: Sequence[Source], whole_program: bool) -> list[Finding]:
    found: list[Finding] = []
    for source in sources:
        for rule in _RULES:
            found += _findings(source, rule(source))
    if whole_program:
        for source, alarm in unseeded_globals(sources):
            found += _findings(source, iter([alarm]))
    at = {(each.file, each.line, each.rule) for each in found}
    kept = [each for each in found if not _is_said_better(each, at)]
    once = {(each.file, each.line, each.rule): each for each in reversed(kept)}
    return sorted(once.values(), key=lambda each: (each.file, each.line, each.rule))


def _is_said_better(finding: Finding, at: set[tuple[str, int, str]]) -> bool:
    return any(
        finding.rule in others and (finding.file, finding.line, rule) in at for rule, others in _SAYS_MORE.items()
    )


def _findings(source: Source, alarms: Iterator[Alarm]) -> Iterator[Finding]:
    for alarm in alarms:
        if source.silences(alarm.rule, alarm.node):
            continue
        line = alarm.node.lineno
        code = source.lines[line - 1].strip()
        yield Finding(alarm.rule, alarm.severity, source.file, line, code, alarm.message, alarm.remedy)
