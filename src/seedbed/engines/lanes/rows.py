"""Hand each run the rows of its batch: from one table that all runs share, by each run's own order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numpy.typing import NDArray

from seedbed.engines.lanes.ir import Buffer
from seedbed.engines.lanes.layout import Layout, Machine

I32, I64 = ir.IntType(32), ir.IntType(64)
CHUNK = 8  # words of a row that are loaded at once, at most
UNROLLED = 8  # chunks of a row; more are done in loops


@dataclass(frozen=True)
class Table:
    """The training rows, one after the other, as words of 32 bits.

    Attributes:
        words: [rows, stride]; integers as int32, in the place of their bits.
        starts: word at which each tensor begins in a row.
        sizes: words of each tensor in a row.
    """

    words: NDArray[np.int32]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def stride(self) -> int:
        """Words from one row to the next."""
        return int(self.words.shape[1])


def make_table(tensors: Sequence[torch.Tensor]) -> Table:
    """The rows of these tensors: packed where rows are short, each tensor on a chunk of its own where they are long."""
    columns = [_words(each) for each in tensors]
    sizes = [each.shape[1] for each in columns]
    packed = sum(sizes) <= CHUNK * UNROLLED
    starts, top = [], 0
    for size in sizes:
        starts.append(top)
        top += size if packed else _rounded(size)
    words = np.zeros((len(columns[0]), _rounded(top)), dtype=np.int32)
    for start, column in zip(starts, columns, strict=True):
        words[:, start : start + column.shape[1]] = column
    return Table(words, tuple(starts), tuple(sizes))


def _words(tensor: torch.Tensor) -> NDArray[np.int32]:
    flat = tensor.detach().reshape(len(tensor), -1)
    if flat.dtype == torch.float32:
        return np.ascontiguousarray(flat.numpy()).view(np.int32)
    return flat.to(torch.int32).numpy()


def _rounded(words: int) -> int:
    return -(-words // CHUNK) * CHUNK


class RowEmitter:
    """Emits the loads of a batch: ``inputs`` are the step's buffers, in the order of the table's tensors."""

    def __init__(self, builder: Any, machine: Machine, layout: Layout, table: Table, arena: Any, rows: Any) -> None:
        self._b, self._machine, self._layout, self._table = builder, machine, layout, table
        self._arena, self._rows = arena, rows

    def own(self, inputs: Sequence[Buffer], order: Any) -> None:
        """Each run's own rows: ``order`` points to [batch][lanes] row numbers."""
        count = inputs[0].shape[0]
        with self._loop(count) as row:
            starts = [self._start(order, row, lane) for lane in range(self._machine.lanes)]
            for chunk, pieces in self._chunks(inputs):
                self._chunk(starts, chunk, pieces, row)

    def shared(self, inputs: Sequence[Buffer], first: Any) -> None:
        """The same rows for all runs, from the row number ``first`` on."""
        count = inputs[0].shape[0]
        with self._loop(count) as row:
            start = self._b.mul(self._b.add(row, first), I64(self._table.stride))
            for buffer, begin, size in zip(inputs, self._table.starts, self._table.sizes, strict=True):
                assert not buffer.varying
                with self._loop(size) as word:
                    source = self._b.add(start, self._b.add(word, I64(begin)))
                    value = self._b.load(self._at(self._rows, source), typ=I32)
                    to = self._b.add(self._b.mul(row, I64(size)), self._b.add(word, I64(self._layout.offsets[buffer])))
                    self._b.store(value, self._at(self._arena, to), align=4)

    def _start(self, order: Any, row: Any, lane: int) -> Any:
        place = self._b.add(self._b.mul(row, I64(self._machine.lanes)), I64(lane))
        number = self._b.zext(self._b.load(self._at(order, place), typ=I32), I64)
        return self._b.mul(number, I64(self._table.stride))

    def _chunks(self, inputs: Sequence[Buffer]) -> Iterator[tuple[Any, list[tuple[int, Buffer, Any]]]]:
        """For each chunk of a row: its first word, and of which words which element of a buffer is made."""
        size = self._width
        if self._table.stride <= CHUNK * UNROLLED:
            for first in range(0, self._table.stride, size):
                pieces = [
                    (word - first, buffer, I64(word - begin))
                    for buffer, begin, length in zip(inputs, self._table.starts, self._table.sizes, strict=True)
                    for word in range(max(first, begin), min(first + size, begin + length))
                ]
                if pieces:
                    yield I64(first), pieces
            return
        for buffer, begin, length in zip(inputs, self._table.starts, self._table.sizes, strict=True):
            whole, left = divmod(length, size)
            if whole:
                with self._loop(whole) as number:
                    first = self._b.mul(number, I64(size))
                    own = [(w, buffer, self._b.add(first, I64(w))) for w in range(size)]
                    yield self._b.add(first, I64(begin)), own
            if left:
                start = whole * size
                yield I64(begin + start), [(w, buffer, I64(start + w)) for w in range(left)]

    @property
    def _width(self) -> int:
        return min(CHUNK, self._machine.lanes)

    def _chunk(self, starts: list[Any], first: Any, pieces: list[tuple[int, Buffer, Any]], row: Any) -> None:
        columns = self._transposed(starts, first)
        lanes = self._machine.lanes
        for word, buffer, element in pieces:
            place = self._b.add(self._b.mul(row, I64(buffer.strides[0])), element)
            place = self._b.add(self._b.mul(place, I64(lanes)), I64(self._layout.offsets[buffer]))
            self._b.store(columns[word], self._at(self._arena, place), align=4 * lanes)

    def _transposed(self, starts: list[Any], first: Any) -> list[Any]:
        """The chunk of each lane's row, as a vector over lanes for each of its words."""
        width, kind = self._width, ir.VectorType(I32, self._width)
        loaded = [self._b.load(self._at(self._rows, self._b.add(s, first)), typ=kind, align=4) for s in starts]
        # One vector holds the row of lane i of every group of ``width`` lanes; then blocks are exchanged by halves.
        vectors = [self._joined(loaded[i::width]) for i in range(width)]
        distance = 1
        while distance < width:
            vectors = self._exchanged(vectors, distance)
            distance *= 2
        return vectors

    def _joined(self, parts: list[Any]) -> Any:
        while len(parts) > 1:
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [self._shuffle(a, b, range(2 * a.type.count)) for a, b in pairs]
        return parts[0]

    def _exchanged(self, vectors: list[Any], distance: int) -> list[Any]:
        lanes, result = self._machine.lanes, list(vectors)
        for i in range(len(vectors)):
            if not i & distance:
                a, b = vectors[i], vectors[i + distance]
                upper = [lanes + p - distance if p & distance else p for p in range(lanes)]
                lower = [lanes + p if p & distance else p + distance for p in range(lanes)]
                result[i], result[i + distance] = self._shuffle(a, b, upper), self._shuffle(a, b, lower)
        return result

    def _shuffle(self, a: Any, b: Any, mask: Sequence[int]) -> Any:
        return self._b.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(mask)), list(mask)))

    def _at(self, base: Any, word: Any) -> Any:
        return self._b.gep(base, [word], inbounds=True, source_etype=I32)

    def _loop(self, count: int) -> Any:
        from seedbed.engines.lanes.emit import counted

        return counted(self._b, I64(0), I64(count))
