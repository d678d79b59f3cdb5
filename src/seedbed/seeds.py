"""Seeds and what they decide: plain seeds, roles, ranges and grids.

A *plain* seed decides the initial weights, the order of the training rows and all noise at once, as
``torch.manual_seed(s)`` does at the head of a script. The *roles* ``init``, ``order`` and ``noise`` can also be given
a seed each; ``split`` decides which rows are for training where an experiment makes its own split: 0 unless given.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.errors import InputError

LARGEST_SEED = 2**32 - 1  # numpy refuses more, and torch's MT19937 uses the low 32 bits only: larger ones would repeat
MOST_SEEDS = 10_000_000  # of one list: more is a typing error, and would fill the memory before anything is said
ROLES = ("init", "order", "noise", "split")


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which seed decides what in one run: either ``seed``, a plain seed, or ``init``, ``order`` and ``noise``.

    Made by ``Assignment.plain(7)`` or ``Assignment.roles(init=1, order=2)``. ``key`` is its canonical text, unique
    within a study.
    """

    seed: int | None
    init: int
    order: int
    noise: int
    split: int = 0

    def __post_init__(self) -> None:
        for name in (*ROLES, "seed"):
            value = getattr(self, name)
            if not (name == "seed" and value is None):
                object.__setattr__(self, name, check_seed(value, name))
        if self.seed is not None and not self.seed == self.init == self.order == self.noise:
            raise InputError(f"a plain seed decides init, order and noise alike, got {self.seed} beside "
                             f"init={self.init}, order={self.order}, noise={self.noise}")  # fmt: skip

    @classmethod
    def plain(cls, seed: int, split: int = 0) -> Assignment:
        """What ``random.seed(s); numpy.random.seed(s); torch.manual_seed(s)`` at the head of a script decides."""
        return cls(seed=seed, init=seed, order=seed, noise=seed, split=split)

    @classmethod
    def roles(cls, init: int = 0, order: int = 0, noise: int = 0, split: int = 0) -> Assignment:
        """A seed for each role. Equal seeds in all roles are not the same as that plain seed."""
        return cls(seed=None, init=init, order=order, noise=noise, split=split)

    @classmethod
    @functools.lru_cache(maxsize=2**17)  # a study's keys are read again with each of its large parts
    def from_key(cls, key: str) -> Assignment:
        """The assignment that a ``key`` stands for."""
        parts = {name: int(value) for name, value in (part.split("=") for part in key.split(","))}
        return cls.plain(parts["seed"], parts.get("split", 0)) if "seed" in parts else cls.roles(**parts)

    @property
    def is_plain(self) -> bool:
        """Whether one seed decides init, order and noise together."""
        return self.seed is not None

    @property
    def key(self) -> str:
        """Canonical text, such as ``seed=7``, ``seed=7,split=2`` or ``init=1,order=2,noise=0,split=0``."""
        if self.seed is None:
            return f"init={self.init},order={self.order},noise={self.noise},split={self.split}"
        return f"seed={self.seed}" + (f",split={self.split}" if self.split else "")

    @property
    def label(self) -> str:
        """Short text for people: ``7``, ``7 split=2``, ``init=1 order=2 noise=0``."""
        text = f"init={self.init} order={self.order} noise={self.noise}" if self.seed is None else str(self.seed)
        return text + (f" split={self.split}" if self.split else "")

    @property
    def place(self) -> tuple[bool, int, int, int, int]:
        """Where it stands among others: plain seeds first, then by each role's seed."""
        return (not self.is_plain, self.init, self.order, self.noise, self.split)

    def __str__(self) -> str:
        return self.label


_NO_SEEDS = (bytes, bytearray, memoryview, Mapping)  # iterable, and never meant as seeds
SeedsLike = str | int | Assignment | Iterable[int | Assignment]


def check_seed(value: Any, name: str = "seed") -> int:
    """``value`` as an int from 0 to 2^32 - 1, or an InputError that names it."""
    if type(value) is int and 0 <= value <= LARGEST_SEED:  # all but a few
        return value
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= LARGEST_SEED:
        raise InputError(f"{name} must be a whole number from 0 to {LARGEST_SEED} (2^32 - 1), got {value!r}")
    return number


