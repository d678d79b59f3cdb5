"""What was recorded in a window of two runs, side by side: the first operation, or line, at which they part."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.auditing.recorded import LINES, MOST_LINES, MOST_OPERATIONS, OPERATIONS, VALUES
from seedbed.userlines import Line

OTHERS = 3  # further variables that are named
GENERATORS = ("Python's", "numpy's", "torch's", "the GPU's")
_MANTISSAS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}  # bits behind the leading one
_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


@dataclass(frozen=True)
class Size:
    """How far two results of one operation lie apart.

    Attributes:
        ulps: the largest difference, in units in the last place of the number that differs; None where the values are
            no floating-point numbers. Of numbers near 0 it is large, though they are summands of larger ones.
        ulps_of_largest: the largest difference, in units in the last place of the largest number of both results.
        largest: the largest difference of a value.
        elements, of: how many differ, of how many.
    """

    ulps: int | None
    ulps_of_largest: float | None
    largest: float
    elements: int
    of: int


What = Literal["output", "uninitialised", "argument", "input", "generator", "sequence"]


@dataclass(frozen=True)
class OperationParting:
    """The first operation at which two runs part.

    Attributes:
        place: its number in the window.
        what: ``output``: it read the same and wrote something else. ``uninitialised``: it read memory that nothing had
            written to, allocated at ``line``. ``argument``: a number it was given differs. ``input``: a tensor it read
            differs, which no operation in the window wrote. ``generator``: it draws from one that stands elsewhere.
            ``sequence``: it is another operation, or there is none.
        name: ``aten.addmm.default``.
        phase: forward, backward or optimizer.
        module: that runs, by its path and class; of the backward pass, the one whose backward it is.
        line: of the user's code; of the backward pass, the line of the forward pass that it belongs to.
        other: the operation in the other run, of a ``sequence``.
        size: of an ``output``, where it was kept.
    """

    place: int
    what: What
    name: str
    phase: str
    module: str
    line: Line | None
    shapes: tuple[tuple[int | str, ...], ...] = ()
    other: str | None = None
    size: Size | None = None

    @property
    def is_certain(self) -> bool:
        """Whether the difference arises here, and does not come from elsewhere."""
        return self.what in ("output", "uninitialised")


@dataclass(frozen=True)
class LineParting:
    """The first line of the user's code after which two runs part.

    Attributes:
        operations: how many operations had been recorded by then.
        what: ``generator``: it moves a generator in one run and not in the other, or elsewhere. ``unseeded``: it draws
            from a generator that nothing had seeded. ``draws``: it draws from a generator, which is the same in both
            runs there, and not the same everywhere. ``flow``: the next line is another one. ``variable``: a plain
            variable has another value, or a list another order.
        name: of the variable; or whose generator.
        others: further lines after which variables have other values, with their names, where nothing tells which of
            them counts: the last ones before an operation that is another one.
    """

    line: Line
    operations: int
    what: Literal["generator", "unseeded", "draws", "flow", "variable"]
    name: str
    others: tuple[tuple[Line, str], ...] = ()


@dataclass(frozen=True)
class _Entry:
    """One line as it was recorded, at the moment before it ran (``lines.LineTrace``)."""

    file: str
    number: int
    function: str
    event: str
    operations: int
    generators: tuple[int, ...]
    changed: Mapping[str, int]
    evaluating: bool
    going_on: Line | None
    loading: bool

    @property
    def line(self) -> Line:
        """What runs from here to the next entry."""
        return self.going_on or Line(self.file, self.number, self.function)

    @property
    def leaves(self) -> bool:
        """Whether from here to the next entry no code of the user's runs: the outermost function of theirs returned."""
        return self.event == "return" and self.going_on is None

    @property
    def place(self) -> tuple[str, int, str, str]:
        return self.file, self.number, self.function, self.event


def operations(folder: Path) -> Iterator[dict[str, Any]]:
    """The operations that were recorded, in their order, one after the other: there may be very many."""
    return _json_lines(folder / OPERATIONS)


