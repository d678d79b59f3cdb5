"""What happened in a run, as a tape of short records on disk; and where two tapes part.

Each record holds a digest of what was seen and, chained, of all before it, so that two tapes that agree at a place
agree in everything before, and the first place where they part is found by bisection. Where the generators of GPUs
stand is beside the chain: a run on the processor uses none, and is compared with one on a GPU in everything else.
"""

from __future__ import annotations

import enum
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

FLUSHED = 1 << 16  # bytes that are written at a time
_RECORD = struct.Struct("<B3xIIxxxxQQ")
_DTYPE = np.dtype(
    {
        "names": ["kind", "step", "label", "digest", "chain"],
        "formats": ["u1", "<u4", "<u4", "<u8", "<u8"],
        "offsets": [0, 4, 8, 16, 24],
        "itemsize": _RECORD.size,
    }
)


class Kind(enum.IntEnum):
    """What a record is of."""

    DATA = 1  # every item of a set, read under fixed generators
    STRUCTURE = 2  # names, types and shapes of parameters and buffers
    WEIGHTS = 3  # their initial values
    GENERATORS = 4  # where the global generators of Python, numpy and torch stand, but for those of GPUs
    BATCH = 5  # the rows of a step
    STEP = 6  # parameters and buffers after a step
    RESULT = 7  # scores and predictions at the end
    GPUS = 8  # where the generators of GPUs stand; only where there are GPUs


# Where these alone differ, nothing came of it, or a step after them would.
_OF_NO_EFFECT = {Kind.WEIGHTS, Kind.BATCH}


