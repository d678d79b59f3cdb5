"""What callbacks for trackers have in common: whether each run is written there, or the study alone."""

from __future__ import annotations

from typing import Literal, get_args

from seedbed.errors import InputError
from seedbed.runner import Callback
from seedbed.study import Study

Every = Literal["run", "study"]
MOST_RUNS = 100  # to be computed by a call, up to which each is written unless it is said otherwise


class Tracker(Callback):
    """A callback that writes either each run and the study, or the study alone.

    Args:
        every: ``run`` or ``study``; where not given, ``run`` for studies of which no more than ``MOST_RUNS`` runs are
            to be computed, and ``study`` for others.

    Raises:
        InputError: it is neither.
    """

    def __init__(self, every: Every | None) -> None:
        if every is not None and every not in get_args(Every):
            raise InputError(f"every must be 'run' or 'study', got {every!r}")
        self._every = every
        self._of_runs: set[str] = set()  # studies whose runs are written

    def begun(self, study: Study, pending: int) -> None:
        """Decide whether its runs are written."""
        if (self._every or ("run" if pending <= MOST_RUNS else "study")) == "run":
            self._of_runs.add(study.name)
        else:
            self._of_runs.discard(study.name)

    def writes_runs(self, study: Study) -> bool:
        """Whether each run of a study that has begun is written."""
        return study.name in self._of_runs
