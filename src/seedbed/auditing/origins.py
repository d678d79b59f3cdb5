"""Find where two runs part: first on their tapes, then, trained again to there, by operation and line."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.auditing.closely import LineParting, OperationParting, drawing_line, line_parting, operation_parting
from seedbed.auditing.conditions import Condition
from seedbed.auditing.findings import Origin
from seedbed.auditing.lab import Lab, Observation
from seedbed.auditing.observing import Window
from seedbed.auditing.seen import seeded_otherwise
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, parting
from seedbed.errors import first_line

TRIES = 3  # to catch a difference that is not there each time
STEPS_WATCHED = 10  # in which it may come up again
_PER_STEP = 6  # records, where there are GPUs
NEAR = 50  # records from the start, of which all is soon looked at
FARTHEST = 1000  # records from the start, of all of which operations and lines can be recorded
_TRIED, _CONTROL = 100, 200  # numbers of repetitions that no condition uses


class _NotLookedError(Exception):
    """A run cannot be trained with every operation and line recorded; its message says why."""


_Found = tuple[OperationParting | None, LineParting | None]


def origin_of(lab: Lab, condition: Condition, one: Observation, other: Observation) -> Origin | None:
    """Where the run of a condition parts from what it is compared with; None where it does not."""
    found = parting(one.tape, other.tape, across_devices=condition.crosses_devices)
    if found is None:
        return None
    own, libraries = _seeded_otherwise(lab, condition, one, other)
    if own and found.record.kind not in (Kind.STEP, Kind.RESULT):
        return Origin(found, seeding=own[0])
    if condition.family in ("workers", "evaluation"):
        line = _drawing(lab, condition, found)
        if line is not None:
            return Origin(found, line=line)
    look = _repeated if condition.is_repetition else _once
    try:
        operation, line = look(lab, condition, found)
    except _NotLookedError as error:
        return Origin(found, caught=False, not_looked=str(error))
    if own and (operation is None or not operation.is_certain):
        return Origin(found, seeding=own[0])
    nothing = operation is None and line is None
    return Origin(found, operation, line, within_libraries=libraries if nothing else (), caught=not nothing)


def _once(lab: Lab, condition: Condition, found: Parting) -> _Found:
    """Of two runs that part there each time; a third, which should be the same as the first, tells what differs in
    equal runs: times, process numbers, scratch space of operations."""
    pair = condition.against, condition.setting
    control = condition.against.but(repetition=_CONTROL)
    # What moves the data to another device, long before, is another sequence of operations, and no difference.
    windows = [_nearest(found)] if condition.crosses_devices else list(_windows(found))
    return _searched(lab, pair, control, windows, max(1, found.record.step), across_devices=condition.crosses_devices)


def _repeated(lab: Lab, condition: Condition, found: Parting) -> _Found:
    """Of two runs that should be the same, and may part elsewhere the next time."""
    windows, nearest = list(_windows(found)), _nearest(found)
    if found.record.kind in (Kind.BATCH, Kind.STEP, Kind.GENERATORS, Kind.GPUS):
        before = max(0, nearest.start - _PER_STEP * (STEPS_WATCHED // 2))
        watched = Window(before, nearest.end + _PER_STEP * STEPS_WATCHED)
        windows = [watched if each == nearest else each for each in windows]
    steps = max(1, found.record.step) + STEPS_WATCHED
    for number in range(TRIES):
        one, other = (condition.against.but(repetition=_TRIED + 2 * number + k) for k in range(2))
        operation, line = _searched(lab, (one, other), None, windows, steps)
        if operation is not None or line is not None:
            return operation, line
    return None, None


def _searched(
    lab: Lab,
    pair: tuple[Setting, Setting],
    control: Setting | None,
    windows: list[Window],
    steps: int,
    *,
    across_devices: bool = False,
) -> _Found:
    """Look at one window after the other, until one tells where the runs part."""
    found: _Found = None, None
    for window in windows:
        settings = pair if control is None else (*pair, control)
        ours, theirs, *same = seen = lab.closely(settings, window, steps)
        for each in seen:
            own = lab.known(each.setting)
            if each.error is not None and (own is None or own.error is None):  # not one that fails by itself
                raise _NotLookedError(first_line(each.error))
        folders = [each.folder for each in same]
        seen_here = _first(
            operation_parting(ours.folder, theirs.folder, folders),
            line_parting(
                ours.folder,
                theirs.folder,
                folders,
                variables_last=control is None,
                across_devices=across_devices,
            ),
        )
        found = found if seen_here == (None, None) else seen_here
        if _is_first(seen_here, window):
            break
    return found


def _is_first(found: _Found, window: Window) -> bool:
    """Whether nothing before a window need be looked at to know what was found in it to be the first."""
    operation, line = found
    if operation is not None and operation.is_certain:
        return True
    if 0 < window.start < NEAR:  # all that came before is soon looked at
        return False
    # Of what is read, and written by nothing in the window, the way leads further back.
    return line is not None or (operation is not None and operation.what != "input")


def _drawing(lab: Lab, condition: Condition, found: Parting) -> LineParting | None:
    """The line that draws where rows are loaded, or a model is evaluated: it is not where the runs part that says why,
    since one of them loads elsewhere, or undoes what was drawn."""
    plain = condition.against.but(workers=0) if condition.family == "workers" else condition.against
    (seen,) = lab.closely([plain], _nearest(found), max(1, found.record.step))
    return drawing_line(seen.folder, evaluating=condition.family == "evaluation")


def _nearest(found: Parting) -> Window:
    """The part of the tape in which what differs in its last record was made, or came in."""
    back = {Kind.WEIGHTS: 1, Kind.GENERATORS: 1, Kind.GPUS: 2}
    before = found.place - back.get(found.record.kind, 0)
    return Window(max(0, before), found.place)


def _windows(found: Parting) -> Iterator[Window]:
    """The parts of the tape to be looked at, in this order, for what made the record at its end differ."""
    nearest = _nearest(found)
    whole = Window(0, found.place)  # what reaches the training there may have been made long before
    near = 0 < nearest.start < NEAR
    # A step began with equal weights, rows and generators: what computes otherwise mostly stands in it.
    if near and found.record.kind is not Kind.STEP:
        yield whole
    yield nearest
    if nearest.start and ((near and found.record.kind is Kind.STEP) or NEAR <= nearest.start < FARTHEST):
        yield whole


def _first(operation: OperationParting | None, line: LineParting | None) -> _Found:
    """Of two partings the earlier one, and not what only follows from it."""
    if operation is None or line is None:
        return operation, line
    # What wrote other numbers than from the same input is certain; a plain variable may differ to no effect.
    certain = operation.what == "uninitialised" or (operation.what == "output" and line.what == "variable")
    return (None, line) if line.operations <= operation.place and not certain else (operation, None)


def _seeded_otherwise(
    lab: Lab, condition: Condition, one: Observation, other: Observation
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Calls after which a generator stood elsewhere: of the user's code, and of libraries."""
    apart = seeded_otherwise(one, other)
    if apart and not condition.is_repetition:
        again = lab[condition.against.but(repetition=1)]
        if parting(one.tape, again.tape) is None:
            ignored = seeded_otherwise(one, again)  # they reach nothing, or these runs would differ too
            apart = [each for each in apart if each not in ignored]
    seedings = one.notes.get("seedings", {})
    return (
        tuple(call for call in apart if seedings[call]["directly"]),
        tuple(call for call in apart if not seedings[call]["directly"]),
    )
