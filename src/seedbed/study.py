"""Study: the read model of many runs of one experiment. It only reads; what draws or writes stands above it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seedbed import stats
from seedbed.designs import WORDS, Design, crossed_table
from seedbed.environment import Environment, of_imported
from seedbed.errors import InputError
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, Status
from seedbed.scores import IMPORTED, GroupScores, NothingKept, Scores, as_scores, check_name, direction_settings
from seedbed.seeds import ROLES, Assignment, SeedsLike, as_assignments, as_numbers
from seedbed.stats.interval import IMPORTED_RUNS
from seedbed.stats.summary import without_intervals


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
        score = self.check_score(score)
        return np.array(
            [run.scores.get(score, np.nan) if run.status is Status.DONE else np.nan for run in self.runs],
            dtype=np.float64,
        )

    def check_score(self, score: str | None = None) -> str:
        """The full name of a score: the primary one where none is given; ``accuracy`` for ``test/accuracy`` where no
        other evaluation set has it. An InputError with the names there are, where it is none."""
        if score is None:
            return self.identity.primary
        if score in self.scores:
            return score
        meant = [name for name in self.scores if name.partition("/")[2] == score]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise InputError(f"{self.name} has {score!r} of several evaluation sets: say {' or '.join(meant)}")
        raise InputError(f"{self.name} has no score {score!r}; it has {', '.join(self.scores)}")

    def larger_is_better(self, score: str | None = None) -> bool:
        """Which way a score is better; directs best, worst, wins and verdicts."""
        return self.identity.larger_is_better[self.check_score(score)]

    @cached_property
    def design(self) -> Design:
        """What the seeds of these runs form: independent draws, a crossed table, or neither."""
        self._check_not_empty()
        return Design.of(self.assignments)

    @property
    def scope(self) -> stats.Scope:
        """What these runs drew anew, and what they had in common: what any statistic of them is about."""
        if self.identity.imported:
            return IMPORTED_RUNS
        varied, fixed = self.design.varied, self.design.fixed
        drawn = tuple(WORDS[role] for role in varied) or ("seeds",)
        held = tuple(f"{WORDS[role]} (seed {seed})" for role, seed in fixed.items() if role not in ("seed", "split"))
        split = () if "split" in varied else ("split",)
        return stats.Scope(drawn, (*held, "data", *split, "hyperparameters"))

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

    @cached_property
    def plain(self) -> Study:
        """The same study, of its runs with plain seeds."""
        return replace(self, runs=tuple(run for run in self.runs if run.assignment.is_plain))

    @cached_property
    def by_roles(self) -> Study:
        """The same study, of its runs with a seed for each role."""
        return replace(self, runs=tuple(run for run in self.runs if not run.assignment.is_plain))

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

    def summary(self, score: str | None = None, confidence: float = 0.95) -> stats.Summary:
        """A summary of a score (the primary one where none is named) over runs; failed runs are left out.

        Where runs share seeds, as those of a crossed design do, they are not independent: the interval of the mean is
        then `stats.crossed_mean_interval`'s, sd with its interval is of two runs that share no seed
        (`stats.isolate`), and sem and the interval of one further run are NaN. Where they share seeds in another way
        than as a crossed table, no interval is given. The notes say so.

        Raises:
            InputError: no such score, or no run that did not fail.
        """
        score = self.check_score(score)
        self._check_not_empty()
        ended = replace(self, runs=tuple(run for run in self.runs if run.status is not Status.FAILED))
        if not ended.runs:
            raise InputError(f"{self.name} has no run to summarize: all have failed")
        found = stats.summarize(ended[score], confidence)
        scope = ended.scope
        found = replace(found, scope=scope, diverged_rate=replace(found.diverged_rate, scope=scope))
        if ended.design.kind == "independent" or found.n == 0:
            return found
        return ended._with_shared_seeds(found, score)

    def _with_shared_seeds(self, found: stats.Summary, score: str) -> stats.Summary:
        """A summary of runs that share seeds, with what may be said of such."""
        nan, roles = math.nan, tuple(self.design.varied)
        found = without_intervals(found)
        shared = f"runs share seeds ({self.design.words})"
        try:
            if self.design.kind == "entangled":
                raise InputError("these are no crossed design")
            table = crossed_table(self.assignments, self[score], roles)
        except InputError:
            note = f"{shared} and are not independent: no interval can be given. Select runs that share none"
            return replace(found, notes=(note, *found.notes))
        mean = stats.crossed_mean_interval(table.scores, found.confidence)
        low, high = (nan, nan) if mean.low is None or mean.high is None else (mean.low, mean.high)
        notes = [f"{shared}: the interval of the mean allows for it, and none is given for a further run"]
        if mean.note:
            notes.append(f"of the interval of the mean: {mean.note}")
        if table.note:
            notes.append(f"intervals are of a table made whole; {table.note}")
        found = replace(found, mean_low=low, mean_high=high)
        if len(roles) == 2:
            apart = stats.isolate(table.scores, found.confidence).both_vary
            found = replace(
                found,
                sd=apart.estimate,
                sd_low=nan if apart.low is None else apart.low,
                sd_high=nan if apart.high is None else apart.high,
                sd_method=f"{apart.method}, of runs that share no seed",
            )
        return replace(found, notes=(*notes, *found.notes))

    def decompose(self, score: str | None = None, confidence: float = 0.95) -> stats.VarianceComponents:
        """What initial weights, order, their interaction and noise add to the variance of a score, of a crossed design.

        Runs with plain seeds are left out. Levels with a run that is missing or diverged are left out, as the notes
        say. See `stats.variance_components`.

        Raises:
            InputError: no such score; the runs are no crossed design of init and order, or are of several splits.
        """
        table, notes = self._init_by_order(score)
        found = stats.variance_components(table, confidence, noise=self._noise_of_roles())
        return replace(found, notes=(*notes, *found.notes), scope=self._roles_alone().scope)

    def isolate(self, score: str | None = None, confidence: float = 0.95) -> stats.Isolated:
        """The spread of a score when initial weights vary alone, order alone, or both; of a crossed design.

        See `stats.isolate`, and `decompose` for what is left out and refused; each interval's note says so too.
        """
        table, notes = self._init_by_order(score)
        found, scope = stats.isolate(table, confidence), self._roles_alone().scope
        init, order, both = (
            replace(each, note="; ".join([*notes, each.note]), scope=scope)
            for each in (found.init_varies, found.order_varies, found.both_vary)
        )
        return replace(found, init_varies=init, order_varies=order, both_vary=both)

    def _roles_alone(self) -> Study:
        """The runs by roles; all of one split."""
        chosen = self.by_roles
        advice = "a crossed design gives each its own seeds: --init 0:16 --order 0:16"
        if not chosen.runs:
            raise InputError(
                f"{self.name} has no crossed design to take apart: its runs have plain seeds, which decide initial "
                f"weights and order together; {advice}"
            )
        design = chosen.design
        if "split" in design.varied:
            raise InputError(f"runs of {len(design.varied['split'])} splits: take those of one apart at a time")
        if missing := [role for role in ("init", "order") if role not in design.varied]:
            raise InputError(f"{self.name} has no crossed design to take apart: {' and '.join(missing)} did not vary; "
                             f"{advice}")  # fmt: skip
        return chosen

    def _noise_of_roles(self) -> str:
        """Which noise seeds the cells of a crossed design ran under, in words."""
        design = self._roles_alone().design
        return f"seed {design.fixed['noise']}" if "noise" in design.fixed else f"{len(design.varied['noise'])} seeds"

    def _init_by_order(self, score: str | None) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        """A whole table [init, order] or [init, order, noise], and notes of what was left out for it."""
        chosen, score = self._roles_alone(), self.check_score(score)
        roles = ("init", "order", *(["noise"] if "noise" in chosen.design.varied else []))
        table = crossed_table(chosen.assignments, chosen[score], roles)
        notes = [table.note] if table.note else []
        if len(chosen) < len(self):
            notes.append(f"{len(self) - len(chosen)} runs with plain seeds are left out")
        return table.scores, tuple(notes)

    def extremes(self, score: str | None = None) -> tuple[tuple[Assignment, ...], tuple[Assignment, ...]]:
        """The seeds of the runs with the least and with the greatest value of a score."""
        values = self[self.check_score(score)]
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
        score = self.check_score(score)
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
        """Whether each run was right on each example [runs, examples]; of classifications, for one split. Not to be
        written to.

        Raises:
            InputError: the runs predict values, or were tested on different splits.
        """
        if evaluation_set not in self._correct:  # several statistics ask for it, and it takes longest of all to read
            described = self.evaluation_set(evaluation_set, self._check_one_split())
            if described.classes is None:
                raise InputError(f"runs of {self.name} predict values, not classes: none is right or wrong")
            right = self.predictions(evaluation_set) == described.targets.reshape(1, *described.targets.shape)
            right.setflags(write=False)
            self._correct[evaluation_set] = np.asarray(right, dtype=np.bool_)
        return self._correct[evaluation_set]

    @cached_property
    def _correct(self) -> dict[str, NDArray[np.bool_]]:
        return {}

    def test_set_luck(
        self, evaluation_set: str | None = None, confidence: float = 0.95, *, held_out: bool = True
    ) -> stats.TestSetLuck:
        """How much of the variance of accuracy over seeds is the luck of a finite test set (`stats.test_set_luck`).

        Args:
            evaluation_set: that of the primary score where none is named.
            held_out: False states that rows which the runs were trained on are meant; the result is labelled so.

        Raises:
            InputError: the rows are training rows, and that was not stated; runs share seeds; no classes are recorded.
        """
        name = self._set_of(evaluation_set)
        described = self.evaluation_set(name, self._check_one_split())
        chosen, crossed = self.done, self.done.by_roles
        if held_out and not described.held_out:
            raise InputError(
                f"the rows of {name!r} are those that the runs of {self.name} were trained on: they are no test set. "
                f"Name another evaluation set, or say held_out=False to have the result labelled as one of such rows"
            )
        # One plain run beside a table is no sample of its own, and its seeds may be those of a cell.
        by_roles = crossed.runs and len(chosen.plain) < 2
        if by_roles and len(crossed.design.varied) == 2 and crossed.design.kind != "independent":
            chosen = crossed
            numbers = crossed_table(chosen.assignments, np.arange(len(chosen)), tuple(chosen.design.varied))
            correct, note = chosen.correct(name)[numbers.scores.astype(np.intp)], numbers.note
        else:
            chosen = self._independent("test-set luck")
            correct, note = chosen.correct(name), ""
        found = stats.test_set_luck(correct, confidence, held_out=described.held_out)
        left = len(self) - found.n_runs
        notes = [
            f"{left} of {len(self)} runs are left out: they diverged or failed, or their seeds are of another kind"
        ]
        return replace(
            found,
            notes=(*(notes if left else ()), *((note,) if note else ()), *found.notes),
            scope=replace(found.scope, resampled=chosen.scope.resampled),
        )

    def best_seed_holdout(
        self,
        evaluation_set: str | None = None,
        splits: int = 200,
        confidence: float = 0.95,
        *,
        rng: Generator | int | None = None,
    ) -> stats.Holdout:
        """What the lead of the best seed is worth on examples it was not chosen on (`stats.best_seed_holdout`)."""
        done = self.done
        return stats.best_seed_holdout(done.correct(self._set_of(evaluation_set)), rng, splits, confidence)

    def seeds_and_examples_interval(
        self,
        evaluation_set: str | None = None,
        confidence: float = 0.95,
        method: Literal["anova", "bootstrap"] = "anova",
        *,
        rng: Generator | int | None = None,
    ) -> stats.Interval:
        """Mean accuracy with an interval for new seeds and a new test set of this size
        (`stats.seeds_and_examples_interval`)."""
        chosen = self._independent("an interval over seeds and examples")
        return stats.seeds_and_examples_interval(
            chosen.correct(self._set_of(evaluation_set)), None, confidence, method, rng=rng
        )

    def disagreement(self, evaluation_set: str | None = None) -> float:
        """How often two runs predict different classes for an example (`stats.disagreement`)."""
        name, done = self._set_of(evaluation_set), self.done
        done.correct(name)  # refuses values
        return stats.disagreement(done.predictions(name))

    def ensemble_gain(self, evaluation_set: str | None = None) -> float:
        """By how much the vote of all runs beats a run's mean accuracy (`stats.ensemble_gain`)."""
        name, done = self._set_of(evaluation_set), self.done
        done.correct(name)
        return stats.ensemble_gain(done.predictions(name), done.targets(name, done._check_one_split()))

    def expected_best(
        self, k: int, score: str | None = None, confidence: float = 0.95, *, rng: Generator | int | None = None
    ) -> stats.Interval:
        """A score of the best of ``k`` seeds, on average (`stats.expected_best`)."""
        return self.expected_bests([k], score, confidence, rng=rng)[k]

    def expected_bests(
        self,
        ks: Sequence[int],
        score: str | None = None,
        confidence: float = 0.95,
        *,
        rng: Generator | int | None = None,
    ) -> dict[int, stats.Interval]:
        """A score of the best of k seeds, on average, for each k (`stats.expected_best`)."""
        chosen, score = self._independent("an expected best"), self.check_score(score)
        better = self.larger_is_better(score)
        return stats.expected_bests(chosen[score], ks, confidence, larger_is_better=better, rng=rng)

    def luck_of(self, seed: int | Assignment, score: str | None = None) -> stats.Luck:
        """How unusual one run's score is among the others' (`stats.luck_of`)."""
        score, run = self.check_score(score), self.run(seed)
        index = self.runs.index(run)
        if not math.isfinite(self[score][index]):
            why = "" if run.status is Status.DONE else f": it {run.status}"
            raise InputError(f"run {run.assignment.label} of {self.name} has no {score} to compare{why}")
        return stats.luck_of(self[score], index, larger_is_better=self.larger_is_better(score))

    def _set_of(self, evaluation_set: str | None) -> str:
        return evaluation_set if evaluation_set is not None else self.identity.primary.partition("/")[0]

    @cached_property
    def done(self) -> Study:
        """The same study, of its runs that converged: the others predict nothing that means anything."""
        return replace(self, runs=tuple(run for run in self.runs if run.status is Status.DONE))

    def _independent(self, what: str) -> Study:
        """Converged runs that share no seed: the plain ones where there are such beside others."""
        done = self.done
        chosen = done.plain if done.plain.runs else done
        if chosen.design.kind != "independent":
            raise InputError(
                f"{what} needs runs that share no seed, and these do ({chosen.design.words}): select one of each, such "
                f"as those of one order"
            )
        return chosen

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