def is_cut_short(folder: Path) -> bool:
    """Whether there was more in a window than is recorded of one."""
    return any(
        sum(1 for _ in _json_lines(folder / name)) >= most
        for name, most in ((OPERATIONS, MOST_OPERATIONS), (LINES, MOST_LINES))
    )


def operation_parting(one: Path, other: Path, same: Sequence[Path] = ()) -> OperationParting | None:
    """The first operation at which two windows part; None where they do not.

    Args:
        same: windows of runs that are the same as ``one`` in all that counts: what differs between these, such as
            scratch space that an operation hands back, is none of it.
    """
    ignored = {each for folder in same for each in _unreliable(operations(one), operations(folder))}
    read, told = _read_otherwise(operations(one), operations(other))
    silent: set[int] = set()  # whose results differ, and are read to no effect
    unread: OperationParting | None = None
    for place, (a, b) in enumerate(itertools.zip_longest(operations(one), operations(other))):
        if a is None or b is None:  # one has no more of them
            return unread or _parting(place, "sequence", a or b)
        if (a["name"], a["shapes"]) != (b["name"], b["shapes"]):
            shapes = " x ".join(map(str, b["shapes"]))
            return _parting(place, "sequence", a, other=f"{b['name']} of {shapes}" if shapes else b["name"])
        if a["numbers"] != b["numbers"] and (place, "numbers", 0) not in ignored:
            return _parting(place, "argument", a)
        for position, (x, y) in enumerate(zip(a["reads"], b["reads"], strict=False)):
            if x != y and (place, "reads", position) not in ignored and a["sources"][position] not in silent:
                if unread is not None and a["sources"][position] == unread.place:
                    return unread
                allocated = a["unsure"][position]
                if allocated is not None and b["unsure"][position] is not None:
                    made = next(itertools.islice(operations(one), allocated, None))
                    return _parting(place, "uninitialised", {**a, **_where(made)})
                return _parting(place, "input", a)
        if a["random"] != b["random"]:
            return _parting(place, "generator", a)
        for number, (x, y) in enumerate(zip(a["writes"], b["writes"], strict=False)):
            if x != y and (place, "writes", number) not in ignored:
                if place in read and place not in told and not a["in_place"]:
                    silent.add(place)
                    continue
                if _reads_ignored(a, b, place, ignored):  # of these it may come, and from further back
                    return _parting(place, "input", a)
                found = _parting(place, "output", a, size=_size(one, other, a["values"][number], b["values"][number]))
                if place in told or a["in_place"]:
                    return found
                unread = unread or found  # such as a second result that nobody uses, and nothing was written to
    return unread


def _reads_ignored(
    a: Mapping[str, Any], b: Mapping[str, Any], place: int, ignored: Collection[tuple[int, str, int]]
) -> bool:
    """Whether an operation read something else, which was passed over since equal runs differ in it too."""
    pairs = enumerate(zip(a["reads"], b["reads"], strict=False))
    return any(x != y and (place, "reads", position) in ignored for position, (x, y) in pairs)


def _unreliable(ours: Iterable[dict[str, Any]], again: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str, int]]:
    """What differs between two equal runs: operation, ``numbers``, ``reads`` or ``writes``, and which of these.

    Not what reads memory that nothing has written to: that differs in equal runs, and is a fault.
    """
    for place, (a, b) in enumerate(zip(ours, again, strict=False)):
        if a["name"] != b["name"]:
            return
        if a["numbers"] != b["numbers"]:
            yield place, "numbers", 0
        for what in ("reads", "writes"):
            for number, (x, y) in enumerate(zip(a[what], b[what], strict=False)):
                if x != y and not (what == "reads" and a["unsure"][number] is not None):
                    yield place, what, number


def _read_otherwise(ours: Iterable[dict[str, Any]], theirs: Iterable[dict[str, Any]]) -> tuple[set[int], set[int]]:
    """The operations whose results others read, and read otherwise in one run than in the other; and those of them
    where that is told by what was written then, or leaves torch, such as a number that is taken to Python."""
    read, told = set(), set()
    for a, b in zip(ours, theirs, strict=False):
        if len(a["reads"]) != len(b["reads"]):
            continue
        apart = {source for source, x, y in zip(a["sources"], a["reads"], b["reads"], strict=True) if x != y}
        read |= apart
        if not a["writes"] or a["writes"] != b["writes"]:
            told |= apart
    return read, told


