"""Studies that no training made, for tests: runs, scores and predictions as they are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, Status
from seedbed.seeds import Assignment, SeedsLike, as_assignments
from seedbed.study import StoredRun, Study, StudyIdentity

DIVERGED, FAILED = "diverged", "failed"  # given where a score would stand


@dataclass(frozen=True)
class Kept:
    """An archive of evaluation sets by split, and of predictions by set and run."""

    sets: Mapping[int, tuple[EvaluationSet, ...]] = field(default_factory=dict)
    predicted: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)

    def curves(self, study: str, score: str) -> Mapping[str, tuple[tuple[int, ...], NDArray[np.float64]]]:
        return {}

    def predictions(self, study: str, evaluation_set: str) -> Mapping[str, NDArray[Any]]:
        return self.predicted.get(evaluation_set, {})

    def weights(self, study: str, key: str) -> bytes | None:
        return None

    def evaluation_sets(self, study: str, split: int) -> tuple[EvaluationSet, ...]:
        return self.sets.get(split, ())


def study_of(
    seeds: SeedsLike,
    scores: Sequence[Any] | NDArray[Any] | Mapping[str, Sequence[Any] | NDArray[Any]],
    *,
    name: str = "study",
    larger_is_better: bool | Mapping[str, bool] = True,
    archive: Kept | None = None,
) -> Study:
    """A study of these runs; plain lists are of ``test/accuracy``, and a word in the first list is a run's status."""
    given = scores if isinstance(scores, Mapping) else {"test/accuracy": scores}
    assignments = as_assignments(seeds)
    first = next(iter(given.values()))
    assert all(len(each) == len(assignments) for each in given.values())
    ways = larger_is_better if isinstance(larger_is_better, Mapping) else dict.fromkeys(given, larger_is_better)
    return Study(
        StudyIdentity(name, "made", {}, Fingerprint({}, {}, {}), "plain", {}, 1, "cpu", next(iter(given)), ways, None),
        tuple(
            StoredRun(
                assignment=assignment,
                status=Status(first[i]) if isinstance(first[i], str) else Status.DONE,
                # A diverged run has scores too: numbers that are not to be used.
                scores={} if first[i] == FAILED else {score: 99.0 if isinstance(each[i], str) else float(each[i])
                                                      for score, each in given.items()},
                weights_hash=None,
                wall_seconds=1.0,
                environment="",
                mixed=False,
                curve_epochs=(),
                error=None,
            )
            for i, assignment in enumerate(assignments)
        ),
        {},
        archive or Kept(),
    )  # fmt: skip


def classified(
    seeds: SeedsLike,
    correct: NDArray[np.bool_],
    *,
    held_out: bool = True,
    lost: Mapping[int, str] | None = None,
    name: str = "study",
) -> Study:
    """A study whose runs are right where ``correct`` [runs, examples] says so, of two classes; ``lost`` has the
    statuses of runs that did not end well."""
    assignments = as_assignments(seeds)
    targets = np.arange(correct.shape[1]) % 2
    predicted = np.where(correct, targets, 1 - targets)
    described = EvaluationSet("test", correct.shape[1], held_out, 2, targets)
    status = lost or {}
    return study_of(
        assignments,
        [status.get(i, of_run.mean()) for i, of_run in enumerate(correct)],
        name=name,
        archive=Kept(
            dict.fromkeys({each.split for each in assignments}, (described,)),
            # A failed run predicted nothing; what a diverged one predicted is stored.
            {"test": {each.key: predicted[i] for i, each in enumerate(assignments) if status.get(i) != FAILED}},
        ),
    )


def additive(inits: int, orders: int, of_init: float, of_order: float, rest: float, seed: int) -> NDArray[np.float64]:
    """Scores [init, order] whose roles have these spreads."""
    rng = np.random.default_rng(seed)
    return np.asarray(
        of_init * rng.standard_normal((inits, 1))
        + of_order * rng.standard_normal(orders)
        + rest * rng.standard_normal((inits, orders))
    )


def computed(scores: Mapping[str, Sequence[float]], seeds: Any, name: str = "made", epochs: int = 30) -> Study:
    """A study of one experiment with these scores; a run with a NaN among them diverged."""
    study = Study.from_scores({name: {key: list(values) for key, values in scores.items()}}, seeds)[name]
    identity = replace(
        study.identity, engine="reference", threads=1, device="cpu", fingerprint=Fingerprint({"epochs": epochs}, {}, {})
    )
    return replace(study, identity=identity)


def nothing(*numbers: float) -> bool:
    """Whether all of them are NaN: what cannot be said."""
    return all(map(math.isnan, numbers))


def refusal(call: Callable[[], Any]) -> str:
    """The message of the InputError that ``call`` raises."""
    try:
        call()
    except InputError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def swapped(study: Study, order: Sequence[int]) -> Study:
    """The same study with its runs in another order."""
    return replace(study, runs=tuple(study.runs[i] for i in order))


def plain(*seeds: int) -> tuple[Assignment, ...]:
    """Plain seeds, in this order."""
    return tuple(map(Assignment.plain, seeds))
