"""Study: the read model of many runs of one experiment. It only reads; what draws or writes stands above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seedbed.environment import Environment, of_imported
from seedbed.errors import InputError
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, Status
from seedbed.scores import IMPORTED, GroupScores, NothingKept, Scores, as_scores, check_name, direction_settings
from seedbed.seeds import ROLES, Assignment, SeedsLike, as_assignments, as_numbers
from seedbed.stats import Summary, summarize
from seedbed.stats.interval import IMPORTED_RUNS


@dataclass(frozen=True)
class StudyIdentity:
    """What is fixed at a study's first run.

    Attributes:
        name, experiment: of the study and of its experiment.
        parameters: the experiment's parameters that are not defaults, as text.
        fingerprint: settings, shapes and source.
        engine, engine_settings, threads, device: how every run is computed; ``imported``, {}, 0 and ``unknown`` where
            scores were imported.
        primary: the score to follow.
        larger_is_better: score to its direction.
        result_line: a format for the line of one run, or None.
    """

    name: str
    experiment: str
    parameters: Mapping[str, str]
    fingerprint: Fingerprint
    engine: str
    engine_settings: Mapping[str, Any]
    threads: int
    device: str
    primary: str
    larger_is_better: Mapping[str, bool]
    result_line: str | None

    @property
    def imported(self) -> bool:
        """Whether the scores came from a file or list, and nothing else of the runs is known."""
        return self.engine == IMPORTED

    @property
    def seeds_known(self) -> bool:
        """False where imported runs are only numbered: they must not be paired with those of another study."""
        return not (self.imported and self.fingerprint.settings.get("seeds") == "unknown")

    @property
    def guessed_directions(self) -> tuple[str, ...]:
        """Scores whose direction (``larger_is_better``) was guessed from their names when they were imported."""
        return tuple(self.engine_settings.get("guessed_directions", ())) if self.imported else ()


@dataclass(frozen=True)
class StoredRun:
    """One run as it is stored, without its large parts.

    Attributes:
        assignment: which seed decided what.
        status: done, diverged or failed.
        scores: final value of each score.
        weights_hash: of the final weights; None where the run failed, or was imported.
        wall_seconds: how long it took; 0 where it was imported.
        environment: key of the environment it was computed in.
        mixed: computed in another environment than the study's first run, with consent.
        curve_epochs: epochs at which curves are stored.
        error: of a failed run.
    """

    assignment: Assignment
    status: Status
    scores: Mapping[str, float]
    weights_hash: str | None
    wall_seconds: float
    environment: str
    mixed: bool
    curve_epochs: tuple[int, ...]
    error: str | None


class Archive(Protocol):
    """Where a study finds its large parts when they are asked for."""

    def curves(self, study: str, score: str) -> Mapping[str, tuple[tuple[int, ...], NDArray[np.float64]]]:
        """Assignment key to (epochs, values) of every run that has this curve."""
        ...

    def predictions(self, study: str, evaluation_set: str) -> Mapping[str, NDArray[Any]]:
        """Assignment key to predictions [examples, ...] of every run that has them."""
        ...

    def weights(self, study: str, key: str) -> bytes | None:
        """The kept weights of one run."""
        ...

    def evaluation_sets(self, study: str, split: int) -> tuple[EvaluationSet, ...]:
        """The evaluation sets of a split."""
        ...


@dataclass(frozen=True)
class Study:
    """Many runs of one experiment.

    ``study["test/accuracy"]`` is that score of every run [runs], NaN where a run failed or diverged. Runs are in the
    order in which they were asked for, or of their seeds.

    Attributes:
        identity: what all runs have in common.
        runs: the runs.
        environments: key to environment.
    """

    identity: StudyIdentity
    runs: tuple[StoredRun, ...]
    environments: Mapping[str, Environment]
    archive: Archive

    @classmethod
    def from_scores(
        cls,
        scores: Scores | Mapping[str, Any],
        seeds: Any = None,
        *,
        metric: str | None = None,
        larger_is_better: bool | Mapping[str, bool] | None = None,
        name: str | None = None,
    ) -> dict[str, Study]:
        """A study of each group of scores that exist already, in memory: ``{"A": [0.81, 0.79], "B": [0.84, 0.80]}``.

        Everything that needs no curves, predictions or weights works on them. A run with a score that is NaN or
        infinite is a diverged one.

        Args:
            scores: group to scores [runs], or to metric to scores [runs]; or what ``read_scores`` returned, which needs
                no more arguments but ``name``.
            seeds: of the runs, one list for all groups, or group to its own. Where not given, ``seeds_known`` is False:
                runs are numbered, and those of two groups are not paired.
            metric: what the scores are called where groups hold plain lists; ``score`` if absent.
            larger_is_better: which way is better, for all metrics or metric by metric; guessed from the name if absent.
            name: goes before the groups' names, as ``name/A``; studies are called as their groups if absent.

        Raises:
            InputError: there are no groups or scores, lists are of unequal length, a value is no number, a seed is no
                seed or given twice in a group, or arguments stand beside scores that have them already.
        """
        if isinstance(scores, Scores):
            if any(each is not None for each in (seeds, metric, larger_is_better)):
                raise InputError(
                    "seeds, metric and larger_is_better are part of these scores: give them to read_scores"
                )
        else:
            called = {} if metric is None else {"metric": metric}
            scores = as_scores(scores, seeds, larger_is_better=larger_is_better, **called)
        if name is not None:
            check_name(name, "a study's name")
        return {
            group: _imported(group if name is None else f"{name}/{group}" if scores.grouped else name, each, scores)
            for group, each in scores.groups.items()
        }

    @property
    def name(self) -> str:
        """The study's name."""
        return self.identity.name

    @property
    def seeds_known(self) -> bool:
        """False where imported runs are only numbered: they must not be paired with those of another study."""
        return self.identity.seeds_known

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of what every run reports."""
        return tuple(self.identity.larger_is_better)

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The seeds of each run."""
        return tuple(run.assignment for run in self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return f"<Study {self.name!r}: {len(self)} runs, engine {self.identity.engine}>"

    def __getitem__(self, score: str) -> NDArray[np.float64]:
        """That score of every run [runs]; NaN where the run failed or diverged."""
        self.check_score(score)
        return np.array(
            [run.scores.get(score, np.nan) if run.status is Status.DONE else np.nan for run in self.runs],
            dtype=np.float64,
        )

    def check_score(self, score: str) -> str:
        """``score`` if the study has it, or an InputError with the names it has."""
        if score not in self.scores:
            raise InputError(f"{self.name} has no score {score!r}; it has {', '.join(self.scores)}")
        return score

    def select(self, seeds: SeedsLike) -> Study:
        """The same study, of these runs alone and in this order; those that are not stored are left out."""
        return replace(self, runs=tuple(self._by_key[a.key] for a in as_assignments(seeds) if a.key in self._by_key))

    def filter(self, seeds: SeedsLike | None = None, splits: SeedsLike | None = None) -> Study:
        """The same study, of the runs with these plain seeds (of any split), or these split seeds, or both."""
        plain = None if seeds is None else {each.seed for each in as_assignments(seeds)}
        chosen = None if splits is None else set(as_numbers("split", splits))
        return replace(
            self,
            runs=tuple(
                run
                for run in self.runs
                if (plain is None or (run.assignment.is_plain and run.assignment.seed in plain))
                and (chosen is None or run.assignment.split in chosen)
            ),
        )

    def run(self, seed: int | Assignment) -> StoredRun:
        """One run."""
        key = as_assignments(seed)[0].key
        if key not in self._by_key:
            raise InputError(f"{self.name} has no run with {key}")
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> dict[str, StoredRun]:
        return {run.assignment.key: run for run in self.runs}

    def count(self, status: Status) -> int:
        """How many runs ended so."""
        return sum(run.status is status for run in self.runs)

    def summary(self, score: str | None = None, confidence: float = 0.95) -> Summary:
        """A summary of a score (the primary one where none is named) over runs; failed runs are left out.

        Raises:
            InputError: no such score, or no run that did not fail.
        """
        values = self[score or self.identity.primary]
        self._check_not_empty()
        ended = np.array([run.status is not Status.FAILED for run in self.runs], dtype=bool)
        if not ended.any():
            raise InputError(f"{self.name} has no run to summarize: all have failed")
        found = summarize(values[ended], confidence)
        if not self.identity.imported:
            return found
        rate = replace(found.diverged_rate, scope=IMPORTED_RUNS)
        return replace(found, scope=IMPORTED_RUNS, diverged_rate=rate)

    def extremes(self, score: str | None = None) -> tuple[tuple[Assignment, ...], tuple[Assignment, ...]]:
        """The seeds of the runs with the least and with the greatest value of a score."""
        values = self[score or self.identity.primary]
        if not np.isfinite(values).any():
            return (), ()
        finite = np.where(np.isfinite(values), values, np.nan)
        return (
            tuple(self.runs[i].assignment for i in np.flatnonzero(values == np.nanmin(finite))),
            tuple(self.runs[i].assignment for i in np.flatnonzero(values == np.nanmax(finite))),
        )

    def curves(self, score: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Epochs [epochs] and values [runs, epochs] of a score; NaN where a run has no such curve.

        Raises:
            InputError: no such score, or no run kept curves.
        """
        self.check_score(score)
        self._check_not_empty()
        stored = self.archive.curves(self.name, score)
        mine = [stored.get(run.assignment.key) for run in self.runs]
        epochs = sorted({epoch for curve in mine if curve is not None for epoch in curve[0]})
        if not epochs:
            raise InputError(f"{self.name} has no curves: run it again with curves=1 (the command: --curves)")
        column = {epoch: i for i, epoch in enumerate(epochs)}
        values = np.full((len(mine), len(epochs)), np.nan)
        for row, curve in enumerate(mine):
            if curve is not None:
                values[row, [column[epoch] for epoch in curve[0]]] = curve[1]
        return np.array(epochs, dtype=np.int64), values

    def predictions(self, evaluation_set: str) -> NDArray[Any]:
        """What each run predicted for each example [runs, examples, ...]: classes, or values.

        Raises:
            InputError: no such set, a run of the study did not keep its predictions, or runs are of different splits.
        """
        self._check_one_split()
        stored = self.archive.predictions(self.name, evaluation_set)
        missing = [run.assignment.label for run in self.runs if run.assignment.key not in stored]
        if missing:
            raise InputError(
                f"{self.name} has no predictions on {evaluation_set!r} for {len(missing)} of {len(self)} runs "
                f"(the first: {missing[0]})"
            )
        return np.stack([stored[run.assignment.key] for run in self.runs])

    def targets(self, evaluation_set: str, split: int = 0) -> NDArray[Any]:
        """What the data set holds for each example [examples, ...]."""
        return self.evaluation_set(evaluation_set, split).targets

    def evaluation_set(self, name: str, split: int = 0) -> EvaluationSet:
        """An evaluation set as it is stored."""
        sets: Sequence[EvaluationSet] = self.archive.evaluation_sets(self.name, split)
        for each in sets:
            if each.name == name:
                return each
        raise InputError(f"{self.name} has no evaluation set {name!r}; it has {', '.join(s.name for s in sets)}")

    def correct(self, evaluation_set: str) -> NDArray[np.bool_]:
        """Whether each run was right on each example [runs, examples]; of classifications, for one split.

        Raises:
            InputError: the runs predict values, or were tested on different splits.
        """
        described = self.evaluation_set(evaluation_set, self._check_one_split())
        if described.classes is None:
            raise InputError(f"runs of {self.name} predict values, not classes: none is right or wrong")
        right = self.predictions(evaluation_set) == described.targets.reshape(1, *described.targets.shape)
        return np.asarray(right, dtype=np.bool_)

    def _check_not_empty(self) -> None:
        if not self.runs:
            raise InputError(f"no run of {self.name} is selected")

    def _check_one_split(self) -> int:
        """The split seed of all runs."""
        self._check_not_empty()
        splits = {run.assignment.split for run in self.runs}
        if len(splits) > 1:
            raise InputError(f"runs of {len(splits)} splits have different examples: select those of one split")
        return splits.pop()

    def weights(self, seed: int | Assignment) -> bytes:
        """The kept weights of one run, in safetensors form: ``safetensors.torch.load(study.weights(3))``."""
        found = self.archive.weights(self.name, self.run(seed).assignment.key)
        if found is None:
            raise InputError(f"{self.name} kept no weights of {seed}: run again with keep_weights='all'")
        return found

    def to_pandas(self) -> Any:
        """A pandas DataFrame, one row a run: seeds, status, scores, seconds, hash of the weights."""
        try:
            import pandas
        except ImportError:
            raise InputError("to_pandas needs pandas: pip install 'seedbed[pandas]'") from None
        return pandas.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One plain mapping a run, in the order of the runs; None for what is not known of imported ones."""
        return [
            {
                **{each: getattr(run.assignment, each) if self.seeds_known else None for each in ("seed", *ROLES)},
                "status": str(run.status),
                **{name: run.scores.get(name) for name in self.scores},
                "wall_seconds": None if self.identity.imported else run.wall_seconds,
                "weights_hash": run.weights_hash,
                "mixed": run.mixed,
            }
            for run in self.runs
        ]


def _imported(name: str, group: GroupScores, scores: Scores) -> Study:
    """The study of one group of scores."""
    directions = {metric: scores.larger_is_better[metric] for metric in scores.metrics if metric in group.metrics}
    settings = {"seeds": "known" if scores.seeds_known else "unknown", **direction_settings(directions)}
    environment = of_imported(scores.source)
    return Study(
        StudyIdentity(
            name=name,
            experiment=IMPORTED,
            parameters={},
            fingerprint=Fingerprint(settings, {}, {}),
            engine=IMPORTED,
            engine_settings={"guessed_directions": [each for each in scores.guessed if each in directions]},
            threads=0,
            device="unknown",
            primary=next(iter(directions)),
            larger_is_better=directions,
            result_line=None,
        ),
        tuple(
            StoredRun(
                assignment=assignment,
                status=Status.DIVERGED if diverged else Status.DONE,
                scores=run,
                weights_hash=None,
                wall_seconds=0.0,
                environment=environment.hash,
                mixed=False,
                curve_epochs=(),
                error=None,
            )
            for assignment, run, diverged in zip(group.assignments, group.scores, group.diverged, strict=True)
        ),
        {environment.hash: environment},
        NothingKept(),
    )
