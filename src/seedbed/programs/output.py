"""The result of a program: the numbers in what it prints, or in a file that it writes; and the text itself."""

from __future__ import annotations

import hashlib
import json
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.programs.program import Metric, Program
from seedbed.seeds import Assignment

KEPT_FIRST, KEPT_LAST = 256 * 1024, 768 * 1024  # bytes of what a run prints that are kept
LONGEST_LINE = 1024 * 1024  # bytes; what is longer is no result
SEARCHED_AT_ONCE = 256 * 1024  # bytes, in whole lines: a match that spans two such parts is not found
LARGEST_FILE = 64 * 1024 * 1024
LAST_LINES = 20  # of what was printed, in an error
LONGEST_SHOWN = 500  # characters of each of them
LONGEST_NUMBER = 400  # characters
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NOT_FORESEEN = re.compile(r"(?<![\w.])(?:[-+]?(?:nan|inf(?:inity)?)\b|-(?=\.?\d))", re.IGNORECASE)


class NoMetricError(Exception):
    """What was printed or written holds no result; the message says what was looked for."""


def numbers(text: str) -> dict[str, float]:
    """The numbers of a JSON object, nested names joined by ``/``; none where the text is no such object.

    NaN and the infinities, written as Python's json does, are numbers: a run that diverged.
    """
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return dict(_flattened(found)) if isinstance(found, dict) else {}


