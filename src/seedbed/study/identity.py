"""What a study is of, what is stored of a run, and where the large parts are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seedbed.checkpoints import Chosen
from seedbed.fingerprint import Fingerprint
from seedbed.records import EvaluationSet, Status
from seedbed.scores import IMPORTED
from seedbed.seeds import Assignment

TRIAL, PROGRAM = "trial", "program"  # in the place of an engine: what computes the runs is the user's own


@dataclass(frozen=True)
class StudyIdentity:
    """What is fixed at a study's first run.

    Attributes:
        name, experiment: of the study and of its experiment.
        parameters: the experiment's parameters that are not defaults, as text.
        fingerprint: settings, shapes and source.
        engine, engine_settings, threads, device: how every run is computed; ``imported``, {}, 0 and ``unknown`` where
            scores were imported; the engine of a trial is ``trial``, and of a program ``program``.
        primary: the score to follow; empty until a run that tells its scores itself has ended.
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
    def told_by_runs(self) -> bool:
        """Whether it is the runs that say which scores there are: those of a trial or program."""
        return self.engine in (TRIAL, PROGRAM)

    @property
    def is_of_a_fast_engine(self) -> bool:
        """Whether an engine trained the runs whose results are held to the reference engine's."""
        return not (self.imported or self.told_by_runs or self.engine == "reference")

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
        scores: final value of each score; that of another epoch where a checkpoint rule chose it (``Study.at``).
        weights_hash: of the final weights; None where the run failed, was imported, or its scores are of another epoch.
        wall_seconds: how long it took; 0 where it was imported.
        environment: key of the environment it was computed in.
        mixed: computed in another environment than the study's first run, with consent.
        curve_epochs: epochs at which curves are stored.
        error: of a failed run.
        chosen: the epoch that a checkpoint rule chose; None without a rule, and where there was none to choose.
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
    chosen: Chosen | None = None


class Archive(Protocol):
    """Where a study finds its large parts when they are asked for."""

    def curves(self, study: str, score: str) -> Mapping[str, tuple[tuple[int, ...], NDArray[np.float64]]]:
        """Assignment key to (epochs, values) of every run that has this curve."""
        ...

    def predictions(self, study: str, evaluation_set: str, key: str | None = None) -> Mapping[str, NDArray[Any]]:
        """Assignment key to predictions [examples, ...] of every run that has them; of one run alone, where its key is
        given."""
        ...

    def weights(self, study: str, key: str) -> bytes | None:
        """The kept weights of one run."""
        ...

    def evaluation_sets(self, study: str, split: int) -> tuple[EvaluationSet, ...]:
        """The evaluation sets of a split."""
        ...

    def output(self, study: str, key: str) -> str | None:
        """What one run printed."""
        ...
