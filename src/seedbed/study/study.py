"""Study: many runs of one experiment, and what statistics say of them. It only reads; what draws or writes stands above
it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from seedbed import stats
from seedbed.checkpoints import Rule, as_rule
from seedbed.designs import crossed_table
from seedbed.displayed import Displayed
from seedbed.environment import of_imported
from seedbed.errors import InputError
from seedbed.fingerprint import Fingerprint
from seedbed.records import Status
from seedbed.scores import IMPORTED, GroupScores, NothingKept, Scores, as_scores, check_name, direction_settings
from seedbed.seeds import Assignment
from seedbed.stats.one_sample import MeanMethod
from seedbed.study import choosing, summarizing
from seedbed.study.identity import StoredRun, StudyIdentity
from seedbed.study.runs import Runs


@dataclass(frozen=True, repr=False)
class Study(Displayed, Runs):
    """Many runs of one experiment.

    ``study["test/accuracy"]`` is that score of every run [runs], NaN where a run failed or diverged. Runs are in the
    order in which they were asked for, or of their seeds.

    Attributes:
        identity: what all runs have in common.
        runs: the runs.
        environments: key to environment.
    """

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

    def at(
        self,
        rule: str | Rule | None = None,
        *,
        best: str | None = None,
        patience: int | None = None,
        epoch: int | None = None,
    ) -> Study:
        """The same study with the scores of another epoch, which a checkpoint rule chooses in the curves of each run.

        ``study.at(best="val/loss")`` takes the epoch at which that score is best, the earliest of equals; which way is
        better is the score's. With ``patience=10`` training is stopped at the first recorded epoch by which 10 epochs
        brought no improvement, and the best epoch up to there is taken (early stopping, as in Keras and Lightning with
        the best weights restored). ``study.at(epoch=20)`` takes that epoch of every run, ``study.at("last")`` what
        the runs ended with. As text, as the command's ``--at`` has it: ``study.at("best:val/loss,patience=10")``.

        All scores of a run are those of its epoch, and all statistics of scores work on them; each names the rule. What
        a score that chose the epoch, or one of the same examples, is worth is said beside it. ``chosen_epochs`` has the
        epoch of each run, ``epoch_summary`` how they are distributed. Predictions and weights are of the last epoch,
        and what needs them is refused.

        An epoch at which a loss (of a trial: any score that it logged) is NaN or infinite is never chosen. A run that
        has no other one has diverged; one that diverged later has not, and is counted by ``epoch_summary``.

        Args:
            patience: in epochs, also where only every so many are recorded; no less than the distance between these. Of
                a trial, epochs are the steps at which it logged.

        Raises:
            InputError: no such rule or score; runs have no curves (imported ones, programs, or made without
                ``curves=``), none at that epoch, or curves at different epochs; patience is less than their distance.
        """
        return choosing.at(self, as_rule(rule, best, patience, epoch))

    def summary(
        self,
        score: str | None = None,
        confidence: float = 0.95,
        method: MeanMethod = "t",
        *,
        n_train: int | None = None,
        n_test: int | None = None,
        rng: Generator | int | None = None,
    ) -> stats.Summary:
        """A summary of a score (the primary one where none is named) over runs; failed runs are left out.

        Where runs share seeds, as those of a crossed design do, they are not independent: the interval of the mean is
        then `stats.crossed_mean_interval`'s, sd with its interval is of two runs that share no seed
        (`stats.isolate`), and sem and the interval of one further run are NaN. Where they share seeds in another way
        than as a crossed table, no interval is given. The notes say so. Where runs are of several splits, a note says
        what that does to the interval of the mean.

        Args:
            method, n_train, n_test, rng: of the interval of the mean, as of ``mean_interval``. ``corrected`` gives none
                for a score of the training rows.

        Raises:
            InputError: no such score, no run that did not fail, or what ``mean_interval`` refuses.
        """
        score = self.check_score(score)
        self._check_not_empty()
        return summarizing.summarize(self, score, confidence, method, n_train, n_test, rng)

    def mean_interval(
        self,
        score: str | None = None,
        confidence: float = 0.95,
        method: MeanMethod = "t",
        *,
        n_train: int | None = None,
        n_test: int | None = None,
        rng: Generator | int | None = None,
    ) -> stats.Interval:
        """The mean of a score over runs that converged, with an interval (`stats.mean_interval`).

        Args:
            method: ``t``; of a crossed design, `stats.crossed_mean_interval`. ``bca`` and ``studentized``, of runs that
                share no seed. ``corrected``, the corrected resampled t of Nadeau and Bengio (Machine Learning 52,
                2003), of runs of several splits: those of a split are averaged first, and seeds that several splits
                share are held fixed.
            n_train, n_test: rows of each split for training, and those that the score is of, for ``corrected``; where
                they are not given, those of the evaluation set that is the training rows, and of the score's own.
            rng: of the bootstraps.

        Raises:
            InputError: no such score or method; runs share seeds in a way that the method does not allow for; for
                ``corrected`` one split alone, a score of training rows, or a number of rows that is neither given nor
                stored, or differs between splits.
        """
        score = self.check_score(score)
        self._check_not_empty()
        return summarizing.mean_interval(self, score, confidence, method, n_train, n_test, rng)

    def decompose(
        self, score: str | None = None, confidence: float = 0.95
    ) -> stats.VarianceComponents | stats.CrossedComponents:
        """What initial weights, order, their interaction and noise add to the variance of a score, of a crossed design.

        See `stats.variance_components`. Where splits were crossed with other roles, or with plain seeds, each role that
        varied, and each set of them, has a component (`stats.crossed_components`). Of plain runs beside others, those
        with a seed for each role are taken. Levels with a run that is missing or diverged are left out, as the notes
        say.

        Raises:
            InputError: no such score, or the runs are no crossed design of init and order, or of splits and more.
        """
        chosen = self.by_roles if self.by_roles.runs else self
        if chosen.runs and "split" in chosen.design.varied and len(chosen.design.varied) > 1:
            return self._with_splits(chosen, self.check_score(score), confidence)
        table, notes = self._init_by_order(score)
        found = stats.variance_components(table, confidence, noise=self._noise_of_roles())
        return replace(found, notes=(*notes, *found.notes), scope=self._roles_alone().scope)

    def _with_splits(self, chosen: Study, score: str, confidence: float) -> stats.CrossedComponents:
        """The components of every role that varied, splits among them."""
        roles = tuple(chosen.design.varied)
        table = crossed_table(chosen.assignments, chosen[score], roles)
        found = stats.crossed_components(table.scores, roles, confidence)
        notes = [*self.checkpoint_notes(score), *([table.note] if table.note else [])]
        if len(chosen) < len(self):
            notes.append(f"{len(self) - len(chosen)} runs with plain seeds are left out")
        notes.append(
            f"the {len(table.levels['split'])} splits are of one data set (unless each draws rows of its own): what "
            f"they add is what other splits of these rows would, and says nothing of other rows"
        )
        return replace(found, notes=(*notes, *found.notes), scope=chosen.scope)

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
        notes = [*self.checkpoint_notes(score), *([table.note] if table.note else [])]
        if len(chosen) < len(self):
            notes.append(f"{len(self) - len(chosen)} runs with plain seeds are left out")
        return table.scores, tuple(notes)

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
        found = stats.expected_bests(chosen[score], ks, confidence, larger_is_better=better, rng=rng)
        return {k: replace(each, scope=self.with_rule(each.scope)) for k, each in found.items()}

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

    def _independent(self, what: str) -> Study:
        """Converged runs that share no seed: the plain ones where there are such beside others."""
        chosen = self.done.of_one_kind
        if chosen.design.kind != "independent":
            raise InputError(
                f"{what} needs runs that share no seed, and these do ({chosen.design.words}): select one of each, such "
                f"as those of one {'split' if 'split' in chosen.design.varied else 'order'}"
            )
        return chosen


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
