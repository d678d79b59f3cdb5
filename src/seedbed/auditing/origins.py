"""Find where two runs part: first on their tapes, then, trained again to there, by operation and line."""

from __future__ import annotations

from seedbed.auditing.closely import LineParting, OperationParting, drawing_line, line_parting, operation_parting
from seedbed.auditing.conditions import Condition
from seedbed.auditing.findings import Origin
from seedbed.auditing.lab import Lab, Observation
from seedbed.auditing.observing import Window
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, Tape, parting

TRIES = 3  # to catch a difference that is not there each time
STEPS_WATCHED = 10  # in which it may come up again
_PER_STEP = 4  # records
NEAR = 50  # records from the start, of which all is looked at at once
FARTHEST = 1000  # records from the start, of all of which operations and lines can be recorded


def origin_of(lab: Lab, condition: Condition, one: Observation, other: Observation) -> Origin | None:
    """Where the run of a condition parts from what it is compared with; None where it does not."""
    found = parting(one.tape, other.tape)
    if found is None:
        return None
    libraries = _made_by_libraries(one, other)
    record = found.record
    if record.kind is Kind.SEEDED and not found.is_structural:
        return Origin(found, seeding=record.label)
    if condition.setting.but(repetition=0) == condition.against.but(repetition=0):
        return _of_repetition(lab, condition, found, one.tape, libraries)
    if condition.family in ("workers", "evaluation"):
        line = _drawing(lab, condition, found)
        if line is not None:
            return Origin(found, line=line)
    operation: OperationParting | None = None
    line = None
    for window in _windows(found):
        operation, line = _first(*_look(lab, condition.against, condition.setting, window, record.step))
        if line is not None or (operation is not None and operation.what != "input"):
            break  # of what is read, and written by nothing in the window, the way leads further back
    own = libraries if operation is None and line is None else ()
    return Origin(found, operation, line, within_libraries=own, caught=operation is not None or line is not None)


def _drawing(lab: Lab, condition: Condition, found: Parting) -> LineParting | None:
    """The line that draws where rows are loaded, or a model is evaluated: it is not where the runs part that says why,
    since one of them loads elsewhere, or undoes what was drawn."""
    plain = condition.against.but(workers=0) if condition.family == "workers" else condition.against
    (seen,) = lab.closely([plain], _nearest(found), max(1, found.record.step))
    return drawing_line(seen.folder, evaluating=condition.family == "evaluation")


def _of_repetition(lab: Lab, condition: Condition, found: Parting, tape: Tape, libraries: tuple[str, ...]) -> Origin:
    """Of two runs that should be the same, and may part elsewhere the next time."""
    step = max(1, found.record.step)
    for number in range(TRIES):
        one, other = (condition.against.but(repetition=10 + 2 * number + k) for k in range(2))
        windows, last = _windows(found), _nearest(found)
        if found.record.kind in (Kind.BATCH, Kind.STEP, Kind.GENERATORS):
            windows = [Window(_first_step(tape, last.start), last.end + _PER_STEP * STEPS_WATCHED), *windows[1:]]
        for window in windows:
            operation, line = _look(lab, one, other, window, step + STEPS_WATCHED, repeated=True)
            operation, line = _first(operation, line)
            if operation is not None or line is not None:
                return Origin(found, operation, line, within_libraries=libraries if operation is None else ())
    return Origin(found, within_libraries=libraries, caught=False)


def _first_step(tape: Tape, place: int) -> int:
    """A place before the step that the place is of, and some before it."""
    return max(0, min(place, place - _PER_STEP * (STEPS_WATCHED // 2)))


def _nearest(found: Parting) -> Window:
    """The part of the tape in which what differs in its last record was made, or came in."""
    before = found.place - 1 if found.record.kind in (Kind.GENERATORS, Kind.WEIGHTS) else found.place
    return Window(max(0, before), found.place)


def _windows(found: Parting) -> list[Window]:
    """The parts of the tape to be looked at, in this order, for what made the record at its end differ."""
    nearest, place = _nearest(found), found.place
    if nearest.start == 0 or nearest.start >= FARTHEST:
        return [nearest]
    # What reaches the training there may have been made long before.
    return [Window(0, place), nearest] if nearest.start < NEAR else [nearest, Window(0, place)]


def _look(
    lab: Lab, one: Setting, other: Setting, window: Window, steps: int, *, repeated: bool = False
) -> tuple[OperationParting | None, LineParting | None]:
    limit = max(1, steps)
    ours, theirs = lab.closely([one, other], window, limit)
    operation = operation_parting(ours.folder, theirs.folder)
    line = line_parting(ours.folder, theirs.folder)
    if line is not None and line.what == "variable" and not repeated:
        # Some plain values differ in runs that are the same: times, process numbers, names of temporary files.
        (same,) = lab.closely([one.but(repetition=20)], window, limit)
        line = line_parting(ours.folder, theirs.folder, [same.folder])
    return operation, line


def _first(
    operation: OperationParting | None, line: LineParting | None
) -> tuple[OperationParting | None, LineParting | None]:
    """Of two partings the earlier one, and not what only follows from it."""
    if operation is None or line is None:
        return operation, line
    # What wrote other numbers than from the same input is certain; a plain variable may differ to no effect.
    certain = operation.what == "uninitialised" or (operation.what == "output" and line.what == "variable")
    return (None, line) if line.operations <= operation.place and not certain else (operation, None)


def _made_by_libraries(one: Observation, other: Observation) -> tuple[str, ...]:
    ours, theirs = (each.notes.get("within_libraries", {}) for each in (one, other))
    return tuple(call for call in ours if call in theirs and ours[call] != theirs[call])
