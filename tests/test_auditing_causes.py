"""From where two runs part to the cause that is told: none is said that was not seen."""

from __future__ import annotations

import pytest

from seedbed.auditing.causes import ROUNDING, cause_of
from seedbed.auditing.closely import LineParting, OperationParting
from seedbed.auditing.conditions import made
from seedbed.auditing.findings import Origin
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, Record
from seedbed.userlines import Line

LINE = Line("net.py", 3, "forward")
AT = Parting(7, Record(7, Kind.STEP, 1, "", 1), Record(7, Kind.STEP, 1, "", 2))


def cause(
    condition: str, operation: str | None = None, line: str | None = None, name: str = "aten.mm.default", **given
):
    origin = Origin(
        AT,
        None if operation is None else OperationParting(5, operation, name, "forward", "", LINE),
        None if line is None else LineParting(LINE, 3, line, "x"),
    )
    return cause_of(made(condition, Setting())[-1 if condition.endswith("again") else 0], origin, **given).name


@pytest.mark.parametrize("condition", ["threads=2", "isa=default", "onednn", "deterministic"])
@pytest.mark.parametrize("what", ["argument", "sequence", "input", "generator", None])
def test_rounding_is_said_of_operations_that_wrote_something_else_alone(condition, what):
    assert cause(condition, "output") in ROUNDING
    assert cause(condition, what) not in ROUNDING
    for line in ("generator", "flow", "variable", "unseeded"):
        assert cause(condition, None, line) not in ROUNDING


def test_what_helps_is_of_the_condition():
    remedies = [
        cause_of(
            made(name, Setting())[0], Origin(AT, OperationParting(5, "output", "aten.mm.default", "", "", LINE))
        ).remedy
        for name in ("onednn", "deterministic", "isa=default")
    ]
    assert len(set(remedies)) == 3
    assert [("ATEN_CPU_CAPABILITY" in each) for each in remedies] == [False, False, True]


def test_a_race_is_an_operation_that_adds_and_equal_runs_that_differ():
    assert cause("again", "output", name="aten.index_put.default") == "race"
    assert cause("threads=2", "output", name="aten.index_put.default") == "split-sums"
    assert cause("threads=2", "output", name="aten.index_put.default", unstable=True) == "race"
    assert cause("again", "output") == "unstable-operation"


@pytest.mark.parametrize(
    ("condition", "operation", "line", "expected"),
    [
        ("memory", "uninitialised", None, "uninitialised-memory"),
        ("memory", "input", None, "uninitialised-memory"),
        ("memory", "output", None, "unstable-operation"),
        ("hash=1", None, "variable", "hash-order"),
        ("workers=2", "sequence", None, "worker-draws"),
        ("evaluation", None, "draws", "evaluation-draws"),
        ("evaluation", "input", None, "evaluation-changes"),
        ("evaluation", "output", None, "unstable-operation"),
        ("again", "input", None, "outside-torch"),
        ("again", "argument", None, "value-differs"),
        ("again", "generator", None, "generator-elsewhere"),
        ("again", None, "unseeded", "unseeded-draw"),
        ("again", None, None, "outside-torch"),
        ("threads=2", None, None, "outside-torch"),
    ],
)
def test_causes_of_what_comes_in(condition, operation, line, expected):
    assert cause(condition, operation, line) == expected


def test_what_could_not_be_looked_at_has_no_cause():
    origin = Origin(AT, caught=False, not_looked="its process ended")
    assert cause_of(made("again", Setting())[0], origin).name == "unknown"


@pytest.mark.parametrize("condition", ["again", "hash=1", "memory", "threads=2"])
def test_what_is_not_met_again_is_not_blamed_on_what_was_changed(condition):
    assert cause_of(made(condition, Setting())[0], Origin(AT, caught=False)).name == "comes-and-goes"


def test_a_first_run_that_alone_is_another_one_points_to_what_is_kept():
    assert cause_of(made("again", Setting())[0], Origin(AT, caught=False, is_of_first=True)).name == "kept-between-runs"


def test_of_results_alone_that_is_said():
    at = Parting(9, Record(9, Kind.RESULT, 3, "", 1), Record(9, Kind.RESULT, 3, "", 2))
    assert cause_of(made("again", Setting())[0], Origin(at)).name == "result-differs"


def test_of_what_is_made_outside_torch_one_thread_is_tried():
    assert cause_of(made("threads=2", Setting())[0], Origin(AT)).cures == ("threads",)
    assert cause_of(made("isa=default", Setting())[0], Origin(AT)).cures == ()
