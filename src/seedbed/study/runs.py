"""Many runs of one experiment: reading them, choosing among them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seedbed import stats
from seedbed.checkpoints import Best, Checkpoint, EpochSummary
from seedbed.designs import WORDS, Design
from seedbed.environment import Environment
from seedbed.errors import InputError
from seedbed.records import EvaluationSet, Status
from seedbed.seeds import ROLES, Assignment, SeedsLike, as_assignments, as_numbers
from seedbed.stats.interval import IMPORTED_RUNS
from seedbed.study.identity import Archive, StoredRun, StudyIdentity


@dataclass(frozen=True)
class Runs:
    """Many runs of one experiment, read and chosen from. What is made of their numbers is in ``Study``.

    ``study["test/accuracy"]`` is that score of every run [runs], NaN where a run failed or diverged. Runs are in the
    order in which they were asked for, or of their seeds.

    Attributes:
        identity: what all runs have in common.
        runs: the runs.
        environments: key to environment.
        archive: where large parts are found.
        checkpoint: of which epoch the scores are, where a rule chose it (``Study.at``); None: of the last one.
    """

    identity: StudyIdentity
    runs: tuple[StoredRun, ...]
    environments: Mapping[str, Environment]
    archive: Archive
    checkpoint: Checkpoint | None = None

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
        at = "" if self.checkpoint is None else f", at {self.checkpoint.words}"
        return f"<Study {self.name!r}: {len(self)} runs, engine {self.identity.engine}{at}>"

    def __getitem__(self, score: str) -> NDArray[np.float64]:
        """That score of every run [runs]; NaN where the run failed or diverged."""
        score = self.check_score(score)
        if score not in self._values:
            self._values[score] = np.array(
                [run.scores.get(score, np.nan) if run.status is Status.DONE else np.nan for run in self.runs],
                dtype=np.float64,
            )
        return self._values[score].copy()

    @cached_property
    def _values(self) -> dict[str, NDArray[np.float64]]:
        """Scores that were asked for, as arrays."""
        return {}

    def check_score(self, score: str | None = None) -> str:
        """The full name of a score: the primary one where none is given; ``accuracy`` for ``test/accuracy`` where no
        other evaluation set has it. An InputError with the names there are, where it is none."""
        if not self.scores:
            raise InputError(f"{self.name} has no scores: no run of it has ended well yet")
        if score is None:
            return self.identity.primary
        if score in self.scores:
            return score
        meant = [name for name in self.scores if name.partition("/")[2] == score]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise InputError(f"{self.name} has {score!r} of several evaluation sets: say {' or '.join(meant)}")
        near = difflib.get_close_matches(score, self.scores, 1)
        meant_by = f": did you mean {near[0]}?" if near else ";"
        known = f"{'It' if near else 'it'} has {', '.join(self.scores)}"
        raise InputError(f"{self.name} has no score {score!r}{meant_by} {known}")

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
        return self.with_rule(stats.Scope(drawn, (*held, "data", *split, "hyperparameters")))

    def with_rule(self, scope: stats.Scope) -> stats.Scope:
        """A scope in which the checkpoint rule is among what is held fixed, where there is one."""
        if self.checkpoint is None:
            return scope
        return replace(scope, fixed=(*scope.fixed, f"checkpoint rule ({self.checkpoint.words})"))

    def select(self, seeds: SeedsLike) -> Self:
        """The same study, of these runs alone and in this order; those that are not stored are left out."""
        return replace(self, runs=tuple(self._by_key[a.key] for a in as_assignments(seeds) if a.key in self._by_key))

    def filter(self, seeds: SeedsLike | None = None, splits: SeedsLike | None = None) -> Self:
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
    def plain(self) -> Self:
        """The same study, of its runs with plain seeds."""
        return replace(self, runs=tuple(run for run in self.runs if run.assignment.is_plain))

    @cached_property
    def by_roles(self) -> Self:
        """The same study, of its runs with a seed for each role."""
        return replace(self, runs=tuple(run for run in self.runs if not run.assignment.is_plain))

    @property
    def of_one_kind(self) -> Self:
        """The same study, of its runs with plain seeds; where there is none, as it is.

        Plain seeds and seeds for each role together are no sample of anything.
        """
        return self.plain if self.plain.runs else self

    @cached_property
    def done(self) -> Self:
        """The same study, of its runs that converged: the others predict nothing that means anything."""
        return replace(self, runs=tuple(run for run in self.runs if run.status is Status.DONE))

    @cached_property
    def ended(self) -> Self:
        """The same study, of its runs that did not fail: those that converged and those that diverged."""
        return replace(self, runs=tuple(run for run in self.runs if run.status is not Status.FAILED))

    def run(self, seed: int | Assignment) -> StoredRun:
        """One run."""
        key = as_assignments(seed)[0].key
        if key not in self._by_key:
            raise InputError(f"{self.name} has no run with {key}")
        return self._by_key[key]

    def has(self, seed: int | Assignment) -> bool:
        """Whether there is such a run."""
        return as_assignments(seed)[0].key in self._by_key

    @cached_property
    def _by_key(self) -> dict[str, StoredRun]:
        return {run.assignment.key: run for run in self.runs}

    def count(self, status: Status) -> int:
        """How many runs ended so."""
        return sum(run.status is status for run in self.runs)

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
        self._check_not_empty()
        logged = self.archive.curves(self.name, score) if self.identity.told_by_runs else {}
        # A trial may log what is no score at its end.
        stored = logged or self.archive.curves(self.name, self.check_score(score))
        mine = [stored.get(run.assignment.key) for run in self.runs]
        epochs = sorted({epoch for curve in mine if curve is not None for epoch in curve[0]})
        if not epochs:
            own = self.identity.told_by_runs
            way = "its runs logged none" if own else "run it again with curves=1 (the command: --curves)"
            raise InputError(f"{self.name} has no curves: {way}")
        column = {epoch: i for i, epoch in enumerate(epochs)}
        values = np.full((len(mine), len(epochs)), np.nan)
        for row, curve in enumerate(mine):
            if curve is not None:
                values[row, [column[epoch] for epoch in curve[0]]] = curve[1]
        return np.array(epochs, dtype=np.int64), values

    def predictions(self, evaluation_set: str) -> NDArray[Any]:
        """What each run predicted for each example [runs, examples, ...]: classes, or values.

        Raises:
            InputError: no such set, a run of the study did not keep its predictions, runs are of different splits, or
                scores are of another epoch than the last.
        """
        self._check_last_epoch("what the runs predicted for each example is")
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
            InputError: the runs predict values, were tested on different splits, or their scores are of another epoch
                than the last.
        """
        self._check_last_epoch("what the runs predicted for each example is")
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

    def weights(self, seed: int | Assignment) -> bytes:
        """The kept weights of one run, in safetensors form: ``safetensors.torch.load(study.weights(3))``."""
        self._check_last_epoch("the kept weights are")
        found = self.archive.weights(self.name, self.run(seed).assignment.key)
        if found is None:
            raise InputError(f"{self.name} kept no weights of {seed}: run again with keep_weights='all'")
        return found

    def output(self, seed: int | Assignment) -> str:
        """What one run of a trial or program printed; the middle of a long text is left out."""
        found = self.archive.output(self.name, self.run(seed).assignment.key)
        if found is None:
            raise InputError(f"{self.name} kept nothing that the run of {seed} printed")
        return found

    def to_pandas(self) -> Any:
        """A pandas DataFrame, one row a run: seeds, status, scores, seconds, hash of the weights."""
        try:
            import pandas
        except ImportError:
            raise InputError("to_pandas needs pandas: pip install 'seedbed[pandas]'") from None
        return pandas.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One plain mapping a run, in the order of the runs; None for what is not known of imported ones.

        Where a checkpoint rule chose the epoch, the rule and the epoch of each run are in it, too.
        """
        return [
            {
                **{each: getattr(run.assignment, each) if self.seeds_known else None for each in ("seed", *ROLES)},
                "status": str(run.status),
                **self._epoch_of(run),
                **{name: run.scores.get(name) for name in self.scores},
                "wall_seconds": None if self.identity.imported else run.wall_seconds,
                "weights_hash": run.weights_hash,
                "mixed": run.mixed,
            }
            for run in self.runs
        ]

    def _epoch_of(self, run: StoredRun) -> dict[str, Any]:
        if self.checkpoint is None:
            return {}
        chosen = None if run.chosen is None else run.chosen.epoch
        return {"checkpoint": self.checkpoint.rule.text, self.checkpoint.unit: chosen}

    @property
    def chosen_epochs(self) -> NDArray[np.float64]:
        """The epoch whose scores are taken, of every run [runs]; NaN where there is none: the run failed, or diverged
        before any could be chosen.

        Raises:
            InputError: no rule chose one: see ``Study.at``.
        """
        if self.checkpoint is None:
            raise InputError(f"no epoch of {self.name} is chosen, its scores are of the last one: see Study.at")
        return np.array([np.nan if run.chosen is None else run.chosen.epoch for run in self.runs], dtype=np.float64)

    def epoch_summary(self) -> EpochSummary:
        """The chosen epochs over runs: median, range, and how many were at the last recorded one.

        Raises:
            InputError: no rule chose one: see ``Study.at``.
        """
        epochs = self.chosen_epochs
        found = epochs[np.isfinite(epochs)]
        chosen = [run.chosen for run in self.runs if run.chosen is not None]
        assert self.checkpoint is not None  # chosen_epochs has seen to it
        patient = isinstance(self.checkpoint.rule, Best) and self.checkpoint.rule.patience is not None
        going_on = [each for each in chosen if not each.diverged_later]
        return EpochSummary(
            n=len(found),
            median=float(np.median(found)) if len(found) else np.nan,
            earliest=int(found.min()) if len(found) else 0,
            latest=int(found.max()) if len(found) else 0,
            last=max((each.last for each in chosen), default=0),
            n_at_last=sum(each.epoch == each.last for each in going_on),
            n_not_stopped=sum(each.stopped is None for each in going_on) if patient else None,
            n_diverged_later=len(chosen) - len(going_on),
        )

    def checkpoint_notes(self, score: str | None = None) -> tuple[str, ...]:
        """What is to be known of a score whose epoch a checkpoint rule chose: the rule, and whether the choice makes
        the score optimistic. None without a rule."""
        return () if self.checkpoint is None else self.checkpoint.notes(self.check_score(score))

    def _check_last_epoch(self, what: str) -> None:
        if self.checkpoint is not None and not self.checkpoint.is_last:
            raise InputError(
                f"{what} of the last epoch only, and scores of {self.name} are at {self.checkpoint.words} here: ask "
                f"the study itself, without a checkpoint rule"
            )

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
