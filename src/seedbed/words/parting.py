"""Where two runs part, in words: the step, the operation, the line."""

from __future__ import annotations

from pathlib import Path

from seedbed.auditing.closely import LineParting, OperationParting, Size
from seedbed.auditing.findings import Origin, Outcome
from seedbed.auditing.tape import Kind
from seedbed.userlines import Line


def sentence(origin: Origin) -> str:
    """A sentence on where two runs part."""
    if origin.seeding is not None:
        return f"The generator of {origin.seeding} starts otherwise."
    record = None if origin.parting is None else origin.parting.record
    if record is None:
        return "Only results are compared here, and no steps."
    place = where(origin)
    if origin.operation is not None:
        return f"Parts {place}: {_operation(origin.operation)}"
    if origin.line is not None:
        return f"Parts {place}. {at_line(origin.line)}."
    if origin.within_libraries:
        made = "; ".join(origin.within_libraries)
        return f"Parts {place}, and not where generators that libraries make for themselves have one seed: {made}."
    if origin.not_looked is not None:
        return f"Parts {place}; it could not be looked at closely: {origin.not_looked.rstrip('.')}."
    if origin.is_of_first:
        return f"Parts {place}; the runs after it are as the second."
    if not origin.caught:
        return f"Parts {place}; trained to there again and looked at closely, it did not part again."
    if record.kind in (Kind.BATCH, Kind.WEIGHTS, Kind.STEP) and not origin.parting_is_structural:
        return f"Parts {place}. Nothing that was looked at differs before it."
    return f"Parts {place}."


def is_at_the_end(origin: Origin) -> bool:
    return origin.parting is not None and origin.parting.record.kind is Kind.RESULT


def where(origin: Origin | None) -> str:
    if origin is None or origin.parting is None:
        return "in its results"
    parting = origin.parting
    record = parting.record
    if parting.is_structural:
        return f"{_at_step(record.step)}, where one does something else than the other"
    return {
        Kind.DATA: f"in the data ({record.label}), before any training",
        Kind.STRUCTURE: "in the structure of the model, before any training",
        Kind.WEIGHTS: "in the initial weights",
        Kind.GENERATORS: f"{_at_step(record.step)}, in where the random generators stand {record.label}",
        Kind.GPUS: f"{_at_step(record.step)}, in where the generators of GPUs stand {record.label}",
        Kind.BATCH: f"{_at_step(record.step)}, in its {record.label}",
        Kind.STEP: f"{_at_step(record.step)}",
        Kind.RESULT: "in the results, with all steps of training the same",
    }[record.kind]


def _at_step(step: int) -> str:
    return f"at step {step:,}" if step else "before the first step"


def _operation(operation: OperationParting) -> str:
    shapes = " x ".join("[" + ", ".join(map(str, shape)) + "]" for shape in operation.shapes[:3])
    of = f" of {shapes}" if shapes else ""
    name = f"{operation.name}{of}{_inside(operation)}"
    if operation.what == "output":
        size = operation.size
        if size is None:
            return f"{name} read the same and wrote something else."
        return f"{name} read the same and wrote something else: {_size(size)}."
    return {
        "uninitialised": f"{name} reads memory that was allocated{_line(operation.line)} and not written to.",
        "argument": f"{name} was called with another number.",
        "input": f"{name} read something else, which no operation in the part that was looked at had written there.",
        "generator": f"{name} draws from a generator that stands elsewhere.",
        "sequence": f"{name} stands where the other run has {operation.other or 'nothing'}.",
    }[operation.what]


def _size(size: Size) -> str:
    said = f"{size.elements:,} of {size.of:,} numbers, by up to {size.largest:.2g}"
    if size.ulps is None or size.ulps_of_largest is None:
        return said
    of_largest = f"{size.ulps_of_largest:.1f} ulps of the largest number"
    return f"{said}: {of_largest}, {size.ulps:,} ulp{'' if size.ulps == 1 else 's'} of the number itself"


def _inside(operation: OperationParting) -> str:
    of = f" of {operation.module}" if operation.module else ""
    line = _line(operation.line) if operation.what != "uninitialised" else ""
    if operation.phase == "optimizer":
        return f", in the step of {operation.module}{line},"
    if operation.phase == "backward":
        return f", in the backward pass{of}{line},"
    return f", in the forward pass{of}{line}," if operation.module else f",{line}," if line else ""


def at_line(parting: LineParting) -> str:
    if parting.others:
        listed = ", ".join(f"{name!r} ({short_path(line.file)}:{line.number})" for line, name in parting.others)
        have = "have" if len(parting.others) > 1 else "has"
        return f"{_at_line(parting)}; so {have} {listed}, and any of these may be the reason"
    return _at_line(parting)


def _at_line(parting: LineParting) -> str:
    at = f"{short_path(parting.line.file)}:{parting.line.number} ({parting.line.function})"
    return {
        "generator": f"The line {at} moves {parting.name} generator in one, and not in the other",
        "unseeded": f"The line {at} draws from {parting.name} generator, which nothing had seeded",
        "draws": f"The line {at} draws from {parting.name} generator",
        "flow": f"After the line {at} one goes on elsewhere than the other",
        "variable": f"After the line {at} {parting.name!r} has another value, or another order",
    }[parting.what]


def _line(line: Line | None) -> str:
    return "" if line is None else f" at {short_path(line.file)}:{line.number}"


def short_place(outcome: Outcome) -> str:
    origin = outcome.origin
    if origin is None or origin.parting is None:
        return "" if outcome.repeats is not False else "step 1" if outcome.after_one_step else "by its results"
    record = origin.parting.record
    place = {
        Kind.DATA: "data",
        Kind.STRUCTURE: "structure",
        Kind.WEIGHTS: "initial weights",
        Kind.RESULT: "results",
    }.get(record.kind, f"step {record.step:,}" if record.step else "before step 1")
    if outcome.as_for is not None:
        return place if outcome.as_for == "again" else f"{place}, likewise"
    if origin.seeding is not None:
        return f"{place}, {origin.seeding.rpartition(' at ')[2]}"
    if origin.operation is not None:
        name = ".".join(origin.operation.name.split(".")[:2])
        return f"{place}, {'backward ' if origin.operation.phase == 'backward' else ''}{name}"
    if origin.users_line is not None:
        return f"{place}, {short_path(origin.users_line.file)}:{origin.users_line.number}"
    return place


def short_path(file: str) -> str:
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
