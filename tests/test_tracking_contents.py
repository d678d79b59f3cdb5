"""What is written to trackers, whichever it is: numbers are the study's own, and nothing of a run is lost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed.errors import InputError
from seedbed.fingerprint import Fingerprint
from seedbed.records import RunResult, Status
from seedbed.stats import Interval
from seedbed.stopped import Stopped
from seedbed.stopping import FixedWidth
from seedbed.tracking import contents
from seedbed.tracking.mlflow_runs import _names
from seedbed.tracking.tracker import MOST_RUNS, Tracker
from seedbed.words import stopping, text
from tests.studies import DIVERGED, FAILED, study_of
from tests.tracked import expected

SCORES = st.floats(allow_nan=False) | st.just(math.nan)


@given(st.integers(0, 5), st.dictionaries(st.sampled_from("abc"), SCORES), st.data())
def test_the_last_point_of_each_score_is_what_the_run_ended_with(
    length: int, scores: dict[str, float], data: st.DataObject
) -> None:
    values = st.lists(SCORES, min_size=length, max_size=length).map(np.array)
    curves = data.draw(st.dictionaries(st.sampled_from("bcd"), values)) if length else {}
    epochs = tuple(range(2, 2 * length + 1, 2))
    result = RunResult(sb.Assignment.plain(1), Status.DONE, scores, curve_epochs=epochs, curves=curves)
    points = contents.points_of(result)
    assert [each.step for each in points] == sorted(each.step for each in points)
    for score, value in scores.items():
        last = [each for each in points if each.score == score][-1]
        assert last.value == pytest.approx(value, nan_ok=True)
        assert last.step >= max(epochs, default=0)
    for score, curve in curves.items():
        kept = {each.step: each.value for each in points if each.score == score}
        for step, value in zip(epochs, curve, strict=True):
            assert math.isnan(value) or kept[step] == value


def test_numbers_are_those_of_the_studys_summary() -> None:
    study = study_of(range(12), [0.1, 0.4, 0.2, 0.5, 0.3, 0.4, 0.45, 0.2, 0.1, 0.3, DIVERGED, FAILED])
    numbers = contents.numbers_of(study, text.summaries_of(study))
    assert {name: numbers.pop(f"runs/{name}") for name in ("converged", "diverged", "failed")} == {
        "converged": 10, "diverged": 1, "failed": 1,
    }  # fmt: skip
    assert numbers == {f"test/accuracy/{name}": value for name, value in expected(study, "test/accuracy").items()}


def test_what_a_summary_cannot_say_is_left_out() -> None:
    one = study_of([0], [0.5])
    numbers = contents.numbers_of(one, text.summaries_of(one))
    assert numbers["test/accuracy/mean"] == 0.5
    assert not {"test/accuracy/sd", "test/accuracy/mean_low"} & set(numbers)
    failed = study_of(range(2), [FAILED, FAILED])
    assert contents.numbers_of(failed, text.summaries_of(failed)) == {
        "runs/converged": 0, "runs/diverged": 0, "runs/failed": 2,
    }  # fmt: skip


def test_an_interval_of_runs_that_share_seeds_is_that_of_their_design() -> None:
    grid = sb.grid(init=range(4), order=range(4))
    study = study_of(grid, np.random.default_rng(0).normal(size=16))
    numbers = contents.numbers_of(study, text.summaries_of(study))
    assert numbers["test/accuracy/mean_low"] == study.mean_interval("test/accuracy").low


def test_the_page_is_the_table_with_its_notes() -> None:
    study = study_of(range(3), [0.5, 0.6, DIVERGED], name="of | two")
    summaries = text.summaries_of(study)
    page = contents.page_of(study, summaries, None, None)
    assert page.splitlines()[0] == "| score | mean | 95 % CI of the mean | sd | median | min | max |"
    assert page.splitlines()[2].startswith("| test/accuracy | 0.55 |")
    for note in text.summary_notes(study, summaries):
        assert f"- {note}" in page.splitlines()
    broken = contents.page_of(replace(study, runs=()), {}, KeyboardInterrupt(), None)
    assert broken == (
        "- Broken off by KeyboardInterrupt: the runs are those that were stored by then.\n- No run is stored."
    )


def test_the_page_says_that_a_rule_chose_the_number_of_runs() -> None:
    study = study_of(range(3), [0.5, 0.6, 0.7])
    rule = FixedWidth("test/accuracy", 0.2)
    held = Stopped(rule, ("study",), done=True, n=3, interval=Interval(0.6, 0.5, 0.7, 0.95, "t"))
    assert stopping.NOTE in contents.page_of(study, text.summaries_of(study), None, held)
    begun = Stopped(rule, ("study",))
    assert stopping.INTERRUPTED_NOTE in contents.page_of(study, text.summaries_of(study), KeyboardInterrupt(), begun)


def test_settings_have_parameters_under_their_names_and_no_modules() -> None:
    study = study_of(range(2), [0.5, 0.6])
    settings = {"batch_size": 4, "scores": ["a"], "clip_norm": None, "module 0": "Linear()", "parameter lr": "0.1",
                "parameter depth": "3", "shuffle": True}  # fmt: skip
    identity = replace(
        study.identity, fingerprint=Fingerprint(settings, {}, {}), parameters={"depth": "3", "kind": "wide"}
    )
    assert contents.settings_of(identity) == {
        "study": "study", "experiment": "made", "engine": "plain", "threads": 1, "device": "cpu",
        "batch_size": 4, "scores": '["a"]', "shuffle": True, "lr": 0.1, "depth": 3, "kind": "wide",
    }  # fmt: skip


def test_names_stay_where_they_are_taken() -> None:
    assert _names(["test/accuracy", "top@5", "top 5"]) == {
        "test/accuracy": "test/accuracy", "top@5": "top_5", "top 5": "top 5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("every", "pending", "written"),
    [(None, MOST_RUNS, True), (None, MOST_RUNS + 1, False), ("run", 10_000, True), ("study", 1, False)],
)
def test_each_run_is_written_where_they_are_few_or_it_is_asked_for(every, pending: int, written: bool) -> None:
    tracker, study = Tracker(every), study_of([0], [0.5])
    tracker.begun(study, 1)
    tracker.begun(study, pending)  # another call: what holds of it
    assert tracker.writes_runs(study) is written


def test_another_amount_is_refused() -> None:
    with pytest.raises(InputError, match="every must be 'run' or 'study', got 'epoch'"):
        Tracker("epoch")