class TapeWriter:
    """Writes a tape, so many bytes at a time; what was written is there even if the process dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._records = (folder / "records").open("wb", buffering=0)
        self._labels = (folder / "labels").open("w", encoding="utf-8")
        self._known: dict[str, int] = {}
        self._chain = 0
        self._waiting = bytearray()
        self.length = 0  # records so far

    def add(self, kind: Kind, step: int, label: str, digest: int) -> None:
        """Append a record."""
        number = self._known.get(label)
        if number is None:
            number = self._known[label] = len(self._known)
            self._labels.write(json.dumps(label) + "\n")
            self._labels.flush()
        chained = 0 if kind is Kind.GPUS else digest
        head = struct.pack("<QBIQ", self._chain, kind, step, chained)
        self._chain = xxhash.xxh3_64_intdigest(head + label.encode(errors="surrogatepass"))
        self._waiting += _RECORD.pack(kind, step, number, digest, self._chain)
        self.length += 1
        if len(self._waiting) >= FLUSHED:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self._records.write(self._waiting)
        self._waiting.clear()

    def close(self) -> None:
        """Write what waits, and close the files."""
        self.flush()
        self._records.close()
        self._labels.close()


@dataclass(frozen=True)
class Record:
    """One record of a tape.

    Attributes:
        place: its number on the tape, from 0.
        step: of training, that it belongs to, from 1; 0 before the first.
        label: what exactly was seen.
    """

    place: int
    kind: Kind
    step: int
    label: str
    digest: int


class Tape:
    """A tape as it was written."""

    def __init__(self, folder: Path) -> None:
        path = folder / "records"
        whole = path.stat().st_size // _RECORD.size if path.exists() else 0
        self._records: NDArray[Any] = np.memmap(path, _DTYPE, "r", shape=(whole,)) if whole else np.zeros(0, _DTYPE)
        labels = folder / "labels"
        text = labels.read_text(encoding="utf-8") if labels.exists() else ""
        self._labels = [json.loads(line) for line in text.splitlines()]

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, place: int) -> Record:
        kind, step, label, digest, _ = self._records[place]
        return Record(place, Kind(int(kind)), int(step), self._labels[int(label)], int(digest))

    def chain(self, place: int) -> int:
        """The digest of everything up to and with a place."""
        return int(self._records[place]["chain"])

    def gpus(self, end: int) -> NDArray[Any]:
        """Digests of where the generators of GPUs stood, of the records before a place; 0 for other records."""
        part = self._records[:end]
        return np.where(part["kind"] == Kind.GPUS, part["digest"], 0)

    def apart_in(self, other: Tape, length: int) -> set[Kind | None]:
        """Kinds of the records before a place that differ, each by itself; None among them where what was seen is of
        another kind, step or label."""
        ours, theirs = self._records[:length], other._records[:length]
        labels = self._labels[: int(ours["label"].max(initial=0)) + 1]  # numbered as they came
        same = labels == other._labels[: len(labels)]
        if not same or any((ours[name] != theirs[name]).any() for name in ("kind", "step", "label")):
            return {None}
        return {Kind(int(kind)) for kind in np.unique(ours["kind"][ours["digest"] != theirs["digest"]])}

    @property
    def draws_in_steps(self) -> bool:
        """Whether a global generator of the processor moved within a step."""
        seen = self._records[(self._records["kind"] == Kind.GENERATORS) & (self._records["step"] > 0)]
        moved = seen["digest"][1:] != seen["digest"][:-1]
        return bool((moved & (seen["step"][1:] == seen["step"][:-1])).any())

    @property
    def training(self) -> int:
        """How many records there are before the result, which is another one where training ends earlier."""
        of_results = np.flatnonzero(self._records["kind"] == Kind.RESULT)
        return int(of_results[0]) if len(of_results) else len(self)

    @property
    def steps(self) -> int:
        """Steps of training that ended."""
        of_steps = self._records["step"][self._records["kind"] == Kind.STEP]
        return int(of_steps[-1]) if len(of_steps) else 0


def agree(one: Tape, other: Tape) -> bool:
    """Whether two tapes are the same as far as the one goes that was ended earlier."""
    length = min(each.training for each in (one, other))
    if not length:
        return True
    chains = one.chain(length - 1) == other.chain(length - 1) or bool(to_no_effect(one, other, length))
    return chains and np.array_equal(one.gpus(length), other.gpus(length))


def to_no_effect(one: Tape, other: Tape, length: int | None = None) -> frozenset[Kind]:
    """The kinds of the records in which two tapes differ, where nothing came of that: initial values of buffers that
    were written to before anything read them, and rows, of which what differs was not used; none where something did,
    or they are the same.

    Args:
        length: records that are compared; where not given all, of which both must then have as many.
    """
    if (length is None and len(one) != len(other)) or not one.steps:
        return frozenset()
    apart = one.apart_in(other, len(one) if length is None else length)
    return frozenset(each for each in apart if each is not None) if apart <= _OF_NO_EFFECT else frozenset()


@dataclass(frozen=True)
class Parting:
    """Where two tapes part: the first place at which they differ, and what stands there; None beyond a tape's end."""

    place: int
    one: Record | None
    other: Record | None

    @property
    def record(self) -> Record:
        """The record of the one that has one."""
        found = self.one or self.other
        assert found is not None
        return found

    @property
    def is_structural(self) -> bool:
        """Whether something else happened, and not the same thing with another result."""
        if self.one is None or self.other is None:
            return True
        return (self.one.kind, self.one.step, self.one.label) != (self.other.kind, self.other.step, self.other.label)


def parting(one: Tape, other: Tape, *, across_devices: bool = False) -> Parting | None:
    """Where two tapes part, by bisection; None where they are the same, or nothing came of what differs.

    Args:
        across_devices: where the generators of GPUs stand is no part of it.
    """
    shorter = min(len(one), len(other))
    low, high = 0, shorter  # all before `low` agree; from `high` on they do not
    while low < high:
        middle = (low + high) // 2
        if one.chain(middle) == other.chain(middle):
            low = middle + 1
        else:
            high = middle
    if not across_devices:
        elsewhere = np.flatnonzero(one.gpus(low) != other.gpus(low))
        if len(elsewhere):
            low = int(elsewhere[0])
            return Parting(low, one[low], other[low])
    if low == shorter and len(one) == len(other):
        return None
    if low < shorter and one[low].kind in _OF_NO_EFFECT and to_no_effect(one, other):
        return None
    return Parting(low, one[low] if low < len(one) else None, other[low] if low < len(other) else None)
