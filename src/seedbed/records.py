"""What a run leaves behind, and what is asked of it: plain values and numpy arrays, for engines and stores alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.seeds import Assignment


class Status(StrEnum):
    """How a run ended."""

    DONE = "done"
    DIVERGED = "diverged"  # weights or a loss are NaN or infinite: a result
    FAILED = "failed"  # an exception: no result; tried again when the study is resumed


@dataclass(frozen=True)
class Recording:
    """What is kept of each run beside its final scores and the hash of its weights.

    Attributes:
        curve_stride: scores after every so many epochs, and after the last; None: after the last only.
        examples: what was predicted for each evaluated example.
        weights: the final weights.
        witness: the key of a run whose final weights are kept in any case, unless they are very large.
    """

    curve_stride: int | None = None
    examples: bool = True
    weights: bool = False
    witness: str | None = None

    def __post_init__(self) -> None:
        stride = self.curve_stride
        if stride is not None and (isinstance(stride, bool) or not isinstance(stride, int) or stride < 1):
            raise InputError(f"curves are kept every 1 or more epochs, got a stride of {stride!r}")

    def curve_epochs(self, epochs: int) -> tuple[int, ...]:
        """The epochs (counted from 1) after which every score is computed."""
        if self.curve_stride is None:
            return ()
        return tuple(sorted({*range(self.curve_stride, epochs + 1, self.curve_stride), epochs}))


@dataclass(frozen=True)
class EvaluationSet:
    """A named set of examples as a study stores it.

    Attributes:
        name: such as ``test``.
        examples: how many.
        held_out: False where its rows are the training rows.
        classes: number of classes where runs predict classes, None where they predict values.
        targets: what the data set holds, [examples, ...]; empty where predictions are no tensors, and not recorded.
    """

    name: str
    examples: int
    held_out: bool
    classes: int | None
    targets: NDArray[Any]


@dataclass(frozen=True)
class SplitData:
    """What a study stores of the data of one split seed.

    Attributes:
        data_hash: of every item of all its sets.
        sets: its evaluation sets, in the order to be shown.
    """

    data_hash: str
    sets: tuple[EvaluationSet, ...]


@dataclass(frozen=True)
class RunResult:
    """One run, finished.

    Attributes:
        assignment: which seed decided what.
        status: done, diverged or failed.
        scores: final value of each score, by name (``test/accuracy``).
        weights_hash: of names, types, shapes and bytes of all parameters and buffers; None where the run failed.
        wall_seconds: from seeding to the last evaluation.
        curve_epochs: epochs (from 1) at which ``curves`` were computed.
        curves: score to its values, [len(curve_epochs)].
        predictions: evaluation set to predicted classes or values, [examples, ...].
        weights: parameters and buffers in safetensors form, where asked for.
        error: of a failed run, what went wrong.
        output: what it printed, where that is kept; the middle of a long text is left out.
        sets: the evaluation sets that ``predictions`` are of, where the run itself tells them.
    """

    assignment: Assignment
    status: Status
    scores: Mapping[str, float] = field(default_factory=dict)
    weights_hash: str | None = None
    wall_seconds: float = 0.0
    curve_epochs: tuple[int, ...] = ()
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    predictions: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    weights: bytes | None = None
    error: str | None = None
    output: str | None = None
    sets: tuple[EvaluationSet, ...] = ()


def pack_classes(classes: NDArray[Any], count: int) -> bytes:
    """Class numbers below ``count`` in as few bits as hold the largest, most significant bit first."""
    bits = class_bits(count)
    flat = np.asarray(classes).ravel()
    for extreme in (int(flat.min()), int(flat.max())) if flat.size else ():
        if not 0 <= extreme < count:
            raise InputError(f"a predicted class is {extreme}, but there are {count} classes")
    spread = (flat.astype(np.uint32)[:, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint32)) & 1
    return np.packbits(spread.astype(np.uint8)).tobytes()


def unpack_classes(packed: Sequence[bytes], count: int, examples: int) -> NDArray[np.int64]:
    """What ``pack_classes`` packed of each of several runs, [runs, examples]."""
    bits, size = class_bits(count), -(-examples * class_bits(count) // 8)
    for each in packed:
        if len(each) != size:
            raise InputError(f"{len(each)} bytes cannot be {examples} classes of {bits} bits each")
    rows = np.frombuffer(b"".join(packed), np.uint8).reshape(len(packed), size)
    spread = np.unpackbits(rows, axis=1, count=examples * bits).reshape(len(packed), examples, bits)
    classes = np.zeros((len(packed), examples), np.int64)
    for bit in range(bits):
        classes = classes << 1 | spread[:, :, bit]
    return classes


def class_bits(count: int) -> int:
    """Bits that a class number below ``count`` takes."""
    return max(1, (count - 1).bit_length())
