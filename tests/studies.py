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
    """An archive of evaluation sets by split, of predictions by set and run, and of curves by score and run."""

    sets: Mapping[int, tuple[EvaluationSet, ...]] = field(default_factory=dict)
    predicted: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    recorded: Mapping[str, Mapping[str, tuple[tuple[int, ...], NDArray[np.float64]]]] = field(default_factory=dict)

    def curves(self, study: str, score: str) -> Mapping[str, tuple[tuple[int, ...], NDArray[np.float64]]]:
        return self.recorded.get(score, {})

    def predictions(self, study: str, evaluation_set: str, key: str | None = None) -> Mapping[str, NDArray[Any]]:
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


def curved(
    seeds: SeedsLike,
    curves: Mapping[str, Any],
    *,
    epochs: Sequence[int] | Sequence[Sequence[int]] | None = None,
    engine: str = "plain",
    larger_is_better: Mapping[str, bool] | None = None,
    status: Mapping[int, str] | None = None,
    returned: Sequence[str] | None = None,
    primary: str | None = None,
) -> Study:
    """A study whose runs recorded these curves, score to values [runs, epochs], and ended with their last values.

    Args:
        epochs: those recorded, of all runs or of each; 1, 2, ... if absent. A run with fewer recorded its first values.
        status: place of a run to how it ended, where that is not well.
        returned: the scores that runs ended with; all that have curves if absent.
    """
    assignments = as_assignments(seeds)
    values = {score: np.asarray(each, dtype=np.float64) for score, each in curves.items()}
    width = next(iter(values.values())).shape[1]
    shared = list(range(1, width + 1)) if epochs is None else list(epochs)
    own = [tuple(each) for each in shared] if isinstance(shared[0], Sequence) else [tuple(shared)] * len(assignments)
    ways = larger_is_better or {score: not score.endswith("loss") for score in values}
    names = list(values) if returned is None else list(returned)
    ended = dict(status or {})
    recorded = {
        score: {
            each.key: (own[i], of_score[i, : len(own[i])])
            for i, each in enumerate(assignments)
            if ended.get(i) != FAILED
        }
        for score, of_score in values.items()
    }
    made = study_of(
        assignments,
        {
            score: [
                ended[i] if i in ended else values[score][i, len(own[i]) - 1] if score in values else 0.5
                for i in range(len(assignments))
            ]
            for score in names
        },
        larger_is_better={score: ways.get(score, True) for score in names},
        archive=Kept(recorded=recorded),
    )
    runs = tuple(replace(run, curve_epochs=() if ended.get(i) == FAILED else own[i]) for i, run in enumerate(made.runs))
    identity = replace(
        made.identity, engine=engine, primary=primary or names[0], fingerprint=Fingerprint({"epochs": width}, {}, {})
    )
    return replace(made, identity=identity, runs=runs)


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
