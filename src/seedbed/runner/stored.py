"""Whether a study in a store is of what would be run under its name now."""

from __future__ import annotations

import os

from seedbed.experiments import Experiment
from seedbed.runner.options import Options
from seedbed.runner.preparing import Subject, prepare
from seedbed.seeds import Assignment
from seedbed.store import Likeness, compared


def compared_with_stored(
    subject: Subject, assignment: Assignment, store: str | os.PathLike[str], name: str | None = None
) -> Likeness | None:
    """How the stored study of a subject compares with it as it is now; None where there is no such study, or no store.

    How runs are computed (engine, threads, device) is no part of it.

    Args:
        assignment: of which the split's data are compared.
        name: of the study, where it is not the subject's own.

    Raises:
        SeedbedError: the subject could not be run.
    """
    given = {"engine": "reference", "device": "cpu"} if isinstance(subject, Experiment) else {}
    plan = prepare(subject, (assignment,), Options(store=store, name=name, workers=0, **given))  # type: ignore[arg-type]
    return compared(plan.identity, plan.splits, store)
