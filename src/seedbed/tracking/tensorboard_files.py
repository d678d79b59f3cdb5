"""Studies in TensorBoard: a folder of event files for each seed, and one for the study."""

from __future__ import annotations

import os
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.errors import InputError
from seedbed.records import RunResult
from seedbed.stopped import Stopped
from seedbed.study import Study
from seedbed.tracking import contents
from seedbed.tracking.tracker import Every, Tracker
from seedbed.words import text


class TensorBoardCallback(Tracker):
    """Writes studies as TensorBoard's event files.

    ``runs/people`` is the study: the numbers of its own summary (``test/accuracy/mean``, ``mean_low`` and
    ``mean_high``, ``sd``, ...) of all runs that were asked for, stored ones included, at the step that is the number of
    these runs; a histogram of each score over them, and the summary with its notes as text. ``runs/people/seed=3`` is a
    run that this call computed: its curves and final scores as scalars, its seeds and the settings as hparams with the
    final scores as their metrics, and as text its error where it failed.

    A run takes some 5 ms and a file; a thousand of them TensorBoard reads slowly.

    Args:
        log_dir: the folder that holds all studies: ``tensorboard --logdir runs`` shows them.
        every: ``run``: a folder for each run. ``study``: that of the study alone. Where not given, ``run`` if no more
            than 100 runs are to be computed (or may be, by a rule that says when to stop).

    Raises:
        InputError: TensorBoard is not installed, or an argument is none of these.
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "runs", *, every: Every | None = None) -> None:
        super().__init__(every)
        given: Any = log_dir
        if not isinstance(given, str | os.PathLike) or not os.fspath(given):
            raise InputError(f"log_dir must be the path of a folder, got {given!r:.80}")
        self._tensorboard = _tensorboard()
        self._log_dir = Path(log_dir)

    def finished(self, study: Study, result: RunResult) -> None:
        """Write the folder of a run."""
        if not self.writes_runs(study):
            return
        folder = self._folder(study) / result.assignment.key
        with closing(self._tensorboard.SummaryWriter(str(folder))) as writer:
            for point in contents.points_of(result):
                writer.add_scalar(point.score, point.value, point.step)
            settings = {**contents.settings_of(study.identity), **contents.seeds_of(result.assignment)}
            settings["status"] = str(result.status)
            # add_hparams would begin another file, in a folder of its own.
            for summary in self._tensorboard.summary.hparams(settings, dict(result.scores)):
                writer.file_writer.add_summary(summary)
            if (error := contents.error_of(result)) is not None:
                writer.add_text("error", error)

    def ended(self, study: Study, error: BaseException | None, stopped: Stopped | None) -> None:
        """Write the study's summary."""
        summaries, runs = text.summaries_of(study), len(study)
        with closing(self._tensorboard.SummaryWriter(str(self._folder(study)))) as writer:
            for name, value in contents.numbers_of(study, summaries).items():
                writer.add_scalar(name, value, runs)
            for score in summaries:
                if (values := study[score][np.isfinite(study[score])]).size:
                    writer.add_histogram(score, values, runs)
            writer.add_text("summary", contents.page_of(study, summaries, error, stopped), runs)

    def _folder(self, study: Study) -> Path:
        """A study's folder: its name, without what would part it or mean another one."""
        name = re.sub(r"[^\w.\-=,+()\[\] ]", "_", study.name)
        return self._log_dir / (f"_{name[1:]}" if name.startswith(".") else name)


def _tensorboard() -> Any:
    try:
        import torch.utils.tensorboard as found  # needs the package, which torch does not bring
    except ImportError as error:
        raise InputError(
            f"writing TensorBoard's files needs tensorboard ({error}): pip install 'seedbed[tensorboard]'"
        ) from None
    return found
