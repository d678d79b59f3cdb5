"""Where the buffers of programs lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seedbed.engines.lanes.ir import Buffer, Program, Role

LEAST_LANES = 4  # the narrowest vectors that processors have


@dataclass(frozen=True)
class Machine:
    """What the code is made for.

    Attributes:
        lanes: runs in one vector.
        registers: vectors of so many lanes that the processor's registers hold.
    """

    lanes: int
    registers: int

    @property
    def narrower(self) -> Machine | None:
        """Vectors of half as many lanes, for smaller blocks; None where these are the narrowest."""
        return None if self.lanes <= LEAST_LANES else Machine(self.lanes // 2, self.registers)


@dataclass(frozen=True)
class Layout:
    """Where buffers lie in the arena, in words of 32 bits; an element that varies takes a word for each lane."""

    offsets: Mapping[Buffer, int]
    words: int


def layout(programs: Sequence[Program], permanent: Sequence[Buffer], machine: Machine) -> Layout:
    """Give every buffer a place: permanent ones first, then temporaries, which share memory when they never meet."""
    offsets: dict[Buffer, int] = {}
    top = 0

    def size(buffer: Buffer) -> int:
        words = max(buffer.size, 1) * (machine.lanes if buffer.varying else 1)
        return -(-words // 16) * 16  # every buffer begins on a cache line

    for program in programs:
        for buffer in (*permanent, *program.buffers):
            if buffer.role not in (Role.TEMPORARY, Role.SCALARS) and buffer not in offsets:
                offsets[buffer] = top
                top += size(buffer)
    end = top
    for program in programs:
        end = max(end, _place_temporaries(program, offsets, top, size))
    return Layout(offsets, end)


def _place_temporaries(program: Program, offsets: dict[Buffer, int], floor: int, size: Callable[[Buffer], int]) -> int:
    life: dict[Buffer, list[int]] = {}
    for time, node in enumerate(program.nodes):
        touched = [load.buffer for load in node.reads()] + [store.buffer for store in node.stores]
        for buffer in touched:
            if buffer.role is Role.TEMPORARY:
                life.setdefault(buffer, [time, time])[1] = time
    placed: list[tuple[int, int, int, int]] = []  # first word, end, first time, last time
    highest = floor
    for buffer, (first, last) in sorted(life.items(), key=lambda item: item[1][0]):
        words, at = size(buffer), floor
        for begin, end, _, _ in sorted(p for p in placed if p[2] <= last and first <= p[3]):
            if at + words <= begin:
                break
            at = max(at, end)
        placed.append((at, at + words, first, last))
        offsets[buffer] = at
        highest = max(highest, at + words)
    return highest
