"""Parts of a list of runs, for machines that share no store: each computes one into a file of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from seedbed.errors import InputError
from seedbed.locations import is_url, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One part of several.

    Attributes:
        number: which part, from 1.
        count: how many parts there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """A shard from text such as ``3/20``: the third of twenty.

        Raises:
            InputError: it is no such text, or there is no such part.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip(), re.ASCII)
        if not found:
            raise InputError(f"a shard is one part of several, such as 3/20 for the third of twenty; got {text!r}")
        number, count = int(found[1]), int(found[2])
        if not 1 <= number <= count:
            last = f"they go from 1/{count} to {count}/{count}" if count else "the least is 1/1"
            raise InputError(f"there is no shard {text.strip()}: {last}")
        return cls(number, count)

    def of(self, runs: Sequence[T]) -> tuple[T, ...]:
        """Its part of them, every ``count``-th: parts differ in length by one at most, and together are all."""
        return tuple(runs[self.number - 1 :: self.count])

    def largest(self, runs: int) -> int:
        """How many of so many runs the largest part has."""
        return -(-runs // self.count)

    def store(self, location: str | os.PathLike[str]) -> str:
        """The file of its own beside that of the whole: ``seedbed.shard-03-of-20.db`` for ``seedbed.db``.

        Raises:
            InputError: the whole is kept by a database's server.
        """
        if is_url(location):
            raise InputError(
                f"a shard is for a file of its own, and {shown(location)} is a database's URL: a server takes the runs "
                f"of many machines at the same time, without --shard"
            )
        return self._named(location, f"{self.number:0{len(str(self.count))}}")

    def pattern(self, location: str | os.PathLike[str]) -> str:
        """A shell's pattern of the files of all parts, but for what would have to be quoted."""
        return self._named(location, "*")

    def _named(self, location: str | os.PathLike[str], number: str) -> str:
        path = Path(location)
        if not path.name:
            raise InputError(f"a store is a file, such as seedbed.db; got {os.fspath(location)!r}")
        return str(path.with_name(f"{path.stem}.shard-{number}-of-{self.count}{path.suffix}"))
