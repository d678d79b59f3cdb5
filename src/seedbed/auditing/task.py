"""The observed training of one run in a process of its own, as executors take it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.auditing import seeding
from seedbed.auditing.observing import Enough, Observer, Window
from seedbed.auditing.setting import REFERENCE, Setting
from seedbed.auditing.subject import Source
from seedbed.auditing.timings import without_times
from seedbed.auditing.training import train_by_engine, train_by_reference
from seedbed.auditing.trial_hooks import observed
from seedbed.devices import parse
from seedbed.experiments import Experiment
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Telling, Trainer, silent
from seedbed.torch_settings import applied
from seedbed.trials import Trial
from seedbed.trials.task import TrialTask


@dataclass(frozen=True)
class ObservationTask:
    """One run under one setting, observed (``tasks.Task``).

    Attributes:
        folder: gets the tape, snapshots, what is recorded in the window, and ``notes``.
        limit: steps of training; None: all.
        window: to be looked at closely.
        settings: of torch, beside which the setting's own stand.
        rows_seen: of sets of an experiment that are made row by row; None: all.
    """

    source: Source
    setting: Setting
    folder: str
    limit: int | None
    window: Window | None
    settings: Mapping[str, Any]
    rows_seen: int | None = None

    @property
    def threads(self) -> int:
        """The setting's."""
        return self.setting.threads

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Torch's thread count and settings."""
        device = parse(self.setting.device)
        device.prepare()
        with applied({**self.settings, **dict(self.setting.torch)}, device, self.setting.threads):
            yield

    def trainer(self) -> Trainer:
        """What trains and observes."""
        return _Trainer(self)

    def check_data(self, split: int) -> None:
        """Nothing: data that differ are found, and told, by the audit."""


class _Trainer:
    def __init__(self, task: ObservationTask) -> None:
        self._task = task

    def train(self, block: Sequence[Assignment], told: Telling = silent) -> Iterator[RunResult]:
        """Train the run."""
        for assignment in block:
            yield self._run(assignment, told)

    def stop(self) -> None:
        """Nothing: its process is ended."""

    def _run(self, assignment: Assignment, told: Telling) -> RunResult:
        task, folder = self._task, Path(self._task.folder)
        with Observer(folder, task.limit, task.window) as observer:
            with seeding.watched(observer.seeded, task.setting.seeded):
                subject = task.source.build()
                result, notes = self._trained(subject, assignment, observer, told)
            if result.status is not Status.FAILED:
                observer.ended((sorted(without_times(result.scores).items()), sorted(result.predictions.items())))
        notes |= observer.notes
        (folder / "notes").write_text(json.dumps(notes), encoding="utf-8")
        return result

    def _trained(
        self, subject: Experiment | Trial, assignment: Assignment, observer: Observer, told: Telling
    ) -> tuple[RunResult, dict[str, Any]]:
        setting = self._task.setting
        if isinstance(subject, Trial):
            trainer = TrialTask(subject, setting.threads, echo=True).trainer()
            with observed(observer, setting) as notes:
                try:
                    (result,) = trainer.train([assignment])
                except Enough:
                    result = RunResult(assignment, Status.DONE)
            return result, dataclasses.asdict(notes)
        if setting.engine != REFERENCE:
            return train_by_engine(subject, assignment, setting, Path(self._task.folder), self._task.limit), {}
        return train_by_reference(subject, assignment, setting, observer, told, self._task.rows_seen)