def parse_seeds(text: str, name: str = "seeds") -> tuple[int, ...]:
    """Seeds from text: ``0:1000`` is Python's range (1000 not included), ``0:100:10`` has a step, commas join.

    A seed that is given twice counts once, at its first place.
    """
    spans: list[range] = []
    for part in map(str.strip, text.split(",")):
        bounds = [bound.strip() for bound in part.split(":")]
        if len(bounds) > 3 or not all(_is_whole(bound) for bound in bounds):
            raise InputError(f"{name}: {part!r} is neither a seed such as 7 nor a range such as 0:1000 (in {text!r})")
        numbers = [int(bound) for bound in bounds]
        if len(numbers) == 3 and numbers[2] < 1:
            raise InputError(f"{name}: the step of {part!r} must be at least 1")
        for bound in numbers[:1]:
            check_seed(bound, name)
        span = range(numbers[0], numbers[0] + 1) if len(numbers) == 1 else range(*numbers)
        if not span:
            raise InputError(f"{name}: {part!r} holds no seed: a range starts below its end, which is not included")
        check_seed(span[-1], name)
        spans.append(span)
    if (count := sum(map(len, spans))) > MOST_SEEDS:
        raise InputError(f"{name}: {text!r} is {count:,} seeds, more than {MOST_SEEDS:,}")
    return tuple(dict.fromkeys(itertools.chain.from_iterable(spans)))


def _is_whole(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) < 1000  # int() refuses longer ones


def _check_range(name: str, seeds: Any) -> None:
    if isinstance(seeds, range) and seeds[MOST_SEEDS:]:  # len() raises beyond 2^63
        raise InputError(f"{name}: {seeds} is more than {MOST_SEEDS:,} seeds")


def as_assignments(seeds: SeedsLike, split: int = 0) -> tuple[Assignment, ...]:
    """Whatever the caller gave for seeds, as assignments: text, one seed, many seeds, or assignments.

    Ints are plain seeds, with the given ``split``. What is given twice counts once.
    """
    if isinstance(seeds, str):
        seeds = parse_seeds(seeds)
    elif isinstance(seeds, Assignment):
        seeds = (seeds,)
    elif not isinstance(seeds, Iterable):
        seeds = (check_seed(seeds),)
    elif isinstance(seeds, _NO_SEEDS):
        raise InputError(f"seeds must be numbers, a range, a list, text or assignments, got {seeds!r:.80}")
    else:
        _check_range("seeds", seeds)
    made = (each if isinstance(each, Assignment) else Assignment.plain(check_seed(each), split) for each in seeds)
    result = tuple(dict.fromkeys(made))
    if not result:
        raise InputError("at least one seed is needed, got none")
    return result


def grid(
    *,
    seed: SeedsLike | None = None,
    init: SeedsLike | None = None,
    order: SeedsLike | None = None,
    noise: SeedsLike | None = None,
    split: SeedsLike | None = None,
) -> tuple[Assignment, ...]:
    """Every combination of the given seeds: a crossed design.

    Each role takes one seed, a range, a list, or text such as ``"0:64"``; roles not named are 0. ``seed`` gives plain
    seeds, and goes with ``split`` alone. The first role named in (init, order, noise, split) varies slowest.

    Raises:
        InputError: nothing is given, ``seed`` stands beside a role that it decides, or a seed is out of range.
    """
    given = {"init": init, "order": order, "noise": noise}
    if seed is not None and any(value is not None for value in given.values()):
        raise InputError("a plain seed decides init, order and noise: give either seed or these roles")
    if seed is None and all(value is None for value in (*given.values(), split)):
        raise InputError("a grid needs at least one of seed, init, order, noise, split")
    splits = as_numbers("split", split)
    levels: Mapping[str, tuple[int, ...]] = {name: as_numbers(name, value) for name, value in given.items()}
    plain = as_numbers("seed", seed)
    if (count := math.prod(map(len, (*levels.values(), plain, splits)))) > MOST_SEEDS:
        raise InputError(f"the grid is {count:,} runs, more than {MOST_SEEDS:,}")
    if seed is not None:
        return tuple(Assignment.plain(s, p) for s, p in itertools.product(plain, splits))
    return tuple(
        Assignment.roles(init=i, order=o, noise=n, split=p)
        for i, o, n, p in itertools.product(levels["init"], levels["order"], levels["noise"], splits)
    )


def as_numbers(name: str, value: SeedsLike | None) -> tuple[int, ...]:
    """Seeds of one role, called ``name`` in errors; 0 where nothing is given."""
    if value is None:
        return (0,)
    if isinstance(value, str):
        return parse_seeds(value, name)
    if isinstance(value, Assignment):
        raise InputError(f"{name} must be seeds, got an assignment: {value}")
    if not isinstance(value, Iterable):
        return (check_seed(value, name),)
    if isinstance(value, _NO_SEEDS):
        raise InputError(f"{name} must be numbers, a range, a list or text, got {value!r:.80}")
    _check_range(name, value)
    result = tuple(dict.fromkeys(check_seed(each, name) for each in value))
    if not result:
        raise InputError(f"{name} needs at least one seed, got none")
    return result
