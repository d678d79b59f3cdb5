"""Studies in Weights & Biases: a group for the study, a run of it for each seed, and one for the summary."""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from seedbed.errors import InputError
from seedbed.records import RunResult, Status
from seedbed.stopped import Stopped
from seedbed.study import Study
from seedbed.tracking import contents
from seedbed.tracking.tracker import Every, Tracker
from seedbed.words import text

Mode = Literal["online", "offline", "disabled"]


class WandbCallback(Tracker):
    """Writes studies to Weights & Biases: offline, unless told otherwise.

    A study is a group. In it each run that this call computes is a run of the type ``run``: its seeds and the study's
    settings are its config, its curves and final scores its history by step, and its summary has the final scores,
    ``status``, ``wall_seconds``, and ``error`` where it failed (W&B shows it as failed then). At the end, a run of the
    type ``study`` has the numbers of the study's own summary (``test/accuracy/mean``, ``mean_low`` and ``mean_high``,
    ``sd``, ...) of all runs that were asked for, stored ones included; a histogram of each score over them, a table of
    the runs, and as its notes the summary with its own notes. It has failed where the study was broken off.

    Offline, files are written below the folder ``wandb``, which ``wandb sync wandb/offline-run-*`` uploads. With
    WANDB_MODE=online, or ``mode="online"``, they are uploaded at once. Entity, project, folder and the rest are what
    W&B itself takes: WANDB_PROJECT, WANDB_ENTITY, WANDB_DIR and its other variables.

    A run takes a quarter of a second offline, and the first one more; online it takes seconds. Worker processes go on
    computing meanwhile.

    Args:
        project: W&B's project.
        dir: the folder in which W&B makes its folder ``wandb``.
        mode: ``online``, ``offline`` or ``disabled``; where not given, what WANDB_MODE says, or else
            ``offline``.
        every: ``run``: a run of W&B's for each run. ``study``: that of the study alone. Where not given, ``run`` if no
            more than 100 runs are to be computed (or may be, by a rule that says when to stop).

    Raises:
        InputError: wandb is not installed, or an argument is none of these.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        dir: str | os.PathLike[str] | None = None,
        mode: Mode | None = None,
        every: Every | None = None,
    ) -> None:
        super().__init__(every)
        given: Any = project
        if given is not None and (not isinstance(given, str) or not given):
            raise InputError(f"project must be text that is not empty, got {given!r:.80}")
        given = dir
        if given is not None and (not isinstance(given, str | os.PathLike) or not os.fspath(given)):
            raise InputError(f"dir must be the path of a folder, got {given!r:.80}")
        if mode is not None and mode not in get_args(Mode):
            raise InputError(f"mode must be {', '.join(get_args(Mode))}, got {mode!r:.80}")
        self._wandb = _wandb()
        self._project, self._dir, self._mode = project, dir, mode

    def finished(self, study: Study, result: RunResult) -> None:
        """Write a run of W&B's."""
        if not self.writes_runs(study):
            return
        name = f"{study.name} {text.run_word(study)} {result.assignment}"
        with self._run(study, name, "run", contents.seeds_of(result.assignment)) as run:
            by_step = itertools.groupby(contents.points_of(result), operator.attrgetter("step"))
            for step, points in by_step:
                run.log({point.score: point.value for point in points}, step=step)
            run.summary.update({**result.scores, "status": str(result.status), "wall_seconds": result.wall_seconds})
            if result.error is not None:
                run.summary["error"] = result.error
            run.finish(exit_code=int(result.status is Status.FAILED))

    def ended(self, study: Study, error: BaseException | None, stopped: Stopped | None) -> None:
        """Write the run with the study's summary."""
        summaries = text.summaries_of(study)
        with self._run(study, study.name, "study", {}) as run:
            run.notes = contents.page_of(study, summaries, error, stopped)
            shown: dict[str, Any] = {
                f"{score}/histogram": self._wandb.Histogram(values)
                for score in summaries
                if (values := study[score][np.isfinite(study[score])]).size
            }
            if len(study):
                columns, rows = contents.table_of(study)
                shown["runs"] = self._wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
            run.log(shown)
            run.summary.update(contents.numbers_of(study, summaries))
            run.finish(exit_code=int(error is not None))

    @contextmanager
    def _run(self, study: Study, name: str, kind: str, seeds: Mapping[str, int]) -> Iterator[Any]:
        """A run of W&B's, beside the one that the script itself may have; failed, unless it is finished well."""
        if self._dir is not None:
            Path(self._dir).mkdir(parents=True, exist_ok=True)  # W&B would take another one
        # Nothing of this process is measured or kept: the run is over.
        settings = self._wandb.Settings(console="off", x_disable_stats=True)
        if "WANDB_SILENT" not in os.environ:
            settings.silent = True  # it has ten lines to say of each run
        run = self._wandb.init(
            project=self._project,
            group=study.name,
            name=name,
            job_type=kind,
            config={**contents.settings_of(study.identity), **seeds},
            dir=self._dir,
            mode=self._mode or os.environ.get("WANDB_MODE") or "offline",
            reinit="create_new",
            settings=settings,
        )
        try:
            yield run
        except BaseException:
            run.finish(exit_code=1)
            raise


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise InputError(f"writing to W&B needs wandb ({error}): pip install 'seedbed[wandb]'") from None
    return wandb
