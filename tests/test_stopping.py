"""Stopping by a rule: it looks at runs in the order of their seeds, and finds the same however they were computed."""

from __future__ import annotations

import functools
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from torch import nn
from torch.optim import SGD

import seedbed as sb
from seedbed import stats
from seedbed.records import RunResult, Status
from seedbed.runner.following import Following
from seedbed.seeds import Assignment
from seedbed.stats import Interval
from seedbed.stopped import Stopped
from seedbed.stopping import Decided, FixedWidth, Look, Stein, look, needed, parse_until, resolve
from seedbed.store import StudyWriter, delete, note_stopping, stoppings
from seedbed.study import Study
from seedbed.words import stopping as words
from tests.test_runs import Told
from tests.test_store import ENVIRONMENT, IDENTITY
from tests.trainings import TRAININGS, Training, plain_net

# Scores as accuracies are: in steps, so that some runs are equal.
steps = st.integers(0, 40).map(lambda correct: correct / 40)
scores = st.lists(steps, min_size=1, max_size=60).map(np.array)
with_gaps = st.lists(steps | st.just(float("nan")), min_size=1, max_size=60).map(np.array)
widths = st.sampled_from([0.05, 0.1, 0.15, 0.3])


# The rules


@settings(max_examples=200, deadline=None)
@given(scores, widths, st.integers(2, 12))
def test_fixed_width_stops_at_the_first_prefix_that_is_enough(x: np.ndarray, width: float, least: int) -> None:
    naive = [n for n in range(1, len(x) + 1) if stats.fixed_width(x[:n], width, least=least).done]
    found = look(FixedWidth("accuracy", width, least), x)
    assert (found.done, found.n) == (bool(naive), naive[0] if naive else len(x))
    assert found.interval == stats.fixed_width(x[: found.n], width, least=least).interval
    assert not found.done or (found.interval.high - found.interval.low) / 2 <= width


@settings(max_examples=100, deadline=None)
@given(scores, widths, st.integers(2, 12))
def test_stein_stops_where_its_first_stage_says(x: np.ndarray, width: float, first: int) -> None:
    found = look(Stein("accuracy", width, first), x)
    if len(x) < first:
        assert (found.done, found.n, found.hopeless) == (False, len(x), "")
    elif np.ptp(x[:first]) == 0:
        assert (found.done, found.n) == (False, first)
        assert "equal scores" in found.hopeless
    else:
        wanted = stats.stein_second_stage(x[:first], width)
        assert (found.done, found.n) == (len(x) >= wanted, min(wanted, len(x)))
        assert found.bound == wanted
        if found.done:
            assert found.interval == stats.stein_interval(x[:wanted], first, width)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(steps, steps), min_size=1, max_size=60).map(np.array), st.sampled_from([None, "normal"]))
def test_it_is_decided_at_the_first_look_whose_interval_leaves_zero_out(x: np.ndarray, assume: str | None) -> None:
    rule = Decided("accuracy", None if assume else (0, 1), assume, confidence=0.6)
    whole = stats.difference_sequence(x[:, 0], x[:, 1], confidence=0.6, assume=assume)
    with np.errstate(invalid="ignore"):
        ends = ~(whole.low <= whole.high) | (whole.low > 0) | (whole.high < 0)  # no value left, or 0 left out
    first = int(ends.argmax()) + 1 if ends.any() else len(x)
    found = look(rule, x)
    assert found.n == first
    assert found.done == bool(ends.any() and np.isfinite(whole.low[first - 1]))
    if found.done:
        assert (found.interval.low, found.interval.high) == pytest.approx((whole.low[first - 1], whole.high[first - 1]))


