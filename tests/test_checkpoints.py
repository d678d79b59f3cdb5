"""Checkpoint rules: held to a plain definition, and what a study says and refuses whose scores are of other epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed import stats
from seedbed.checkpoints import AtEpoch, Best, Last, as_rule, best_columns, parse_rule
from seedbed.errors import InputError
from seedbed.records import Status
from seedbed.seeds import Assignment, grid
from seedbed.study import PROGRAM, TRIAL
from tests.studies import DIVERGED, FAILED, curved, plain, refusal, study_of

NAN, INF = math.nan, math.inf


# The rule itself


def early_stopping(
    epochs: Sequence[int], values: Sequence[float], larger_is_better: bool, patience: int | None
) -> tuple[int | None, int | None]:
    """The epoch that is chosen, and the one at which training is stopped: as one would write it in a training loop."""
    best: float | None = None
    best_epoch: int | None = None
    for epoch, value in zip(epochs, values, strict=True):
        improved = math.isfinite(value) and (
            best is None or (value > best if larger_is_better else value < best)
        )  # fmt: skip
        if improved:
            best, best_epoch = value, epoch
        elif patience is not None and best_epoch is not None and epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, None


CURVE = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, -1.0, NAN, INF, -INF]), min_size=1, max_size=12)


@given(
    st.lists(CURVE, min_size=1, max_size=5),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 14)),
    st.lists(st.integers(1, 4), min_size=12, max_size=12),
)
def test_the_best_epoch_is_that_of_a_training_loop(
    curves: list[list[float]], larger_is_better: bool, patience: int | None, gaps: list[int]
) -> None:
    width = max(map(len, curves))
    epochs = np.cumsum(gaps[:width])
    values = np.array([[*curve, *[NAN] * (width - len(curve))] for curve in curves])
    widest = int(np.diff(epochs).max()) if width > 1 else 0
    if patience is not None and patience < widest:
        with pytest.raises(InputError, match=f"patience {patience} is less than the {widest} epochs between"):
            best_columns(epochs, values, larger_is_better=larger_is_better, patience=patience)
        return
    chosen, stopped = best_columns(epochs, values, larger_is_better=larger_is_better, patience=patience)
    for row, curve in enumerate(values):
        best, stop = early_stopping(epochs.tolist(), curve.tolist(), larger_is_better, patience)
        assert (None if chosen[row] < 0 else epochs[chosen[row]]) == best
        assert (None if stopped[row] < 0 else epochs[stopped[row]]) == stop


def test_by_hand() -> None:
    epochs = np.arange(1, 9)
    values = np.array([[3.0, 2, 2, 4, 5, 1, 6, 7]])
    chosen = {
        patience: tuple(
            int(each[0]) for each in best_columns(epochs, values, larger_is_better=False, patience=patience)
        )
        for patience in (None, 1, 2, 3, 4)
    }
    # Of the equal 2s the earlier one; after 1, 2 and 3 epochs without a better one it stops, and never sees the 1.
    assert chosen == {None: (5, -1), 1: (1, 2), 2: (1, 3), 3: (1, 4), 4: (5, -1)}
    assert best_columns(epochs, values, larger_is_better=True, patience=2)[0][0] == 0
    assert best_columns(epochs, values, larger_is_better=True)[0][0] == 7


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("best:val/loss", Best("val/loss"), "the epoch of best val/loss"),
        ("best:val/loss,patience=10", Best("val/loss", 10), "the epoch of best val/loss, patience 10"),
        ("best:a:b, patience=1", Best("a:b", 1), "the epoch of best a:b, patience 1"),
        ("epoch:20", AtEpoch(20), "epoch 20"),
        ("last", Last(), "the last epoch"),
    ],
)
def test_rules_are_text(text: str, rule: Any, words: str) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(rule.text) == rule
    assert rule.words("epoch") == words
    assert as_rule(rule) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a checkpoint rule is best:SCORE, best:SCORE,patience=N, epoch:N or last, got ''"),
        ("best", "a checkpoint rule is"),
        ("best:", "a checkpoint rule is"),
        ("best:,patience=3", "a checkpoint rule is"),
        ("first", "a checkpoint rule is"),
        ("best:val/loss,patience=ten", "patience must be a whole number, got 'ten'"),
        ("best:val/loss,patience=0", "patience must be a whole number of at least 1, got 0"),
        ("best:val/loss,patience=1.5", "patience must be a whole number, got '1.5'"),
        ("epoch:last", "epoch must be a whole number, got 'last'"),
        ("epoch:-1", "epoch must be a whole number of at least 0, got -1"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, message: str) -> None:
    assert message in refusal(lambda: parse_rule(text))


def test_one_rule_is_given() -> None:
    study = curved("0:2", {"val/loss": [[1, 2], [2, 1]]})
    for call, message in (
        (study.at, "one checkpoint rule is needed"),
        (lambda: study.at("last", epoch=2), "got a rule and epoch"),
        (lambda: study.at(best="val/loss", epoch=2), "got best and epoch"),
        (lambda: study.at(epoch=2, patience=3), "patience goes with best"),
        (lambda: study.at(best="val/loss", patience=True), "patience must be a whole number of at least 1, got True"),
        (lambda: study.at(best=3), "best takes the name of a score, such as 'val/loss', got 3"),
        (lambda: study.at(epoch=1.5), "epoch must be a whole number of at least 0, got 1.5"),
        (lambda: study.at(7), "a checkpoint rule is text (best:SCORE"),
    ):
        assert message in refusal(call)
    assert study.at(best="val/loss", patience=np.int64(3)).checkpoint.rule == Best("val/loss", 3)


# Studies


CURVES = {
    "val/loss": [[3, 2, 1, 4], [1, 2, 3, 4], [4, 3, 2, 1]],
    "val/accuracy": [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8], [0.2, 0.4, 0.6, 0.9]],
    "test/accuracy": [[0.11, 0.21, 0.31, 0.41], [0.51, 0.61, 0.71, 0.81], [0.22, 0.42, 0.62, 0.92]],
}


def three(**options: Any) -> sb.Study:
    return curved("0:3", CURVES, **options)


def test_all_scores_are_those_of_the_epoch() -> None:
    found = three().at(best="val/loss")
    assert found.chosen_epochs.tolist() == [3, 1, 4]
    assert found["val/loss"].tolist() == [1, 1, 1]
    assert found["test/accuracy"].tolist() == [0.31, 0.51, 0.92]
    assert found.scores == tuple(CURVES)
    assert three()["test/accuracy"].tolist() == [0.41, 0.81, 0.92]  # the study itself stays at the last
    assert three().at(best="test/accuracy").chosen_epochs.tolist() == [4, 4, 4]
    assert three().at(epoch=2)["test/accuracy"].tolist() == [0.21, 0.61, 0.42]
    assert three().at(best="val/loss", patience=1)["test/accuracy"].tolist() == [0.31, 0.51, 0.92]
    assert three().at("best:val/loss").chosen_epochs.tolist() == [3, 1, 4]
    assert repr(found) == "<Study 'study': 3 runs, engine plain, at the epoch of best val/loss>"


def test_parts_of_a_study_keep_their_epochs() -> None:
    found = three().at(best="val/loss")
    assert found.select("2,0").chosen_epochs.tolist() == [4, 3]
    assert found.filter("1").chosen_epochs.tolist() == [1]
    assert three().select("2").at(best="val/loss").chosen_epochs.tolist() == [4]
    rows = found.rows()
    assert [(row["seed"], row["checkpoint"], row["epoch"]) for row in rows] == [
        (0, "best:val/loss", 3), (1, "best:val/loss", 1), (2, "best:val/loss", 4)
    ]  # fmt: skip
    assert "epoch" not in three().rows()[0]


def test_the_epochs_are_summarized() -> None:
    found = three().at(best="val/loss").epoch_summary()
    assert (found.n, found.median, found.earliest, found.latest, found.last) == (3, 3, 1, 4, 4)
    assert (found.n_at_last, found.n_not_stopped, found.n_diverged_later) == (1, None, 0)
    patient = three().at(best="val/loss", patience=2).epoch_summary()
    assert (patient.n_at_last, patient.n_not_stopped) == (1, 2)  # the second stopped at epoch 3; one epoch was too few
    with pytest.raises(InputError, match="no epoch of study is chosen"):
        three().epoch_summary()
    with pytest.raises(InputError, match="no epoch of study is chosen"):
        _ = three().chosen_epochs


def test_every_summary_names_the_rule_and_what_it_does() -> None:
    found = three().at(best="val/loss", patience=10)
    clean, same, other = (found.summary(score) for score in ("test/accuracy", "val/loss", "val/accuracy"))
    for each in (clean, same, other):
        assert each.notes[0] == "scores are at the epoch of best val/loss, patience 10"
        assert "checkpoint rule (the epoch of best val/loss, patience 10)" in each.scope.fixed
        assert each.diverged_rate.scope == each.scope
    assert not any("biased" in note for note in clean.notes)
    assert "was chosen by this very score, so it is optimistically biased" in same.notes[1]
    assert "was chosen by val/loss, which is of the same examples (val), so this score is optimistic" in other.notes[1]
    assert not any("scores are at" in note for note in three().summary().notes)
    assert not any("biased" in note for note in three().at(epoch=2).summary("val/loss").notes)
    assert found.expected_best(2).scope == found.scope


def test_statistics_work_on_the_epochs_unchanged() -> None:
    curves = np.random.default_rng(0).normal(size=(12, 5))
    crossed = grid(init="0:4", order="0:3")
    study = curved(crossed, {"val/loss": curves, "test/accuracy": -curves})
    table = curves.min(axis=1).reshape(4, 3)
    at = study.at(best="val/loss")
    expected = stats.variance_components(-table)
    found = at.decompose("test/accuracy")
    assert found.init == expected.init
    assert found.notes[0] == "scores are at the epoch of best val/loss"
    assert "scores are at the epoch of best val/loss" in at.isolate("test/accuracy").both_vary.note
    assert found.scope.fixed[-1] == "checkpoint rule (the epoch of best val/loss)"


def test_comparisons_name_the_rules() -> None:
    rng = np.random.default_rng(1)
    a, b = (
        curved("0:8", {"val/loss": rng.normal(size=(8, 6)), "test/accuracy": rng.normal(size=(8, 6))}) for _ in range(2)
    )
    rule = "best:val/loss,patience=2"
    found = sb.compare(a.at(rule), b.at(rule), metric="test/accuracy")
    assert found.difference == pytest.approx((a.at(rule)["test/accuracy"] - b.at(rule)["test/accuracy"]).mean())
    assert "scores are at the epoch of best val/loss, patience 2" in found.notes
    assert "checkpoint rule (the epoch of best val/loss, patience 2)" in found.scope.fixed
    biased = sb.compare(a.at(rule), b.at(rule), metric="val/loss")
    assert any("chosen by this very score" in note for note in biased.notes)
    # What a rule gains in one study: the same runs, paired by their seeds.
    gain = sb.compare(a.at(rule), a, metric="test/accuracy")
    assert gain.n_a == 8
    assert "study: scores are at the epoch of best val/loss, patience 2" in gain.notes
    assert "study (2): scores are at the last epoch, by no rule" in gain.notes
    many = sb.compare_many([a.at(rule), b.at(rule), a.at(epoch=3)], metric="test/accuracy")
    assert "study (3): scores are at epoch 3" in many.notes


def test_the_last_epoch_is_what_the_runs_ended_with() -> None:
    for study in (three(), study_of("0:2", [0.5, 0.6])):
        found = study.at("last")
        assert found["test/accuracy"].tolist() == study["test/accuracy"].tolist()
        assert found.summary("test/accuracy").notes[0] == "scores are at the last epoch"
    assert three().at("last").chosen_epochs.tolist() == [4, 4, 4]
    assert np.isnan(study_of("0:2", [0.5, 0.6]).at("last").chosen_epochs).all()  # which it is, is not known here


# Runs that diverged or failed


def test_an_epoch_that_is_not_finite_is_never_best() -> None:
    study = curved(
        "0:4",
        {
            "val/accuracy": [[0.1, 0.9, 0.3], [0.2, 0.4, 0.9], [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]],
            "val/loss": [[1, NAN, 1], [1, 1, INF], [NAN, NAN, NAN], [3, 2, 1]],
        },
        status={1: DIVERGED, 2: DIVERGED},
    )
    # A network of NaN has an accuracy, too: that of its class 0.
    found = study.at(best="val/accuracy")
    assert found.chosen_epochs[[0, 1, 3]].tolist() == [3, 2, 3]
    assert [run.status for run in found.runs] == [Status.DONE, Status.DONE, Status.DIVERGED, Status.DONE]
    assert math.isnan(found.chosen_epochs[2])
    assert math.isnan(found["val/accuracy"][2])
    summary = found.epoch_summary()
    assert (summary.n, summary.n_diverged_later, summary.n_at_last) == (3, 1, 2)
    assert found.summary().n_diverged == 1
    loss = study.at(best="val/loss")
    assert loss.chosen_epochs[[0, 1, 3]].tolist() == [1, 1, 3]
    fixed = study.at(epoch=2)
    assert [run.status for run in fixed.runs] == [Status.DIVERGED, Status.DONE, Status.DIVERGED, Status.DONE]
    assert fixed.runs[1].chosen.diverged_later


def test_a_metric_may_be_undefined_at_an_epoch() -> None:
    study = curved("0:2", {"val/auc": [[NAN, 0.8, 0.7], [NAN, NAN, 0.6]], "val/loss": [[3, 2, 1], [3, 2, 1]]})
    assert study.at(best="val/auc").chosen_epochs.tolist() == [2, 3]
    found = study.at(epoch=2)
    assert [run.status for run in found.runs] == [Status.DONE, Status.DONE]
    assert math.isnan(found["val/auc"][1])


def test_the_end_of_a_diverged_run_is_not_chosen_though_its_losses_are_finite() -> None:
    # Its weights are not: a layer that no output depends on.
    study = curved("0:2", {"val/loss": [[3, 2, 1], [3, 2, 1]]}, status={0: DIVERGED})
    assert study.at(best="val/loss").chosen_epochs.tolist() == [2, 3]
    assert study.at(epoch=3).runs[0].status is Status.DIVERGED


def test_failed_runs_stay_failed() -> None:
    study = curved("0:3", {"val/loss": [[3, 2], [1, 2], [1, 0]]}, status={1: FAILED})
    found = study.at(best="val/loss")
    assert [run.status for run in found.runs] == [Status.DONE, Status.FAILED, Status.DONE]
    assert found["val/loss"][[0, 2]].tolist() == [2, 0]
    assert "all its runs have failed" in refusal(lambda: study.select("1").at(best="val/loss"))


# What is refused


def test_what_needs_the_last_epoch_is_refused() -> None:
    found = three().at(best="val/loss")
    for call in (
        lambda: found.predictions("test"),
        lambda: found.correct("test"),
        lambda: found.weights(0),
        lambda: found.disagreement("test"),
        lambda: found.ensemble_gain("test"),
        lambda: found.best_seed_holdout("test"),
        lambda: found.seeds_and_examples_interval("test"),
    ):
        message = refusal(call)
        assert "of the last epoch only, and scores of study are at the epoch of best val/loss here" in message
    assert "already" in refusal(lambda: found.at(epoch=2))


@pytest.mark.parametrize(
    ("study", "rule", "message"),
    [
        (study_of("0:2", [0.5, 0.6]), "best:test/accuracy", "study has no curves, and a checkpoint rule chooses among"),
        (study_of("0:2", [0.5, 0.6]), "epoch:3", "run the same again with --curves (in Python: curves=1)"),
        (three(), "best:val/los", "no score 'val/los': did you mean val/loss? It has val/loss, val/accuracy,"),
        (three(), "best:f1", "study has no score 'f1'; it has val/loss"),
        (three(), "best:accuracy", "of several evaluation sets: say val/accuracy or test/accuracy"),
        (three(), "epoch:5", "3 of 3 runs of study did not record epoch 5 (the first: 0, which recorded 1, 2, 3, 4)"),
        (three(epochs=[5, 10, 15, 17]), "epoch:12", "which recorded 5, 10, 15, 17)"),
        (three(epochs=[5, 10, 15, 17]), "best:val/loss,patience=4", "patience 4 is less than the 5 epochs between"),
        (three().select("9"), "best:val/loss", "no run of study is selected"),
        (
            sb.Study.from_scores({"A": [0.5, 0.6]})["A"],
            "best:score",
            "A has no curves: its scores were imported, and nothing is known of other epochs",
        ),
        (sb.Study.from_scores({"A": [0.5, 0.6]})["A"], "last", "its scores were imported"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(study: sb.Study, rule: str, message: str) -> None:
    assert message in refusal(lambda: study.at(rule))


def test_runs_with_curves_at_different_epochs_are_refused() -> None:
    study = three(epochs=[(1, 2, 3, 4), (2, 4, 6, 8), (1, 2, 3, 4)])
    message = refusal(lambda: study.at(best="val/loss"))
    assert "different epochs, 1, 2, 3, 4 (such as 0) and 2, 4, 6, 8 (such as 1)" in message
    assert study.select("1").at(best="val/loss").chosen_epochs.tolist() == [2]
    assert study.at(epoch=4)["val/loss"].tolist() == [4, 2, 1]  # that all of them have
    without = replace(study, runs=(*study.runs[:2], *study_of("2", [0.5]).runs))
    assert "1 of 3 runs of study have no curves (the first: 2): run the same" in refusal(
        lambda: without.at(best="val/loss")
    )


# Trials


def test_a_trial_may_log_what_it_does_not_return() -> None:
    study = curved(
        "0:2",
        {"val_loss": [[3, 1, 2], [1, 2, 3]], "test_acc": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]},
        epochs=[0, 10, 20],
        engine=TRIAL,
        returned=["test_acc", "seconds"],
    )
    found = study.at(best="val_loss", patience=10)
    assert found.chosen_epochs.tolist() == [10, 0]
    assert found["test_acc"].tolist() == [0.2, 0.4]
    assert found.scores == ("test_acc", "val_loss")
    notes = found.summary("test_acc").notes
    assert notes[0] == "scores are at the step of best val_loss, patience 10"
    assert "that a smaller val_loss is better was guessed from its name" in notes
    assert "not recorded, and so not known at that step: seconds" in notes
    assert any("is not known here: if so, it is optimistically biased" in note for note in notes)
    assert found.rows()[0]["step"] == 10
    assert "no score 'val_los'" in refusal(lambda: study.at(best="val_los"))
    assert study.at("last").summary("test_acc").notes[0] == "scores are at the end of each run"
    assert "recorded none of its scores: seconds" in refusal(
        lambda: curved("0:1", {"x": [[1.0]]}, engine=TRIAL, returned=["seconds"]).at(epoch=1)
    )


def test_a_trial_need_not_log_everything_at_every_step() -> None:
    study = curved(
        "0:2",
        {"train/loss": [[5, 4, 3, 2], [5, 4, 3, 2]], "val/loss": [[NAN, 2, NAN, 1], [NAN, 1, NAN, 2]]},
        engine=TRIAL,
    )
    found = study.at(best="val/loss", patience=2)
    assert found.chosen_epochs.tolist() == [4, 2]
    assert found["train/loss"].tolist() == [2, 4]
    assert found.epoch_summary().n_at_last == 1
    assert "less than the 2 epochs between recorded ones" in refusal(lambda: study.at(best="val/loss", patience=1))


def test_a_trial_may_stop_by_itself() -> None:
    study = curved(
        "0:3",
        {"val/loss": [[3, 2, 4, NAN, NAN], [5, 4, 3, 2, 1], [3, 2, 1, NAN, NAN]]},
        epochs=[(1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 3)],
        engine=TRIAL,
    )
    found = study.at(best="val/loss", patience=3)
    assert found.chosen_epochs.tolist() == [2, 5, 3]
    assert [run.chosen.last for run in found.runs] == [3, 5, 3]
    assert found.epoch_summary().n_at_last == 2
    assert found.epoch_summary().n_not_stopped == 3  # the first ended before its patience did
    assert "1 of 3" not in refusal(lambda: study.at(epoch=4))
    assert "2 of 3 runs of study did not record epoch 4" in refusal(lambda: study.at(epoch=4))


def test_programs_keep_no_curves() -> None:
    study = study_of([Assignment.plain(0)], {"accuracy": [0.5]})
    program = replace(study, identity=replace(study.identity, engine=PROGRAM))
    assert "study has no curves: of programs, none are kept" in refusal(lambda: program.at(best="accuracy"))
    assert program.at("last").assignments == plain(0)
