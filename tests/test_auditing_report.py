"""An audit in words, from values made by hand: no training, and no torch."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from seedbed.auditing.causes import RACE, SPLIT_SUMS, UNSEEDED, VALUE_DIFFERS, cause_of
from seedbed.auditing.closely import LineParting, OperationParting, Size
from seedbed.auditing.conditions import made
from seedbed.auditing.findings import Apart, Audit, Cure, Effect, Origin, Outcome, Spread, Structure
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, Record
from seedbed.userlines import Line
from seedbed.words import audit_json
from seedbed.words import auditing as report

BASE = Setting()
PRODUCT = OperationParting(
    5, "output", "aten.mm.default", "backward", "head (Linear)", Line("net.py", 12, "forward"), ((10, 64), (64, 32)),
    size=Size(97, 1.0, 7.5e-9, 70, 640),
)  # fmt: skip
SPREAD = Spread(0.02, 0.015, 0.03, 12, 40.0, "12 runs of study net")


def parting(kind: Kind, step: int = 1, label: str = "") -> Parting:
    return Parting(7, Record(7, kind, step, label, 1), Record(7, kind, step, label, 2))


def same(name: str) -> Outcome:
    return Outcome(made(name, BASE)[0], True, steps=100)


def other(name: str, **values: Any) -> Outcome:
    given = {
        "origin": Origin(parting(Kind.STEP), PRODUCT),
        "cause": SPLIT_SUMS,
        "growth": (Apart(1, 1e-9, 0.9), Apart(10, 2e-6, 1.0), Apart(100, 3e-4, 1.2)),
        "effect": Effect(3, 1000, 0.001, {"test/accuracy": 0.001}),
        "steps": 100,
    }
    return Outcome(made(name, BASE)[0], False, **{**given, **values})


def audit(*outcomes: Outcome, **values: Any) -> Audit:
    given = {"name": "net", "seeds": "0", "primary": "test/accuracy", "base": "1 thread", "steps": 100}
    return Audit(**{**given, "outcomes": outcomes, **values})


def test_what_repeats_is_one_result():
    found = audit(same("again"), same("hash=1"))
    assert report.verdict(found) == (
        "net, seed 0, on 1 thread, gives one result: all 100 steps repeat bit for bit under the same again and "
        "PYTHONHASHSEED=1."
    )
    assert (found.repeats, found.exit_status) == (True, 0)


def test_what_rounds_otherwise_is_set_beside_the_spread_over_seeds():
    found = audit(same("again"), other("threads=2"), spread=SPREAD)
    assert report.verdict(found) == (
        "net, seed 0, on 1 thread, repeats bit for bit under the same again, but 2 threads gives another result, by "
        "rounding. At the end test/accuracy differs by up to 0.001, and up to 3 of 1,000 predictions do: 0.05 of its "
        "standard deviation over seeds (0.0200, 12 runs of study net), which is little beside the choice of the seed."
    )
    assert (found.repeats, found.exit_status) == (False, 1)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (0.001, "which is little beside the choice of the seed"),
        (0.01, "which is less than another seed makes of it"),
        (0.02, ": about as much as another seed makes of it"),
        (-0.05, ": more than another seed makes of it"),
    ],
)
def test_larger_effects_are_called_so(score, words):
    outcome = other("threads=2", effect=Effect(3, 1000, score))
    assert words in report.verdict(audit(same("again"), outcome, spread=SPREAD))


def test_predictions_that_differ_under_an_equal_score_are_set_beside_those_of_two_seeds():
    outcome = other("threads=2", effect=Effect(3, 1000, 0.0))
    expected = (
        "test/accuracy is the same, and up to 3 of 1,000 predictions differ at the end; two seeds predict 40 otherwise."
    )
    assert expected in report.verdict(audit(same("again"), outcome, spread=SPREAD))


def test_a_difference_of_which_nothing_comes_is_told_so():
    outcome = other("threads=2", effect=Effect(0, 1000, 0.0))
    assert "nothing comes of it: test/accuracy and all 1,000 predictions are the same" in report.verdict(audit(outcome))


def test_what_does_not_repeat_unchanged_is_told_first():
    origin = Origin(parting(Kind.BATCH, 1, "rows"), seeding="numpy.random.default_rng at data.py:3")
    found = audit(other("again", origin=origin, cause=UNSEEDED), other("threads=2"))
    assert report.verdict(found).startswith(
        "net, seed 0 is not one result: run again, with nothing changed, it parts at step 1, in its rows."
    )
    (words, sentences), _ = report.findings(found)
    assert words == "the same again"
    assert sentences[0] == "The generator of numpy.random.default_rng at data.py:3 starts otherwise."


def test_of_a_run_that_differs_with_nothing_changed_other_conditions_tell_nothing_more():
    found = audit(other("again"), other("isa=default", as_for="again", origin=Origin(parting(Kind.STEP, 51))))
    assert report.rows(found)[1][2] == "step 51"
    ((_, _), (words, (sentence,))) = report.findings(found)
    assert words == "instruction set default"
    assert sentence.startswith("The run differs with nothing changed")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (SPLIT_SUMS, "another result, by rounding."),
        (VALUE_DIFFERS, "another result."),
        (None, "another result."),
        (cause_of(made("isa=default", BASE)[0], Origin(parting(Kind.STEP), PRODUCT)), "another result, by rounding."),
    ],
)
def test_rounding_is_said_where_that_is_known(cause, words):
    found = audit(same("again"), other("threads=2", cause=cause))
    assert words in report.verdict(found)
    assert "rounding" not in report.verdict(dataclasses.replace(found, by_results=True))


def test_a_part_of_a_training_is_not_told_as_the_whole():
    short = audit(same("again"), other("threads=2"), steps=50, all_steps=550, is_whole=False)
    assert "repeats bit for bit for the first 50 of 550 steps under" in report.verdict(short)
    assert "After 50 steps test/accuracy differs" in report.verdict(short)
    assert any("how far they are apart after 50 steps" in note for note in report.notes(short))
    trial = audit(same("again"), steps=50, is_whole=False, primary=None)
    assert "gives one result: the first 50 steps repeat" in report.verdict(trial)
    assert any("a trial that is stopped after 50 steps returns none" in note for note in report.notes(trial))


def test_what_must_be_known_of_a_condition_is_noted():
    engine = Outcome(
        made("engine=lanes", BASE)[0], True, note="compared after the first step only", after_one_step=True
    )
    assert "lanes engine: compared after the first step only." in report.notes(audit(engine))
    differing = other("engine=lanes", origin=Origin(None), after_one_step=True)
    assert report.rows(audit(differing))[0][2] == "step 1"


def test_other_scores_that_differ_are_not_passed_over():
    equal = other("threads=2", effect=Effect(0, 1000, 0.0, {"test/accuracy": 0.0, "test/loss": 0.02}))
    assert "At the end test/accuracy is the same; test/loss is not." in report.verdict(audit(same("again"), equal))
    unknown = audit(other("threads=2", effect=Effect(0, 1000, 0.0)), other("isa=default", effect=None))
    assert "test/accuracy is the same where it is known" in report.verdict(unknown)


def test_an_audit_that_saw_more_is_kept():
    whole = audit_json.as_kept(audit(same("again"), same("hash=1")))
    short = audit_json.as_kept(audit(same("again"), same("hash=1"), is_whole=False))
    fewer = audit_json.as_kept(audit(same("again")))
    assert audit_json.saw_more(whole, short)
    assert audit_json.saw_more(whole, fewer)
    for now in (whole, audit_json.as_kept(audit(same("again"), same("memory")))):
        assert not audit_json.saw_more(whole, now)
    assert not audit_json.saw_more(short, fewer)
    assert not audit_json.saw_more({"verdict": "of an older kind"}, fewer)


def test_as_text_it_is_its_verdict():
    found = audit(same("again"))
    assert str(found) == found.verdict == report.verdict(found)


def test_a_change_that_should_be_none_is_called_by_its_name():
    found = audit(same("again"), other("hash=1"))
    assert "PYTHONHASHSEED=1 should change nothing, and gives another one" in report.verdict(found)


def test_what_could_not_be_told_is_said_and_is_no_yes():
    found = audit(same("again"), Outcome(made("onednn", BASE)[0], None, "its process died"))
    assert "Of oneDNN off nothing can be said." in report.verdict(found)
    assert "oneDNN off could not be told: its process died." in report.notes(found)
    assert (found.repeats, found.exit_status) == (None, 3)
    assert audit().exit_status == 3


def test_the_yardstick_is_no_condition():
    found = audit(same("again"), Outcome(made("float64", BASE)[0], None, growth=(Apart(100, 1e-3, 1.0),)))
    assert (found.repeats, found.exit_status) == (True, 0)
    assert report.rows(found)[1][:2] == ("float64", "(yardstick)")


def test_a_row_tells_where_and_how_much():
    (row,) = report.rows(audit(other("threads=2"), spread=SPREAD))
    assert row == ("2 threads", "NO", "step 1, backward aten.mm", "3.0e-04", "3 of 1,000", "+0.001 (0.05 sd)")
    assert report.headings(audit())[-1] == "test/accuracy"


def test_a_finding_tells_operation_module_line_size_cause_cures_and_growth():
    cures = (
        Cure("one thread", True, 40, 1.7),
        Cure("oneDNN off", False, 40),
        Cure("other", None, 0, why_not="it died"),
    )
    ((_, sentences),) = report.findings(audit(other("threads=2", cures=cures)))
    assert sentences == [
        "Parts at step 1: aten.mm.default of [10, 64] x [64, 32], in the backward pass of head (Linear) at net.py:12, "
        "read the same and wrote something else: 70 of 640 numbers, by up to 7.5e-09: 1.0 ulps of the "
        "largest number, 97 ulps of the number itself.",
        f"Why: {SPLIT_SUMS.why}",
        f"What helps: {SPLIT_SUMS.remedy}",
        "Tried: one thread: the same for 40 steps, at about 1.7 x the time of a step; oneDNN off: no help; other: "
        "cannot be trained so (it died).",
        "Growth: 1.0e-09 after 1 step, 2.0e-06 after 10 steps, 3.0e-04 after 100 steps.",
    ]


def test_conditions_that_part_at_the_same_place_are_told_together():
    found = audit(other("hash=1"), other("hash=2", as_for="hash=1"))
    assert list(report.findings(found))[1] == (
        "PYTHONHASHSEED=2", ["Parts where PYTHONHASHSEED=1 does, for the same reason."]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("generator", "The line net.py:12 (forward) moves torch's generator in one, and not in the other."),
        ("draws", "The line net.py:12 (forward) draws from torch's generator."),
        ("unseeded", "The line net.py:12 (forward) draws from torch's generator, which nothing had seeded."),
        ("flow", "After the line net.py:12 (forward) one goes on elsewhere than the other."),
        ("variable", 'After the line net.py:12 (forward) "torch\'s" has another value, or another order.'),
    ],
)
def test_lines_are_told(what, words):
    line = LineParting(Line("net.py", 12, "forward"), 0, what, "torch's")
    origin = Origin(parting(Kind.BATCH, 4, "rows"), line=line)
    ((_, sentences),) = report.findings(audit(other("again", origin=origin, cause=RACE)))
    assert sentences[0] == f"Parts at step 4, in its rows. {words}"


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_record_has_words(kind):
    outcome = other("again", origin=Origin(parting(kind, 0, "training rows")))
    ((_, sentences),) = report.findings(audit(outcome))
    assert sentences[0].startswith("Parts ")
    assert report.rows(audit(outcome))[0][2]


@pytest.mark.parametrize("what", ["output", "uninitialised", "argument", "input", "generator", "sequence"])
def test_every_way_to_part_at_an_operation_has_words(what):
    operation = dataclasses.replace(PRODUCT, what=what, size=None)
    ((_, sentences),) = report.findings(audit(other("again", origin=Origin(parting(Kind.STEP), operation))))
    assert "aten.mm.default" in sentences[0]
    assert sentences[0].endswith(".")


def test_what_could_not_be_looked_at_closely_is_told_so():
    origin = Origin(parting(Kind.STEP), caught=False, not_looked="its process ended")
    ((_, sentences),) = report.findings(audit(other("again", origin=origin)))
    assert sentences[0] == "Parts at step 1; it could not be looked at closely: its process ended."


def test_lines_of_which_any_may_be_the_reason_are_listed():
    others = ((Line("net.py", 14, "forward"), "fold"), (Line("net.py", 15, "forward"), "rows"))
    line = LineParting(Line("net.py", 12, "forward"), 0, "variable", "name", others)
    ((_, sentences),) = report.findings(audit(other("again", origin=Origin(parting(Kind.BATCH, 1, "rows"), line=line))))
    assert sentences[0] == (
        "Parts at step 1, in its rows. After the line net.py:12 (forward) 'name' has another value, or another order; "
        "so have 'fold' (net.py:14), 'rows' (net.py:15), and any of these may be the reason."
    )


def test_generators_of_libraries_are_told_with_what_was_tried():
    origin = Origin(parting(Kind.BATCH, 1, "rows"), within_libraries=("random.Random at net.py:3",))
    ((_, sentences),) = report.findings(audit(other("again", origin=origin)))
    assert sentences[0] == (
        "Parts at step 1, in its rows, and not where generators that libraries make for themselves have one seed: "
        "random.Random at net.py:3."
    )


def test_a_structure_that_changes_with_the_seed_is_a_finding():
    structure = Structure({1: "fc [3], here [4]"}, LineParting(Line("net.py", 3, "model"), 0, "variable", "width"))
    found = audit(same("again"), structure=structure)
    ((words, sentences),) = report.findings(found)
    assert words == "structure"
    assert "seed 1: fc [3], here [4]" in sentences[0]
    assert "net.py:3" in sentences[1]


def test_results_of_programs_are_called_results():
    outcome = other("threads=2", origin=Origin(None), effect=Effect(0, 0, 0.1, {"loss": 0.1, "acc": 0.0}), growth=())
    found = audit(same("again"), outcome, by_results=True, primary="loss")
    assert "repeats its results under" in report.verdict(found)
    ((_, sentences),) = report.findings(found)
    assert sentences[0] == "Results that differ: loss by +0.1."
    assert report.verdict(audit(same("again"), by_results=True)).endswith("under the same again.")


def test_as_json_all_of_it_is_plain_values():
    origin = Origin(parting(Kind.STEP), PRODUCT, LineParting(Line("net.py", 3, "model"), 0, "variable", "width"))
    cures = (Cure("one thread", True, 40, float("nan")),)
    found = audit(other("threads=2", origin=origin, cures=cures), spread=SPREAD, left_out=(("lanes engine", "why"),))
    values = json.loads(json.dumps(audit_json.as_json(found), allow_nan=False))
    (condition,) = values["conditions"]
    assert (values["repeats"], values["verdict"]) == (False, report.verdict(found))
    assert condition["origin"]["operation"]["size"]["ulps"] == 97
    assert condition["origin"]["operation"]["line"]["number"] == 12
    assert condition["cures"][0]["cost"] is None
    assert values["left_out"] == {"lanes engine": "why"}


def test_in_a_notebook() -> None:
    found = audit(same("again"), other("threads=2"), spread=SPREAD, name="<b>net</b>")
    shown = found._repr_mimebundle_()
    assert "&lt;b&gt;net" in shown["text/html"]
    assert "aten.mm.default of [10, 64] x [64, 32]" in shown["text/html"]
    assert r"\<b\>net" in shown["text/markdown"]
    assert "<svg" in shown["text/html"]  # how the difference grows
    assert "another seed" in shown["text/html"]
    assert report.headings(found)[0] in shown["text/html"]
    repeating = audit(same("again"))._repr_html_()
    assert "gives one result" in repeating
    assert "<svg" not in repeating
    assert "<table" not in audit()._repr_html_()