@settings(max_examples=100, deadline=None)
@given(with_gaps, widths)
def test_a_run_that_diverged_has_its_place_and_no_part_in_the_mean(x: np.ndarray, width: float) -> None:
    rule = FixedWidth("accuracy", width, 3)
    converged = x[np.isfinite(x)]
    found, without = look(rule, x), look(rule, converged)
    assert found.done == without.done
    assert found.interval == without.interval
    assert found.n - found.left_out == without.n
    if found.done:
        assert np.isfinite(x[found.n - 1])  # no look is new where a run diverged
        assert np.isfinite(x[: found.n]).sum() == without.n


@settings(max_examples=60, deadline=None)
@given(st.data(), with_gaps, st.sampled_from([FixedWidth("s", 0.1, 3), Stein("s", 0.1, 4), Stein("s", 0.02, 4)]))
def test_neither_order_nor_portions_matter(data: st.DataObject, x: np.ndarray, rule: FixedWidth | Stein) -> None:
    """Runs that end in any order, told a few at a time, with a failed one among them."""
    assignments = [Assignment.plain(seed) for seed in range(len(x))]
    failed = data.draw(st.none() | st.integers(0, len(x) - 1))
    results = [_result(seed, value, failed=seed == failed) for seed, value in enumerate(x)]
    plainly = Following(rule, assignments)
    for result in results:
        plainly.learn(0, result)
        plainly.advance()
    mixed = Following(rule, assignments)
    order = data.draw(st.permutations(results))
    while order and not mixed.ended:
        count = data.draw(st.integers(1, len(order)))
        for result in order[:count]:
            mixed.learn(0, result)
        mixed.advance()
        order = order[count:]
    assert (mixed.look, mixed.why, mixed.ended) == (plainly.look, plainly.why, True)
    if failed is not None and not mixed.look.done and not mixed.look.hopeless:
        assert f"seed {failed} failed: it broke. A failed run has no result" in mixed.why
        assert mixed.look.n == failed


def _result(seed: int, value: float, *, failed: bool = False) -> RunResult:
    status = Status.FAILED if failed else Status.DONE if np.isfinite(value) else Status.DIVERGED
    error = "it broke\nhere" if failed else None
    return RunResult(Assignment.plain(seed), status, scores={} if failed else {"s": float(value)}, error=error)


def test_a_rule_that_takes_more_than_there_may_be_ends_at_once() -> None:
    x = np.random.default_rng(0).normal(0, 1, 50)
    found = look(Stein("loss", 0.01, 10), x, most=100)
    assert (found.done, found.n) == (False, 10)
    assert "more than the 100 that are allowed" in found.hopeless
    assert "more than 1,000,000,000 seeds" in look(Stein("loss", 1e-9, 10), x).hopeless
    assert not look(FixedWidth("loss", 0.01), x, most=100).hopeless  # its spread may yet be small


def test_a_sequence_that_no_value_agrees_with_is_not_decided() -> None:
    rng = np.random.default_rng(0)
    x = np.zeros((300, 2))
    x[:30, 0], x[30:, 0] = rng.normal(0, 1e-6, 30), rng.normal(1, 0.1, 270)  # narrow about 0, and then elsewhere
    found = look(Decided("loss", assume="normal"), x)
    assert not found.done
    assert "no value agrees with all looks" in found.hopeless


def test_about_how_many_runs_are_needed_grows_with_those_left_out() -> None:
    x = np.random.default_rng(0).normal(0, 1, 40)
    rule = FixedWidth("loss", 0.2)
    wanted = stats.seeds_for_width(x.std(ddof=1), 0.2)
    assert needed(rule, x) == wanted
    assert needed(rule, np.repeat(x, 2) + np.tile([0, np.nan], 40)) == 2 * wanted
    assert needed(rule, x[:1]) is None
    assert needed(rule, [np.nan]) is None
    assert needed(FixedWidth("loss", 1e-9), x) is None
    assert needed(Stein("loss", 1e-9), x) is None
    assert needed(Decided("loss", assume="normal"), np.stack([x, x], 1)) is None


# What is typed


