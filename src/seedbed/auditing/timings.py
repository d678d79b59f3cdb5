"""Scores that are times, by their names: they differ in every run, and say nothing of the seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

V = TypeVar("V")

_TIME = re.compile(
    r"(?:^|[^a-z])(?:seconds?|secs?|msecs?|ms|minutes|wall_?time|run_?time|wall|"
    r"(?:(?<!survival.)time|elapsed|duration|took)(?:_(?:s|sec|secs|seconds|ms))?|timestamp|fps|throughput|"
    r"(?:s|sec|seconds|ms)(?:/|_per_)(?:epoch|step|batch|it|sample|item)|"
    r"(?:examples|samples|steps|items|it|img|imgs|images|tokens|batches|epochs)(?:/|_per_)(?:s|sec|second))$"
)


def is_time(score: str) -> bool:
    """Whether a score is a time, or a speed, by its name: ``train_seconds``, ``fit time``, ``wallTime``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", score).lower()
    return _TIME.search(words) is not None


def without_times(scores: Mapping[str, V]) -> dict[str, V]:
    """Scores that are no times; all of them where there is no other."""
    kept = {name: value for name, value in scores.items() if not is_time(name)}
    return kept or dict(scores)


def times_of(scores: Iterable[str]) -> tuple[str, ...]:
    """The names of those that ``without_times`` leaves out."""
    names = dict.fromkeys(scores)
    return tuple(name for name in names if name not in without_times(names))