def _flattened(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    # A stack of iterators, not recursion: JSON may be nested deeper than Python calls.
    open_ones: list[tuple[str, Iterator[tuple[str, Any]]]] = [("", iter(values.items()))]
    while open_ones:
        prefix, items = open_ones[-1]
        item = next(items, None)
        if item is None:
            open_ones.pop()
            continue
        name, value = item
        if isinstance(value, dict):
            open_ones.append((f"{prefix}{name}/", iter(value.items())))
        elif isinstance(value, int | float) and not isinstance(value, bool) and name:
            yield _as_name(prefix + name), _as_float(value)


def _as_name(text: str) -> str:
    """A name without what would break a table or command a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in storable(text))


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the largest float
        return math.inf if value > 0 else -math.inf


def storable(text: str) -> str:
    """Text without what databases refuse: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


class Reader:
    """Takes what one run prints, as it comes, and tells the result when the run has ended."""

    def standard_line(self, line: bytes) -> None:
        """A line of standard output."""

    def lines(self, text: bytes) -> None:
        """Whole lines of standard output and error, in the order in which they came."""

    def scores(self) -> dict[str, float]:
        """The result.

        Raises:
            NoMetricError: there is none.
        """
        raise NotImplementedError


def reader(program: Program, assignment: Assignment) -> Reader:
    """What reads the result of one run; made before the program is started."""
    file = program.filled_metrics_file(assignment)
    if file is not None:
        return FileReader(file)
    return PatternReader(program.patterns()) if program.metrics else LastLineReader()


class LastLineReader(Reader):
    """The last line of standard output that is a JSON object with a number."""

    def __init__(self) -> None:
        self._found: dict[str, float] = {}

    def standard_line(self, line: bytes) -> None:
        if b"}" in line and b"{" in line:
            text = line.decode(errors="replace").rstrip().rpartition("\r")[2]  # a progress bar may stand before it
            self._found = numbers(text) or self._found

    def scores(self) -> dict[str, float]:
        if not self._found:
            raise NoMetricError(
                "printed no metric: the result is the last line of standard output that is a JSON object with a "
                'number, such as {"accuracy": 0.93}, and there is none. Print one, or say where the result stands: '
                "--metric NAME=REGEX, or --metrics-file FILE"
            )
        return self._found


class PatternReader(Reader):
    """What regular expressions find in all that is printed."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self._waiting = bytearray()
        self._first: dict[str, _Match] = {}
        self._last: dict[str, _Match] = {}
        self._count = Counter[str]()

    def lines(self, text: bytes) -> None:
        self._waiting += text
        if len(self._waiting) >= SEARCHED_AT_ONCE:
            self._search()

    def _search(self) -> None:
        text = self._waiting.decode(errors="replace")
        self._waiting.clear()
        digits = _NOT_FORESEEN.sub(lambda found: "0" * len(found[0]), text)
        for metric in self._metrics:
            if found := _matches(metric.pattern, text, digits):
                self._count[metric.name] += len(found)
                self._first.setdefault(metric.name, _Match.of(found[0], text))
                self._last[metric.name] = _Match.of(found[-1], text)

    def scores(self) -> dict[str, float]:
        self._search()
        return {metric.name: self._value(metric) for metric in self._metrics}

    def _value(self, metric: Metric) -> float:
        name, pattern = metric.name, metric.pattern.pattern
        if name not in self._last:
            raise NoMetricError(f"printed no metric {name}: nothing matches {pattern!r}")
        first, last = self._first[name], self._last[name]
        if metric.take == "only" and self._count[name] > 1:
            raise NoMetricError(
                f"printed metric {name} {self._count[name]} times: {pattern!r} matches {first.found!r} first and "
                f"{last.found!r} last; say which one counts: {name}:last=REGEX or {name}:first=REGEX"
            )
        match = first if metric.take == "first" else last
        try:
            value = float(match.found or "")
        except ValueError:
            what = "nothing" if match.found is None else repr(match.found)
            raise NoMetricError(f"printed no number for metric {name}: {pattern!r} finds {what}") from None
        if match.within is not None and float(match.within) != value:
            raise NoMetricError(
                f"printed {match.within} where metric {name} stands, of which {pattern!r} finds {match.found!r} alone: "
                r"its group must take the whole number, as (\S+) does"
            )
        return value


@dataclass(frozen=True)
class _Match:
    found: str | None  # what stands in the group
    within: str | None  # the number that it is, or is a part of

    @classmethod
    def of(cls, match: re.Match[str], text: str) -> _Match:
        start, end = match.span(1)
        near = _NUMBER.finditer(text, max(0, start - LONGEST_NUMBER), end + LONGEST_NUMBER) if start >= 0 else ()
        within = next((each.group() for each in near if each.start() <= start and end <= each.end()), None)
        return cls(None if start < 0 else text[start:end], within)


def _matches(pattern: re.Pattern[str], text: str, digits: str) -> list[re.Match[str]]:
    """What a pattern finds, in the order of the text.

    Args:
        digits: the text with digits in the place of nan, infinities and minus signs. Where a group such as
            ``([0-9.]+)`` fits them alone, the text's own number is found: a run that diverged in its last epoch would
            otherwise seem to have ended with the value of the one before.
    """
    found = list(pattern.finditer(text))
    if digits != text:
        starts = [match.start() for match in found]
        for match in pattern.finditer(digits):
            place = bisect_right(starts, match.start())
            beside = [*found[max(0, place - 1) : place], *found[place : place + 1]] if starts else []
            apart = all(other.end() <= match.start() or match.end() <= other.start() for other in beside)
            if apart and match.group(1) is not None and match.group(1) != text[slice(*match.span(1))]:
                found.append(match)
        found.sort(key=lambda match: match.start())
    return found


class FileReader(Reader):
    """A JSON file, or the last line with a number of a ``.jsonl`` file, which the run itself has written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = self._state()

    def _state(self) -> tuple[object, ...] | None:
        """Whatever changes when the file is written, as far as its file system tells."""
        try:
            stat = self._path.stat()
            content = self._path.read_bytes() if self._path.is_file() and stat.st_size <= LARGEST_FILE else b""
        except OSError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns, hashlib.blake2b(content).digest()

    def scores(self) -> dict[str, float]:
        now = self._state()
        if now is None or now == self._before:
            old = "" if now is None else ": what is there is of an earlier time"
            raise NoMetricError(f"{self._path} was not written by this run{old}")
        try:
            if not self._path.is_file() or self._path.stat().st_size > LARGEST_FILE:
                raise NoMetricError(f"{self._path} is no file of at most {LARGEST_FILE // 2**20} MiB")
            text = self._path.read_text(encoding="utf-8-sig", errors="replace")
        except OSError as error:
            raise NoMetricError(f"{self._path} cannot be read: {error.strerror}") from error
        in_lines = self._path.suffix == ".jsonl"
        parts = reversed(text.splitlines()) if in_lines else iter([text])
        found = next(filter(None, map(numbers, parts)), None)
        if found is None:
            what = "no line that is a JSON object" if in_lines else "no JSON object"
            raise NoMetricError(f"{self._path} holds {what} with a number")
        return found


class Transcript:
    """What one run prints: standard output and error in the order in which they come, line by line."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pending = {True: bytearray(), False: bytearray()}  # by whether it is standard output
        self._too_long = False  # the beginning of this line of standard output has been given away
        self._first, self._last = bytearray(), bytearray()
        self._left_out = 0

    def add(self, data: bytes, *, standard: bool) -> None:
        """What came from standard output, or else from standard error."""
        pending = self._pending[standard]
        end = data.rfind(b"\n") + 1
        if not end and len(pending) + len(data) <= LONGEST_LINE:  # such as a progress bar, at its every step
            pending += data
            return
        whole, rest = bytes(pending + data[:end]) if end else b"", bytes(data[end:] if end else pending + data)
        if standard and whole:
            lines = whole.split(b"\n")[:-1]
            for line in lines[1:] if self._too_long else lines:
                self._reader.standard_line(line)
            self._too_long = False
        if len(rest) > LONGEST_LINE:
            whole, rest = whole + rest, b""
            self._too_long |= standard
        pending[:] = rest
        self._keep(whole)

    def end(self) -> None:
        """No more will come: lines without an end are lines."""
        for standard, rest in self._pending.items():
            if rest:
                self.add(b"\n", standard=standard)

    def _keep(self, text: bytes) -> None:
        if not text:
            return
        self._reader.lines(text)
        room = KEPT_FIRST - len(self._first)
        self._first += text[:room]
        self._last += text[room:]
        if len(self._last) > 2 * KEPT_LAST:  # not at every line
            self._shorten()

    def _shorten(self) -> None:
        surplus = len(self._last) - KEPT_LAST
        if surplus > 0:
            self._left_out += surplus
            del self._last[:surplus]

    @property
    def text(self) -> str:
        """What is kept of it."""
        self._shorten()
        if not self._left_out:
            return storable((self._first + self._last).decode(errors="replace"))
        first, last = self._first.decode(errors="replace"), self._last.decode(errors="replace")
        return storable(f"{first}\n... {self._left_out:,} bytes are left out here ...\n{last}")


def shortened(text: str) -> str:
    """A text that is too long without its middle, as a transcript leaves it out."""
    encoded = text.encode()
    if len(encoded) <= KEPT_FIRST + KEPT_LAST:
        return text
    whole = Transcript(Reader())
    whole.add(encoded, standard=False)
    whole.end()
    return whole.text


def last_lines(text: str) -> str:
    """The end of what was printed, as an error shows it."""
    lines = [line.rstrip().rpartition("\r")[2] for line in text.rstrip().split("\n")[-LAST_LINES:]]
    return "\n".join(line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}..." for line in lines)
