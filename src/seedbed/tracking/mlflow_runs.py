"""Studies in MLflow: a parent run for the study, a child run for each seed."""

from __future__ import annotations

import contextlib
import csv
import io
import posixpath
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seedbed.errors import InputError
from seedbed.records import RunResult, Status
from seedbed.stopped import Stopped
from seedbed.study import Study
from seedbed.tracking import contents
from seedbed.tracking.tracker import Every, Tracker
from seedbed.words import text

MOST_PARAMS, MOST_METRICS = 100, 800  # of one request: MLflow takes 100, and 1000 of all together
_FROM_CONTEXT = ("mlflow.user", "mlflow.source.")  # tags of the parent that are its children's, too


class MLflowCallback(Tracker):
    """Writes studies to MLflow.

    Each call of ``seedbed.run`` is a parent run. Its parameters are the study's settings; at the end its metrics are
    those of the study's own summary (``test/accuracy/mean``, ``mean_low`` and ``mean_high``, ``sd``, ...) of all runs
    that were asked for, stored ones included, its description is the summary with its notes, and ``runs.csv`` a table
    of the runs. Below it each run that this call computes is a child run, with its seeds and the settings as
    parameters, its curves as metrics by step, and its final scores; one that failed is FAILED, and its description is
    the error. The parent is FAILED where an exception broke the study off, and KILLED by Ctrl-C.

    Tracking server, experiment and the rest are what MLflow itself takes: ``mlflow.set_tracking_uri`` and
    ``set_experiment`` where they were called, MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and its other variables. In
    an active run of the script's, the parent is nested below it.

    A child run is four or more requests: some 50 ms in a local SQLite file, more over a network. Worker processes go on
    computing meanwhile.

    Args:
        experiment: the name of MLflow's experiment, made where there is none.
        tracking_uri: as ``mlflow.set_tracking_uri`` takes it; it is set so for the whole process when a study begins.
        every: ``run``: each run is a child run. ``study``: the parent alone. Where not given, ``run`` if no more than
            100 runs are to be computed (or may be, by a rule that says when to stop).

    Raises:
        InputError: MLflow is not installed, or an argument is none of these.
    """

    def __init__(
        self, experiment: str | None = None, *, tracking_uri: str | None = None, every: Every | None = None
    ) -> None:
        super().__init__(every)
        for name, value in (("experiment", experiment), ("tracking_uri", tracking_uri)):
            given: Any = value
            if given is not None and (not isinstance(given, str) or not given):
                raise InputError(f"{name} must be text that is not empty, got {given!r:.80}")
        self._mlflow = _mlflow()
        self._experiment, self._tracking_uri = experiment, tracking_uri
        self._client: Any = None
        self._parents: dict[str, Any] = {}

    def begun(self, study: Study, pending: int) -> None:
        """Start the parent run."""
        super().begun(study, pending)
        if self._tracking_uri is not None:
            self._mlflow.set_tracking_uri(self._tracking_uri)
        self._client = self._mlflow.MlflowClient()
        # MLflow chooses experiment and tags. The run does not stay the active one: what the code of the runs logs by
        # itself, and sets twice, is no part of it.
        parent = self._mlflow.start_run(
            experiment_id=self._experiment_id(),
            run_name=study.name,
            nested=True,
            tags={"seedbed.study": study.name},
            log_system_metrics=False,
        )
        run = parent.info.run_id
        try:
            self._mlflow.end_run("RUNNING")
            self._log(run, params=contents.settings_of(study.identity))
        except BaseException:
            self._terminate(run, "FAILED")
            raise
        self._parents[study.name] = parent

    def finished(self, study: Study, result: RunResult) -> None:
        """Write a child run."""
        if not self.writes_runs(study):
            return
        parent = self._parents[study.name]
        try:
            self._write_child(parent, study, result)
        except Exception:  # of which nothing further is told to this callback: no end, either
            with contextlib.suppress(Exception):
                self._terminate(parent.info.run_id, "FAILED")
            raise

    def _write_child(self, parent: Any, study: Study, result: RunResult) -> None:
        now = _milliseconds()
        tags = {name: value for name, value in parent.data.tags.items() if name.startswith(_FROM_CONTEXT)}
        tags |= {
            "mlflow.parentRunId": parent.info.run_id,
            "seedbed.study": study.name,
            "seedbed.status": str(result.status),
            "seedbed.seeds": result.assignment.key,
        }
        if (error := contents.error_of(result)) is not None:
            tags["mlflow.note.content"] = error
        run = self._client.create_run(
            parent.info.experiment_id,
            start_time=now - round(1000 * result.wall_seconds),
            tags=tags,
            run_name=f"{study.name} {text.run_word(study)} {result.assignment}",
        )
        status = "KILLED"  # where it is not written whole
        try:
            points = [*contents.points_of(result), contents.Point("wall_seconds", 0, result.wall_seconds)]
            names = _names(point.score for point in points)
            metrics = [self._metric(names[each.score], each.value, now, each.step) for each in points]
            params = {**contents.settings_of(study.identity), **contents.seeds_of(result.assignment)}
            self._log(run.info.run_id, metrics, params)
            status = "FAILED" if result.status is Status.FAILED else "FINISHED"
        finally:
            self._terminate(run.info.run_id, status)

    def ended(self, study: Study, error: BaseException | None, stopped: Stopped | None) -> None:
        """Write the study's summary to the parent run, and end it."""
        run, now = self._parents.pop(study.name).info.run_id, _milliseconds()
        status = "FAILED"
        try:
            summaries = text.summaries_of(study)
            numbers = contents.numbers_of(study, summaries)
            names = _names(numbers)
            self._log(run, [self._metric(names[name], value, now, 0) for name, value in numbers.items()])
            self._client.set_tag(run, "mlflow.note.content", contents.page_of(study, summaries, error, stopped))
            if len(study):
                self._client.log_text(run, _as_csv(*contents.table_of(study)), "runs.csv")
            if error is None:
                status = "FINISHED"
            elif isinstance(error, KeyboardInterrupt):
                status = "KILLED"
        finally:
            self._terminate(run, status)

    def _experiment_id(self) -> str | None:
        """Of the experiment that was named; None where MLflow is to choose."""
        if self._experiment is None:
            return None
        found = self._client.get_experiment_by_name(self._experiment)
        return str(self._client.create_experiment(self._experiment) if found is None else found.experiment_id)

    def _metric(self, name: str, value: float, when: int, step: int) -> Any:
        return self._mlflow.entities.Metric(name, value, when, step)

    def _log(self, run: str, metrics: Sequence[Any] = (), params: Mapping[str, contents.Setting] | None = None) -> None:
        """Log parameters and metrics in as few requests as MLflow takes."""
        names = _names(params or {})
        made = [self._mlflow.entities.Param(names[name], str(value)) for name, value in (params or {}).items()]
        while metrics or made:
            self._client.log_batch(run, metrics[:MOST_METRICS], made[:MOST_PARAMS])
            metrics, made = metrics[MOST_METRICS:], made[MOST_PARAMS:]

    def _terminate(self, run: str, status: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # on which the client prints where to see each run
            self._client.set_terminated(run, status)


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise InputError(f"writing to MLflow needs MLflow ({error}): pip install 'seedbed[mlflow]'") from None
    return mlflow


def _milliseconds() -> int:
    return round(1000 * time.time())


def _names(given: Iterable[str]) -> dict[str, str]:
    """Names to names that MLflow takes, no two alike: letters, digits and a few signs, and no path that means
    another."""
    taken: dict[str, str] = {}
    for name in dict.fromkeys(given):
        path = posixpath.normpath(re.sub(r"[^\w.\- /]", "_", name).replace("..", "__")).strip("/")
        key, number = path, 2
        while key in (".", "") or key in taken.values():
            key, number = f"{path}_{number}", number + 1
        taken[name] = key
    return taken


def _as_csv(columns: list[str], rows: list[list[Any]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return written.getvalue()
