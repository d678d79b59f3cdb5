"""Scores of runs that were made elsewhere, by group: plain values, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.metrics import guess_direction
from seedbed.seeds import Assignment, check_seed, parse_seeds

if TYPE_CHECKING:
    from seedbed.records import EvaluationSet

IMPORTED = "imported"  # stands where a study's engine does: what computed the runs is not known
UNNAMED = "score"  # what a score is called where nobody named it


@dataclass(frozen=True)
class GroupScores:
    """The runs of one group, in the order in which they were given.

    Attributes:
        assignments: the seeds of each run, numbers from 0 where seeds are not known.
        scores: metric to value, of each run. A metric that a run does not report is absent; NaN or infinite is the
            score of a run that came to no number.
    """

    assignments: tuple[Assignment, ...]
    scores: tuple[Mapping[str, float], ...]

    def __len__(self) -> int:
        return len(self.assignments)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What at least one run reports."""
        return tuple(dict.fromkeys(name for each in self.scores for name in each))

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Whether a score of each run [runs] is NaN or infinite."""
        return np.array([not all(map(math.isfinite, each.values())) for each in self.scores], dtype=np.bool_)

    def values(self, metric: str) -> NDArray[np.float64]:
        """A metric of every run [runs]; NaN where it reports none."""
        return np.array([each.get(metric, math.nan) for each in self.scores], dtype=np.float64)


@dataclass(frozen=True)
class Scores:
    """Scores of one or several groups of runs.

    Attributes:
        groups: name of a group to its runs, in the order in which they were given.
        metrics: names of the scores; the first is the one to follow.
        larger_is_better: metric to its direction.
        guessed: metrics whose direction was guessed from the name.
        seeds_known: False where runs are only numbered: those of two groups must not be paired then.
        grouped: False where nothing told groups apart, and there is one, named after the file.
        source: the file's name without its folder; None where the scores were given in Python.
        seed_column, group_column: as the file's header has them; None where there is none.
        said: what was found and guessed, a line each.
    """

    groups: Mapping[str, GroupScores]
    metrics: tuple[str, ...]
    larger_is_better: Mapping[str, bool]
    guessed: tuple[str, ...]
    seeds_known: bool
    grouped: bool = True
    source: str | None = None
    seed_column: str | None = None
    group_column: str | None = None
    said: tuple[str, ...] = ()


class NothingKept:
    """The archive of imported scores (``study.Archive``): there are no large parts."""

    def curves(self, study: str, score: str) -> NoReturn:
        """An InputError that says so."""
        _nothing(study, "curves")

    def predictions(self, study: str, evaluation_set: str, key: str | None = None) -> NoReturn:
        """An InputError that says so."""
        _nothing(study, "predictions for each example")

    def weights(self, study: str, key: str) -> NoReturn:
        """An InputError that says so."""
        _nothing(study, "weights")

    def evaluation_sets(self, study: str, split: int) -> tuple[EvaluationSet, ...]:
        """An InputError that says so."""
        _nothing(study, "examples")

    def output(self, study: str, key: str) -> str | None:
        """An InputError that says so."""
        _nothing(study, "output of its runs")


def _nothing(study: str, what: str) -> NoReturn:
    raise InputError(f"{study} has no {what}: its scores were imported, and hold nothing else of their runs")


def as_scores(
    given: Any,
    seeds: Any = None,
    *,
    metric: str = UNNAMED,
    larger_is_better: bool | Mapping[str, bool] | None = None,
) -> Scores:
    """Scores from lists in Python.

    Args:
        given: group to the scores of its runs [runs], or to metric to scores [runs]. NaN and infinities are the scores
            of diverged runs; None is no score, and diverged too where a run has no other.
        seeds: of the runs, one list for all groups, or group to its own; as ``range(5)``, numbers, text such as
            ``"0:5"``, or assignments. Where not given, seeds are not known and runs of two groups are not paired.
        metric: what the scores are called, where groups hold plain lists.
        larger_is_better: which way is better, for all metrics or metric by metric; guessed from the name if absent.

    Raises:
        InputError: there are no groups or no scores, lists are of unequal length, a value is no number, or a seed is
            no seed or given twice in a group.
    """
    if not isinstance(given, Mapping) or not given:
        raise InputError(f'scores are given by group, such as {{"A": [0.81, 0.79]}}; got {given!r:.80}')
    groups: dict[str, GroupScores] = {}
    for name, lists in given.items():
        check_name(name, "a group's name")
        columns = _columns(name, lists, metric)
        count = len(next(iter(columns.values())))
        mine = seeds[name] if isinstance(seeds, Mapping) and name in seeds else seeds
        if isinstance(mine, Mapping):
            raise InputError(
                f"no seeds are given for the group {name!r}; there are seeds of {', '.join(map(str, mine))}"
            )
        scores = tuple(complete({each: column[i] for each, column in columns.items()}) for i in range(count))
        groups[name] = GroupScores(_assignments(name, mine, count), scores)
    metrics = tuple(dict.fromkeys(name for group in groups.values() for name in group.metrics))
    ways, guessed = directions(metrics, larger_is_better)
    return Scores(groups, metrics, ways, guessed, seeds_known=seeds is not None)


def check_name(name: Any, what: str) -> str:
    """``name`` if a study can be called so."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise InputError(f"{what} must be printable and not empty, got {name!r:.80}")
    return name


