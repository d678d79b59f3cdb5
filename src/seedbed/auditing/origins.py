"""Find where two runs part: first on their tapes, then, trained again to there, by operation and line."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.auditing.closely import (
    LineParting,
    OperationParting,
    drawing_line,
    is_cut_short,
    line_parting,
    operation_parting,
)
from seedbed.auditing.conditions import Condition
from seedbed.auditing.findings import Origin
from seedbed.auditing.lab import Lab, Observation
from seedbed.auditing.observing import Window
from seedbed.auditing.seen import seeded_otherwise
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, Tape, agree, parting
from seedbed.errors import first_line

TRIES = 3  # to catch a difference that is not there each time
STEPS_WATCHED = 10  # in which it may come up again
STEPS_BEYOND = 10  # that are compared where a generator is seeded to see whether it is the reason
_PER_STEP = 6  # records, where there are GPUs
NEAR = 50  # records from the start, of which all is soon looked at
WIDER = (50, 250)  # records before the parting that are looked at where the nearest do not tell
FARTHEST = 1000  # records from the start, of all of which operations and lines can be recorded
_TRIED, _CONTROL = 100, 200  # numbers of repetitions that no condition uses


class _NotLookedError(Exception):
    """A run cannot be trained with every operation and line recorded; its message says why."""


class _EarlierError(Exception):
    """Two equal runs that were trained again part before what was looked at closely."""

    def __init__(self, parting: Parting) -> None:
        super().__init__(parting)
        self.parting = parting


class _SameAgainError(Exception):
    """Two equal runs part again, and nothing that was recorded of them differs."""


_Found = tuple[OperationParting | None, LineParting | None]


def origin_of(lab: Lab, condition: Condition, one: Observation, other: Observation) -> Origin | None:
    """Where the run of a condition parts from what it is compared with; None where it does not."""
    found = parting(one.tape, other.tape, across_devices=condition.crosses_devices)
    if found is None:
        return None
    own, libraries = _seeded_otherwise(lab, condition, one, other)
    if own and _comes_of(lab, condition, own, found):
        alone = (each for each in own[:-1] if _comes_of(lab, condition, (each,), found))
        return Origin(found, seeding=own[-1] if len(own) == 1 else next(alone, own[-1]))
    if condition.family in ("workers", "evaluation"):
        line = _drawing(lab, condition, found, one.tape)
        if line is not None:
            return Origin(found, line=line)
    if libraries and _comes_of(lab, condition, libraries, found):
        return Origin(found, within_libraries=libraries)
    if condition.family == "workers":  # what a loader does in the place of another says nothing to who uses it
        return Origin(found)
    came_up = True
    try:
        if condition.is_repetition:
            operation, line, came_up = _repeated(lab, condition, found, one.tape)
            if not came_up and _is_of_first(lab, condition, found, one, other):
                return Origin(found, caught=False, is_of_first=True)
        else:
            operation, line, came_up = _once(lab, condition, found, one.tape)
            if not came_up and (operation is None or not operation.is_certain):
                return Origin(found, caught=False, is_of_first=_is_of_first(lab, condition, found, one, other))
    except _NotLookedError as error:
        return Origin(found, caught=False, not_looked=str(error))
    return Origin(found, operation, line, caught=came_up)


def feeds_training(lab: Lab, condition: Condition, one: Observation, other: Observation) -> bool:
    """Of a trial, whether what it draws in evaluation is trained on, such as a rollout: with other draws there, and
    generators that go on as without them, training is another one. Of one that is another each time that tells nothing.
    """
    found = parting(one.tape, other.tape)
    if found is None or found.record.kind is Kind.RESULT:
        return False
    settings = [condition.setting.but(other_draws=True), condition.setting.but(repetition=_CONTROL)]
    drawn, control = lab.observe(settings, lab.capped(max(1, found.record.step) + STEPS_BEYOND))
    return agree(other.tape, control.tape) and not agree(other.tape, drawn.tape)


def _comes_of(lab: Lab, condition: Condition, calls: tuple[str, ...], found: Parting) -> bool:
    """Whether two runs part because of generators that start otherwise: they no longer do where these calls leave
    generators of one seed."""
    pair = [each.but(seeded=calls) for each in (condition.against, condition.setting)]
    steps = None if found.record.kind is Kind.RESULT else max(1, found.record.step) + STEPS_BEYOND
    ours, theirs = lab.observe(pair, lab.capped(steps))
    if ours.error is not None or theirs.error is not None:
        return False
    return parting(ours.tape, theirs.tape) is None if steps is None else agree(ours.tape, theirs.tape)


def _once(
    lab: Lab, condition: Condition, found: Parting, tape: Tape
) -> tuple[OperationParting | None, LineParting | None, bool]:
    """Of two runs that part there each time; and whether they did. A third, which should be as the first, tells what
    differs in equal runs: times, process numbers, scratch space of operations."""
    pair = condition.against, condition.setting
    control = condition.against.but(repetition=_CONTROL)
    # What moves the data to another device, long before, is another sequence of operations, and no difference.
    windows = [_nearest(found, tape)] if condition.crosses_devices else list(_windows(found, tape))
    return _searched(
        lab, pair, control, windows, found, across_devices=condition.crosses_devices, changed=condition.family
    )


def _repeated(
    lab: Lab, condition: Condition, found: Parting, tape: Tape
) -> tuple[OperationParting | None, LineParting | None, bool]:
    """Of two runs that should be the same, and may part elsewhere the next time; and whether they parted again."""
    came_up = False
    for number in range(TRIES):
        pair = [condition.against.but(repetition=_TRIED + 2 * number + k) for k in range(2)]
        try:
            operation, line, _ = _searched(lab, (pair[0], pair[1]), None, _watched(found, tape), found, STEPS_WATCHED)
        except _EarlierError as error:
            found, came_up = error.parting, True
            continue
        except _SameAgainError:
            came_up = True
            continue
        if operation is not None or line is not None:
            return operation, line, True
    return None, None, came_up


def _is_of_first(lab: Lab, condition: Condition, found: Parting, one: Observation, other: Observation) -> bool:
    """Whether it is the first run that is another one, and a third is as the second; of one that writes files, since
    what comes and goes may as well be there in the first run alone."""
    if not one.notes.get("writes_files"):
        return False
    steps = None if found.record.kind is Kind.RESULT else max(1, found.record.step) + STEPS_BEYOND
    (third,) = lab.observe([condition.against.but(repetition=_TRIED)], lab.capped(steps))
    if third.error is not None:
        return False
    if steps is None:
        return parting(other.tape, third.tape) is None
    return agree(other.tape, third.tape) and not agree(one.tape, third.tape)


def _watched(found: Parting, tape: Tape) -> list[Window]:
    """Where to look for what may come up a little earlier or later the next time."""
    windows, nearest = list(_windows(found, tape)), _nearest(found, tape)
    if found.record.kind not in (Kind.BATCH, Kind.STEP, Kind.GENERATORS, Kind.GPUS):
        return windows
    before = max(0, nearest.start - _PER_STEP * (STEPS_WATCHED // 2))
    wider = Window(before, nearest.end + _PER_STEP * STEPS_WATCHED)
    return [wider if each == nearest else each for each in windows]


def _searched(
    lab: Lab,
    pair: tuple[Setting, Setting],
    control: Setting | None,
    windows: list[Window],
    parted: Parting,
    beyond: int = 0,
    *,
    across_devices: bool = False,
    changed: str = "",
) -> tuple[OperationParting | None, LineParting | None, bool]:
    """Look at one window after the other, until one tells where the runs part; and whether they parted again, and the
    control, where there is one, is as the first of them.

    Args:
        beyond: steps that are trained beyond where they parted.
        changed: the family of the condition.

    Raises:
        _EarlierError: without a control, the two part before a window.
        _SameAgainError: without a control, they part, and nothing tells where.
        _NotLookedError: they cannot be looked at.
    """
    kind, step = parted.record.kind, max(1, parted.record.step) + beyond
    steps = None if kind is Kind.RESULT else lab.capped(step)  # the result is told when all steps are over
    found: _Found = None, None
    came_up = False
    for window in windows:
        settings = pair if control is None else (*pair, control)
        seen = lab.closely(settings, window, steps, all_rows=kind is Kind.DATA)
        try:
            seen_here = _compared(lab, seen, window, control=control is not None, across_devices=across_devices)
            apart = parting(seen[0].tape, seen[1].tape, across_devices=across_devices) is not None
            came_up |= apart and _is_steady(lab, seen, changed)
        finally:
            lab.forget(seen)
        found = found if seen_here == (None, None) else seen_here
        if _is_first(seen_here, window):
            break
    if control is None and came_up and found == (None, None):
        raise _SameAgainError
    return *found, came_up


def _is_steady(lab: Lab, seen: list[Observation], changed: str) -> bool:
    """Whether runs that were trained again are as they were, and the control is as the first of them: as far as that is
    to be expected of what was changed."""
    ours, theirs, *control = seen
    if changed == "memory":  # what memory holds unfilled may be another thing each time
        return _is_as_before(lab, theirs)
    if not all(agree(ours.tape, each.tape) for each in control):
        return False
    return changed != "hash" or (_is_as_before(lab, ours) and _is_as_before(lab, theirs))


def _is_as_before(lab: Lab, run: Observation) -> bool:
    before = lab.known(run.setting)
    return before is None or agree(before.tape, run.tape)


def _compared(lab: Lab, seen: list[Observation], window: Window, *, control: bool, across_devices: bool) -> _Found:
    ours, theirs, *same = seen
    for each in seen:
        own = lab.known(each.setting)
        if each.error is not None and (own is None or own.error is None):  # not one that fails by itself
            raise _NotLookedError(first_line(each.error))
    if not control:
        apart = parting(ours.tape, theirs.tape)
        if apart is not None and apart.place < window.start:
            raise _EarlierError(apart)
    folders = [each.folder for each in same]
    operation = operation_parting(ours.folder, theirs.folder, folders)
    line = line_parting(
        ours.folder, theirs.folder, folders, variables_last=not control, across_devices=across_devices,
        until=None if operation is None else operation.place,
    )  # fmt: skip
    found = _first(operation, line)
    if found == (None, None) and is_cut_short(ours.folder):
        raise _NotLookedError("there are more operations or lines than are recorded")
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


def _drawing(lab: Lab, condition: Condition, found: Parting, tape: Tape) -> LineParting | None:
    """The line that draws where rows are loaded, or a model is evaluated: it is not where the runs part that says why,
    since one of them loads elsewhere, or undoes what was drawn."""
    plain = condition.against.but(workers=0) if condition.family == "workers" else condition.against
    for window in _windows(found, tape):
        seen = lab.closely([plain], window, lab.capped(max(1, found.record.step)))
        line = drawing_line(seen[0].folder, "evaluating" if condition.family == "evaluation" else "loading")
        lab.forget(seen)
        if line is not None:
            return line
    return None


def _nearest(found: Parting, tape: Tape) -> Window:
    """The part of the tape in which what differs in its last record was made, or came in."""
    kind, place = found.record.kind, found.place
    if kind is Kind.STEP:
        return Window(_begun(found, tape), place)
    back = {Kind.WEIGHTS: 1, Kind.GENERATORS: 1, Kind.GPUS: 2}
    return Window(max(0, place - back.get(kind, 0)), place)


def _begun(found: Parting, tape: Tape) -> int:
    """The place at which the first batch of a step was seen, and where generators stood: of several batches, whose
    gradients are added up, all are the step's."""
    first = found.place
    while first and tape[first - 1].step == found.record.step:
        first -= 1
    begun = first + 1
    while begun < found.place and tape[begun].kind in (Kind.GENERATORS, Kind.GPUS):
        begun += 1
    return min(begun, found.place)


def _windows(found: Parting, tape: Tape) -> Iterator[Window]:
    """The parts of the tape to be looked at, in this order, for what made the record at its end differ."""
    nearest = _nearest(found, tape)
    whole = Window(0, found.place)  # what reaches the training there may have been made long before
    near = 0 < nearest.start < NEAR
    # A step began with equal weights, rows and generators: what computes otherwise mostly stands in it.
    if near and found.record.kind is not Kind.STEP:
        yield whole
    yield nearest
    if near and found.record.kind is Kind.STEP:
        yield whole
    if nearest.start >= NEAR:
        for width in WIDER:
            if found.place > width:
                yield Window(found.place - width, found.place)
        if nearest.start < FARTHEST:
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