@pytest.mark.parametrize(
    ("text", "score", "width"),
    [
        ("accuracy ± 0.002", "accuracy", 0.002),
        ("accuracy +- 0.002", "accuracy", 0.002),
        ("accuracy+/-2e-3", "accuracy", 0.002),
        ("  test/accuracy±.5 ", "test/accuracy", 0.5),
        ("val-2/top_5.err +-1", "val-2/top_5.err", 1.0),
    ],
)
def test_what_to_wait_for_is_read(text: str, score: str, width: float) -> None:
    assert parse_until(text) == FixedWidth(score, width)
    assert parse_until(text, "stein", confidence=0.9) == Stein(score, width, confidence=0.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy", r"until what\? SCORE ± HALF_WIDTH, such as 'accuracy ± 0.002' .*; got 'accuracy'"),
        ("± 0.002", "until what"),
        ("", "until what"),
        ("accuracy - 0.002", "until what"),
        ("accuracy ± small", "'small' is no number"),
        ("accuracy ± 0.2%", "in the score's own units, got '0.2%': of a score from 0 to 1, a percentage point is 0.01"),
        ("accuracy ± 0", "half_width must be a number above 0, got 0"),
        ("accuracy ± -1", "half_width must be a number above 0, got -1"),
        ("accuracy ± nan", "half_width must be a number above 0"),
        ("accuracy ± inf", "half_width must be a number above 0"),
    ],
)
def test_what_cannot_be_waited_for_is_told(text: str, message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        parse_until(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedWidth("s", 0.1, n_min=1), "n_min must be a whole number of at least 2"),
        (lambda: FixedWidth("a score", 0.1), "a score is named as in test/accuracy, got 'a score'"),
        (lambda: Stein("s", 0.1, n_first=1), "n_first must be a whole number of at least 2"),
        (lambda: Stein("s", 0.1, confidence=95), "confidence must be a number between 0 and 1"),
        (lambda: Decided("s"), "either the bounds that scores have by definition, .* --bounds 0,1 or --assume normal"),
        (lambda: Decided("s", (0, 1), "normal"), "either the bounds"),
        (lambda: Decided("s", assume="skewed"), "assume must be None or normal"),
        (lambda: Decided("s", (1, 0)), "the lower one first"),
        (lambda: Decided("s", ("0", "x")), "bounds are two numbers"),
        (lambda: parse_until("s ± 1", "soon"), "stopping must be fixed or stein, got 'soon'"),
        (lambda: look(Decided("s", (0, 1)), [[0.5, 81.5]]), "a run scored 81.5 by s, which is not within the bounds"),
    ],
)
def test_a_rule_that_cannot_be_is_told(make: object, message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        make()


def test_a_metric_alone_means_the_primary_score_or_the_only_one() -> None:
    names = ("train/accuracy", "test/accuracy", "test/brier", "train/loss", "test/loss")
    assert resolve("train/loss", names, "test/accuracy") == "train/loss"
    assert resolve("accuracy", names, "train/accuracy") == "train/accuracy"
    assert resolve("brier", names, "train/accuracy") == "test/brier"
    with pytest.raises(sb.InputError, match="which loss"):
        resolve("loss", names, "train/accuracy")
    with pytest.raises(sb.InputError, match="no score 'f1'; there are train/accuracy"):
        resolve("f1", names, "train/accuracy")


# What is kept, and said


INTERVAL = Interval(0.81512, 0.8131, 0.81714, 0.95, "fixed width, sequential t")
KEPT = (
    Stopped(FixedWidth("test/accuracy", 0.002), ("made",), done=True, n=143, interval=INTERVAL, left_out=2),
    Stopped(Stein("test/accuracy", 2e-4, 12, 0.9), ("made",), 100, 3, n=7, why="not reached within 7 seeds"),
    Stopped(Decided("test/accuracy", (0, 1)), ("made", "made[lr=1]"), done=True, n=9, interval=INTERVAL, better="made"),
    Stopped(Decided("loss", assume="normal"), ("made", "other"), interval=replace(INTERVAL, low=None, high=None)),
)  # fmt: skip


def made(store: Path, *names: str) -> None:
    for name in names or ("made",):
        StudyWriter(store, replace(IDENTITY, name=name), ENVIRONMENT, {}).close()


def test_what_became_of_a_rule_is_kept_until_its_study_is_deleted(store: Path) -> None:
    made(store, "made", "other")
    for each in KEPT:
        assert Stopped.from_json(each.as_json()) == each
        note_stopping(each, store, begun=True)
        note_stopping(replace(each, n=1000), store, begun=True)  # begun again: the first stays
    assert stoppings("made", store) == KEPT
    assert stoppings("other", store) == KEPT[3:]
    note_stopping(replace(KEPT[0], n=144), store)  # found anew: it is replaced
    assert {each.n for each in stoppings("made", store)} == {144, 7, 9, 0}
    delete("made", store)
    assert stoppings("made", store) == ()
    with sqlite3.connect(store) as connection:
        assert connection.execute("select count(*) from seedbed_stoppings").fetchone() == (1,)
    connection.close()


def test_a_store_from_before_there_were_rules_is_read_and_written(store: Path) -> None:
    made(store, "made", "other")
    with sqlite3.connect(store) as connection:
        connection.execute("drop table seedbed_stoppings")
    connection.close()
    assert stoppings("made", store) == ()
    assert delete("other", store) == 0
    with sqlite3.connect(store) as connection:
        connection.execute("drop table seedbed_stoppings")
    connection.close()
    made(store)
    note_stopping(KEPT[0], store)
    assert stoppings("made", store) == KEPT[:1]


def test_a_rule_of_a_newer_version_is_told() -> None:
    values = KEPT[0].as_json()
    with pytest.raises(sb.StoreError, match="by a newer Seedbed's rule, 'oracle'"):
        Stopped.from_json({**values, "rule": {**values["rule"], "kind": "oracle"}})


def test_what_became_of_a_rule_is_a_sentence() -> None:
    assert [words.line(each) for each in KEPT] == [
        "stopped by fixed width (±0.002 at 95 %, looked at from n = 10) at n = 143: test/accuracy 0.8151, 0.8131 to "
        "0.8171; 2 of the 143 runs diverged and are left out: the rule is about runs that converge",
        "not stopped by Stein's two stages (±0.0002 at 90 %, the first of 12 runs) from seed 100, split 3: not reached "
        "within 7 seeds; at n = 7",
        "decided by a confidence sequence (empirical Bernstein, scores from 0 to 1, 95 %) at n = 9 pairs: mean "
        "test/accuracy of made minus made[lr=1] is +0.8151, +0.8131 to +0.8171: made is better",
        "interrupted before a confidence sequence (t mixture, normal differences assumed, 95 %) held for loss",
    ]
    assert words.beyond_line(replace(KEPT[0], beyond=1)) == "1 more run beyond it was computed, and is kept"
    assert words.beyond_line(replace(KEPT[0], beyond=16)) == "16 more runs beyond it were computed, and are kept"
    assert words.lines(KEPT)[-1] == words.NOTE
    assert words.lines(KEPT[1:2]) == [words.line(KEPT[1])]  # a number that a cap chose is nobody's look
    assert words.lines(()) == []


def test_stopping_at_the_first_small_p_value_would_be_wrong_in_a_third_of_all_cases() -> None:
    """Why that is not offered, as the page on statistics says; a confidence sequence is wrong in 5 % at most."""
    rounds, n = 4000, np.arange(1, 201)
    x = np.random.default_rng(0).normal(0, 1, (rounds, len(n)))
    mean = np.cumsum(x, axis=1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.maximum(np.cumsum(x**2, axis=1) - n * mean**2, 0) / (n - 1) / n)
        significant = np.abs(mean) > special.stdtrit(n - 1, 0.975) * error
    assert 0.31 < significant[:, 9:].any(axis=1).mean() < 0.38  # 0.345 of 20,000 rounds


# Runs


EXPERIMENT = TRAININGS["sgd"].experiment()
RULE = FixedWidth("test/accuracy", 0.05)
LIKEWISE = Training(optimizer=functools.partial(SGD, lr=0.11)).experiment("likewise")
FASTER = Training(optimizer=functools.partial(SGD, lr=0.5)).experiment("faster")


class Looking(Told):
    """A watcher that remembers looks, too."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[Look] = []

    def asked(self, stopped: Stopped) -> None:
        self.asked_for = stopped

    def looked(self, found: Look, needed: int | None) -> None:
        self.looks.append(found)


def until(store: Path, rule: object = RULE, experiment: sb.Experiment = EXPERIMENT, **options: object):
    return sb.run_until(experiment, rule, store=store, **{"workers": 0, "engine": "reference", **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    store = tmp_path_factory.mktemp("whole") / "seedbed.db"
    return sb.run(EXPERIMENT, range(60), store=store, workers=0, engine="reference")


@pytest.mark.parametrize("rule", [RULE, "accuracy ± 0.05", Stein("test/accuracy", 0.08)])
def test_runs_stop_where_the_rule_holds_of_the_scores_in_order(rule: object, whole: Study, store: Path) -> None:
    study, stopped = until(store, rule, watcher=(told := Looking()))
    expected = look(stopped.rule, whole["test/accuracy"])
    assert (stopped.done, stopped.n, stopped.interval) == (True, expected.n, expected.interval)
    assert study["test/accuracy"].tolist() == whole["test/accuracy"][: stopped.n].tolist()
    assert told.asked_for == Stopped(stopped.rule, ("trained",))
    assert told.computed == [f"seed={seed}" for seed in range(stopped.n)]
    assert [each.n for each in told.looks] == list(range(stopped.n + 1))
    assert stopped.beyond == 0
    assert stoppings("trained", store) == (stopped,)


def test_the_same_call_again_computes_nothing_and_finds_the_same(store: Path) -> None:
    first = until(store)[1]
    again = until(store, watcher=(told := Looking()))[1]
    assert again == first
    assert told.computed == []
    assert stoppings("trained", store) == (first,)


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 1},
        pytest.param({"workers": 3}, marks=pytest.mark.slow),
        {"engine": "lanes", "workers": 0, "verify": False},
        {"engine": "lanes", "workers": 2, "verify": False},
    ],
)
def test_neither_workers_nor_blocks_matter(options: dict, whole: Study, store: Path) -> None:
    study, stopped = until(store, **options)
    expected = look(RULE, whole["test/accuracy"])
    assert (stopped.done, stopped.n) == (True, expected.n)
    assert stopped.interval.low == pytest.approx(expected.interval.low, abs=1e-12)
    assert len(study) == expected.n
    stored = len(sb.load("trained", store))
    assert stored == expected.n + stopped.beyond
    if options.get("workers") == 0:  # a block that has begun is told whole
        assert stopped.beyond > 0


def test_what_is_stored_already_is_not_computed_again(whole: Study, store: Path) -> None:
    sb.run(EXPERIMENT, [0, 1, 5, 8, 30], store=store, workers=0, engine="reference")
    stopped = until(store, watcher=(told := Looking()))[1]
    assert (stopped.n, stopped.beyond) == (look(RULE, whole["test/accuracy"]).n, 1)
    assert set(told.computed) == {f"seed={seed}" for seed in range(stopped.n)} - {f"seed={s}" for s in (0, 1, 5, 8)}


def test_runs_that_another_process_stores_meanwhile_are_looked_at_too(whole: Study, store: Path) -> None:
    class Beside(Looking):
        def finished(self, result: RunResult) -> None:
            super().finished(result)
            if len(self.computed) == 2:
                sb.run(EXPERIMENT, range(4, 9), store=store, workers=0, engine="reference")

    stopped = until(store, watcher=(told := Beside()))[1]
    assert stopped.n == look(RULE, whole["test/accuracy"]).n
    assert not {f"seed={seed}" for seed in range(4, 9)} & set(told.computed)


def test_a_cap_is_told_as_that_and_more_seeds_go_on(whole: Study, store: Path) -> None:
    study, stopped = until(store, most=11)
    assert (stopped.done, stopped.n, stopped.why, len(study)) == (False, 11, "not reached within 11 seeds", 11)
    assert stopped.interval == look(RULE, whole["test/accuracy"][:11]).interval
    assert stoppings("trained", store) == (stopped,)
    assert until(store)[1].done
    assert [each.done for each in stoppings("trained", store)] == [True]


def test_another_first_seed_is_a_rule_of_its_own(whole: Study, store: Path) -> None:
    study, stopped = until(store, start=20)
    assert stopped.n == look(RULE, whole["test/accuracy"][20:]).n
    assert [each.seed for each in study.assignments] == list(range(20, 20 + stopped.n))
    until(store)
    assert {each.start for each in stoppings("trained", store)} == {0, 20}


def test_weights_and_curves_are_kept_as_by_run(store: Path) -> None:
    until(store)
    study, stopped = until(store, keep_weights="best", curves=2, watcher=(told := Looking()))
    assert len(told.computed) >= stopped.n  # each again for its curve
    assert study.curves("test/loss")[1].shape == (stopped.n, 2)
    whole = sb.load("trained", store)
    best = whole.extremes()[1][0]
    assert whole.weights(best)


def sometimes_fails() -> nn.Module:
    if torch.initial_seed() == 4 and BROKEN:
        raise RuntimeError("not today")
    return plain_net()


BROKEN = [True]


def test_a_failed_run_ends_the_rule_until_it_is_repeated(whole: Study, store: Path) -> None:
    experiment = replace(EXPERIMENT, model=sometimes_fails)
    study, stopped = until(store, experiment=experiment)
    assert (stopped.done, stopped.n, len(study)) == (False, 4, 4)
    assert stopped.why.startswith("seed 4 failed: RuntimeError: not today")
    BROKEN.clear()
    try:
        assert until(store, experiment=experiment)[1].n == look(RULE, whole["test/accuracy"]).n
    finally:
        BROKEN.append(True)


def diverges() -> nn.Module:
    model = plain_net()
    if torch.initial_seed() in (2, 6):
        with torch.no_grad():
            model[0].bias += torch.inf
    return model


def test_diverged_runs_are_left_out_and_counted(whole: Study, store: Path) -> None:
    study, stopped = until(store, experiment=replace(EXPERIMENT, model=diverges))
    expected = look(RULE, np.delete(whole["test/accuracy"], [2, 6]))
    assert (stopped.done, stopped.n, stopped.left_out) == (True, expected.n + 2, 2)
    assert stopped.interval == expected.interval
    assert study.count(Status.DIVERGED) == 2
    assert "2 of the" in words.line(stopped)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"rule": "accuracy"}, "until what"),
        ({"rule": 0.05}, "rule must be a FixedWidth"),
        ({"rule": Decided("test/accuracy", (0, 1))}, "rule must be a FixedWidth"),
        ({"rule": "f1 ± 0.05"}, "there is no score 'f1'"),
        ({"most": 9}, "most must be at least the 10 runs that the rule takes, got 9"),
        ({"most": 0}, "most must be a whole number of at least 1"),
        ({"start": -1}, "start must be a whole number from 0"),
        ({"start": 2**32 - 5}, "must be a whole number from 0"),
        ({"workers": -1}, "workers must be"),
        ({"watcher": Told()}, "watcher must have the methods begun, finished, said, asked, looked"),
        ({"experiment": TRAININGS["sgd"].experiment}, "call it"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_stored(call: dict, message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        until(store, **call)
    assert not store.exists()


# Two experiments


def decided(store: Path, rule: object, a: sb.Experiment = EXPERIMENT, b: sb.Experiment = FASTER, **options: object):
    return sb.run_until_decided(a, b, rule, store=store, **{"workers": 0, "engine": "reference", **options})


@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"workers": 2}, marks=pytest.mark.slow), {"engine": "lanes", "workers": 0, "verify": False}],
)
def test_two_experiments_run_until_it_is_plain_which_is_better(options: dict, whole: Study, store: Path) -> None:
    rule = Decided("loss", assume="normal")  # of the test set, since its accuracy is the primary score
    with pytest.raises(sb.InputError, match="which loss"):
        decided(store, rule)
    rule = Decided("test/loss", assume="normal")
    (a, b), stopped = decided(store, rule, **options)
    assert stopped.studies == ("trained", "faster")
    assert (stopped.done, stopped.better, len(a), len(b)) == (True, "faster", stopped.n, stopped.n)  # a loss: smaller
    assert a.assignments == b.assignments
    expected = look(rule, np.stack([a["test/loss"], b["test/loss"]], 1))
    assert (expected.n, expected.interval) == (stopped.n, stopped.interval)
    assert look(rule, np.stack([a["test/loss"], b["test/loss"]], 1)[:-1]).done is False
    assert stoppings("trained", store) == stoppings("faster", store) == (stopped,)
    again = decided(store, rule, **options, watcher=(told := Looking()))[1]
    assert (again, told.computed) == (stopped, [])


def test_what_is_not_decided_is_told(store: Path) -> None:
    before = torch.get_num_threads()
    (_, _), stopped = decided(store, Decided("accuracy", (0, 1)), b=LIKEWISE, most=6)
    assert (stopped.done, stopped.better, stopped.why) == (False, "", "not reached within 6 seeds")
    assert len(sb.load("trained", store)) == len(sb.load("likewise", store)) == 6
    assert torch.get_num_threads() == before


def test_a_pair_of_which_one_diverged_is_left_out(store: Path) -> None:
    rule = Decided("test/loss", assume="normal")
    (a, b), stopped = decided(store, rule, a=replace(EXPERIMENT, model=diverges))
    scores = np.stack([a["test/loss"], b["test/loss"]], 1)
    assert stopped.left_out == int(np.isnan(scores).any(axis=1).sum()) > 0
    assert stopped.interval == look(rule, scores[np.isfinite(scores).all(axis=1)]).interval


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"b": EXPERIMENT}, "both are the study 'trained'"),
        ({"rule": RULE}, "rule must be a Decided"),
        ({"name": "one"}, "two studies cannot have one name"),
        ({"b": replace(FASTER, metrics={"accuracy": sb.Metric("accuracy", sb.metrics.accuracy.compute, False)})},
         "a larger test/accuracy is better in one of trained and faster, and worse in the other"),
        ({"b": replace(FASTER, primary="train/accuracy"), "rule": Decided("accuracy", (0, 1))},
         r"which accuracy\? It is test/accuracy in one experiment and train/accuracy in the other"),
    ],
)  # fmt: skip
def test_two_experiments_that_cannot_be_compared_are_told(call: dict, message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        decided(store, **{"rule": Decided("test/accuracy", (0, 1)), **call})
    assert not store.exists()


def test_the_runner_tells_a_rule_that_it_was_asked_before_anything_is_computed(store: Path) -> None:
    class Stops(Looking):
        def finished(self, result: RunResult) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until(store, watcher=Stops())
    (kept,) = stoppings("trained", store)
    assert kept == Stopped(RULE, ("trained",))
    assert "interrupted before" in words.line(kept)
    assert words.lines([kept])[1:] == [words.INTERRUPTED_NOTE]