def directions(
    metrics: Iterable[str], given: bool | Mapping[str, bool] | None
) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Metric to whether larger is better, and the metrics for which that was guessed from the name."""
    metrics = tuple(metrics)
    told = dict(given) if isinstance(given, Mapping) else {} if given is None else dict.fromkeys(metrics, given)
    for name, larger in told.items():
        if name not in metrics:
            raise InputError(
                f"larger_is_better names {name!r}, which is no metric here; there are {', '.join(metrics)}"
            )
        if not isinstance(larger, bool):
            raise InputError(f"larger_is_better must be True or False, got {larger!r:.80} for {name!r}")
    ways = {name: told.get(name, guess_direction(name)) for name in metrics}
    return ways, tuple(name for name in metrics if name not in told)


def direction_settings(ways: Mapping[str, bool]) -> dict[str, str]:
    """Metrics and their directions as a study's settings, by which imports of other scores are told apart."""
    return {f"score {name}": f"{'larger' if larger else 'smaller'} is better" for name, larger in ways.items()}


def complete(cells: Mapping[str, float | None]) -> dict[str, float]:
    """The scores of one run from its cells: empty ones (None) are absent; a run that has none came to no number."""
    present = {name: value for name, value in cells.items() if value is not None}
    return present or dict.fromkeys(cells, math.nan)


def _columns(group: str, lists: Any, metric: str) -> dict[str, list[float | None]]:
    """Metric to its values, of equal length."""
    named = lists if isinstance(lists, Mapping) else {metric: lists}
    if not named:
        raise InputError(f"the group {group!r} has no scores")
    columns = {check_name(name, "a metric's name"): _values(group, name, each) for name, each in named.items()}
    lengths = {name: len(each) for name, each in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{count} of {name!r}" for name, count in lengths.items())
        raise InputError(f"the group {group!r} has metrics of unequal length: {shown}")
    if not next(iter(lengths.values())):
        raise InputError(f"the group {group!r} has no scores: its list is empty")
    return columns


def _values(group: str, metric: str, values: Any) -> list[float | None]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"the scores of {group!r} must be a list of numbers, got {values!r:.80}")
    return [_value(group, metric, i, value) for i, value in enumerate(values)]


def _value(group: str, metric: str, place: int, value: Any) -> float | None:
    if value is None:
        return None
    plain = value.item() if getattr(value, "shape", None) == () else value
    if isinstance(plain, bool | str | bytes) or not hasattr(plain, "__float__") or isinstance(plain, Sized):
        raise InputError(f"score {place} of {group!r} ({metric}) must be a number, got {value!r:.80}")
    return float(plain)


def _assignments(group: str, seeds: Any, count: int) -> tuple[Assignment, ...]:
    if seeds is None:
        return tuple(Assignment.plain(number) for number in range(count))
    listed = parse_seeds(seeds) if isinstance(seeds, str) else seeds
    if not isinstance(listed, Iterable):
        raise InputError(f"seeds must be one for each run, such as range({count}), got {seeds!r:.80}")
    made = [each if isinstance(each, Assignment) else Assignment.plain(check_seed(each)) for each in listed]
    if len(made) != count:
        raise InputError(f"the group {group!r} has {count} runs and {len(made)} seeds: unequal lengths")
    places: dict[Assignment, int] = {}
    for place, each in enumerate(made):
        if (first := places.setdefault(each, place)) != place:
            raise InputError(f"seed {each} is given twice for the group {group!r}, at places {first} and {place}")
    return tuple(made)