def _parting(
    place: int, what: What, record: Mapping[str, Any], other: str | None = None, size: Size | None = None
) -> OperationParting:
    line = None if record["file"] is None else Line(record["file"], record["line"], record["function"])
    shapes = tuple(map(tuple, record["shapes"]))
    found = record["name"], record["phase"], record["module"]
    return OperationParting(place, what, *found, line, shapes, other, size)


def _where(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("file", "line", "function")} if record["file"] is not None else {}


def _size(one: Path, other: Path, a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Size | None:
    if a is None or b is None or (a["dtype"], a["of"]) != (b["dtype"], b["of"]):
        return None
    return size_of(_values(one, a), _values(other, b), a["dtype"])


def size_of(one: NDArray[Any], other: NDArray[Any], dtype: str) -> Size:
    """How far two arrays lie apart. ``dtype`` is torch's name of their type; bfloat16 comes as its bits, int16."""
    ulps: int | None = None
    if dtype in _MANTISSAS:
        bits = _BITS[one.dtype.itemsize]
        apart = _ordered(one.view(bits)) - _ordered(other.view(bits))
        ulps = max(map(abs, (int(apart.max(initial=0)), int(apart.min(initial=0)))))
    if dtype == "bfloat16":
        one, other = ((each.view(np.uint16).astype(np.uint32) << 16).view(np.float32) for each in (one, other))
    if one.dtype == bool:
        one, other = one.view(np.uint8), other.view(np.uint8)
    kind = np.complex128 if one.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(one.astype(kind) - other.astype(kind))
    raw = one.tobytes() != other.tobytes()
    differing = int((~((one == other) | ((one != one) & (other != other)))).sum())
    largest = float(np.nanmax(gap, initial=0.0)) if gap.size else 0.0
    return Size(ulps, _in_ulps(largest, one, other, dtype), largest, max(differing, int(raw)), one.size)


def _in_ulps(gap: float, one: NDArray[Any], other: NDArray[Any], dtype: str) -> float | None:
    """A difference in units in the last place of the largest finite number of both arrays."""
    if dtype not in _MANTISSAS:
        return None
    both = np.abs(np.concatenate([one.reshape(-1), other.reshape(-1)]).astype(np.float64))
    greatest = float(both[np.isfinite(both)].max(initial=0.0))
    return gap / 2.0 ** (math.floor(math.log2(greatest)) - _MANTISSAS[dtype]) if greatest > 0 else None


def _ordered(bits: NDArray[Any]) -> NDArray[Any]:
    """Bits of floating-point numbers as integers of which neighbours differ by one; as Python's integers where 64 bits
    could overflow."""
    wide = bits.astype(object if bits.dtype == np.int64 else np.int64)
    least = -(1 << (8 * bits.dtype.itemsize - 1))
    return np.where(bits < 0, least - wide, wide)


def _values(folder: Path, kept: Mapping[str, Any]) -> NDArray[Any]:
    with (folder / VALUES).open("rb") as file:
        file.seek(kept["at"])
        content = file.read(kept["bytes"])
    dtype = {"bfloat16": "int16"}.get(kept["dtype"], kept["dtype"])
    known = dtype in np.sctypeDict
    return np.frombuffer(content, dtype if known else np.uint8).copy()


def line_parting(
    one: Path,
    other: Path,
    same: Sequence[Path] = (),
    *,
    variables_but: Collection[str] | None = None,
    variables_last: bool = False,
    until: int | None = None,
    across_devices: bool = False,
) -> LineParting | None:
    """The first line after which two windows part; None where they do not.

    Args:
        same: windows of runs that are the same as ``one`` in all that counts: what differs between these, such as the
            time or the number of a process, is none of it.
        variables_but: look at plain variables only, but for those of these names, and not at generators: of two runs
            that are meant to draw other numbers.
        variables_last: name variables only where nothing else differs, since nothing tells which of them count.
        until: the operation up to which variables are named then.
        across_devices: only one of them uses the generators of GPUs, which therefore are not looked at.
    """
    looked_at = len(GENERATORS) - across_devices
    ignored = {each for folder in same for each in _variables_apart(_entries(one), _entries(folder))}
    unseeded: LineParting | None = None
    variables: dict[tuple[Line, str], int] = {}  # with the number of operations by then
    before: tuple[_Entry, _Entry] | None = None
    for a, b in zip(_entries(one), _entries(other), strict=False):
        if a.place != b.place:
            return LineParting((before or (a, b))[0].line, a.operations, "flow", "") if unseeded is None else unseeded
        if variables_but is None and before is not None and not before[0].leaves:
            parted = _generators_part(before, (a, b), looked_at)
            if parted is not None and parted.what == "generator":
                return parted
            unseeded = unseeded or parted
        names = [n for n in _apart(a, b) if n not in (variables_but or ()) and (a.place[:3], n) not in ignored]
        if names and not variables_last:
            return LineParting((before or (a, b))[0].line, a.operations, "variable", names[0])
        if names and (until is None or a.operations <= until):
            variables.setdefault(((before or (a, b))[0].line, names[0]), a.operations)
        before = a, b
    if unseeded is not None or not variables:
        return unseeded
    (first, *others) = variables
    return LineParting(first[0], variables[first], "variable", first[1], tuple(others[-OTHERS:]))


def drawing_line(one: Path, while_: Literal["evaluating", "loading"]) -> LineParting | None:
    """The line of a window that moves a generator most often; None where none does.

    Args:
        while_: a model is evaluated (between ``model.eval()`` and ``model.train()``), or rows are loaded.
    """
    found: dict[tuple[Line, str], int] = {}
    for before, after in itertools.pairwise(_entries(one)):
        moved = [name for name, x, y in zip(GENERATORS, before.generators, after.generators, strict=True) if x != y]
        if moved and not before.leaves and getattr(before, while_):
            key = before.line, " and ".join(moved)
            found[key] = found.get(key, 0) + 1
    if not found:
        return None
    line, whose = max(found, key=lambda key: found[key])
    return LineParting(line, 0, "draws", whose)


def _generators_part(before: tuple[_Entry, _Entry], now: tuple[_Entry, _Entry], looked_at: int) -> LineParting | None:
    """What the line before has done to the first few generators, otherwise in one run than in the other.

    In a new process Python's and numpy's stand anywhere until they are seeded.
    """
    moved, unseeded = [], []
    for place, name in enumerate(GENERATORS[:looked_at]):
        one, other = (entry.generators[place] for entry in before)
        one_now, other_now = (entry.generators[place] for entry in now)
        if (one == other and one_now != other_now) or (one != one_now) != (other != other_now):
            moved.append(name)
        elif one != one_now and one_now != other_now:
            unseeded.append(name)
    if moved:
        return LineParting(before[0].line, now[0].operations, "generator", " and ".join(moved))
    return LineParting(before[0].line, now[0].operations, "unseeded", " and ".join(unseeded)) if unseeded else None


def _apart(a: _Entry, b: _Entry) -> list[str]:
    """Names of the variables that changed to other values."""
    return [name for name in {**a.changed, **b.changed} if a.changed.get(name) != b.changed.get(name)]


def _variables_apart(ours: Iterable[_Entry], theirs: Iterable[_Entry]) -> Iterator[tuple[tuple[str, int, str], str]]:
    pairs = zip(ours, theirs, strict=False)
    return ((a.place[:3], name) for a, b in pairs if a.place == b.place for name in _apart(a, b))


def _entries(folder: Path) -> Iterator[_Entry]:
    for entry in _json_lines(folder / LINES):
        file, number, function, event, operations, generators, changed, evaluating, going_on, loading = entry
        line = None if going_on is None else Line(*going_on)
        yield _Entry(file, number, function, event, operations, tuple(generators), changed, evaluating, line, loading)


def _json_lines(path: Path) -> Iterator[Any]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):  # not one that its process could not finish
                yield json.loads(line)
