"""A study's answer in a sentence: exact, in the right unit, and about no more than was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

import seedbed as sb
from seedbed.stats import Scope
from seedbed.study import Study
from seedbed.words import wording
from tests.studies import computed

NORMAL = reference.norm.ppf((np.arange(1000) + 0.5) / 1000)  # a sample that is as normal as can be


def headline(study: Study, score: str | None = None, confidence: float = 0.95) -> str:
    score = study.check_score(score)
    return wording.headline(study, score, study.summary(score, confidence))


def imported(values: list[float], metric: str = "acc", **options: object) -> Study:
    return Study.from_scores({"A": values}, metric=metric, **options)["A"]


def test_the_sentence_that_was_agreed() -> None:
    study = computed({"train/accuracy": 0.815 + 0.01786 * NORMAL}, range(1000))
    assert headline(study) == (
        "Training accuracy, seeds 0 to 999, this data: mean 81.5 % (95 % CI 81.4 to 81.6 over seeds; other data not "
        "included). 95 of 100 seeds fall in 78.0 to 85.0."
    )
    assert "(90 % CI 81.41 to 81.59 over seeds;" in headline(study, confidence=0.9)
    assert headline(study, confidence=0.9).endswith(" 90 of 100 seeds fall in 78.55 to 84.45.")
    assert headline(study, confidence=0.999).endswith(" 99.9 % of seeds fall in 75.6 to 87.4.")


def test_roles_are_named_and_no_further_run_is_foretold() -> None:
    rng = np.random.default_rng(0)
    scores = 0.8 + 0.02 * rng.normal(size=(4, 1)) + 0.001 * rng.normal(size=(4, 5))
    two = computed({"test/accuracy": scores.ravel()}, sb.grid(init=range(4), order=range(5)))
    assert headline(two).startswith("Test accuracy, 4 x 5 seeds of initial weights and order, this data: mean ")
    assert headline(two).endswith(" over initial weights and order; other data not included).")
    three = computed({"test/loss": range(8)}, sb.grid(init=range(2), order=range(2), noise=range(2)))
    assert "2 x 2 x 2 seeds of initial weights, order and noise," in headline(three)
    splits = computed({"test/accuracy": scores.ravel()}, sb.grid(seed=range(4), split=range(5)))
    assert headline(splits).startswith("Test accuracy, seeds 0 to 3, 5 splits, this data: mean ")
    assert " over seeds and splits; other data not included)" in headline(splits)


def test_diverged_runs_are_in_the_sentence() -> None:
    study = computed({"test/accuracy": [*(0.7 + 0.05 * NORMAL[25::50]), math.nan, math.nan]}, range(22))
    assert headline(study) == (
        "Test accuracy, seeds 0 to 21, this data: mean of converged runs 70 % (95 % CI 68 to 72 over seeds; other data "
        "not included). 95 of 100 seeds that converge fall in 59 to 81."
    )
    assert headline(computed({"test/loss": [math.nan] * 3}, range(3))) == "Test loss, seeds 0 to 2: no run converged."
    one = computed({"test/accuracy": [0.5, math.nan]}, range(2))
    assert headline(one) == ("Test accuracy, seeds 0 and 1, this data: 50.00 % (one converged run: no interval).")


def test_one_run_and_equal_runs_have_no_interval() -> None:
    one = computed({"test/accuracy": [0.89]}, [7])
    assert headline(one) == "Test accuracy, seed 7, this data: 89.00 % (one run: no interval)."
    equal = computed({"test/accuracy": [0.85] * 12, "test/loss": [1234.5] * 12}, range(12))
    assert headline(equal) == (
        "Test accuracy, seeds 0 to 11, this data: mean 85.00 % (all 12 runs are equal: no interval)."
    )
    assert headline(equal, "test/loss").endswith("mean 1234.5000 (all 12 runs are equal: no interval).")
    entangled = computed(
        {"test/loss": [1.0, 2.0, 3.0]}, [*sb.grid(init=[0], order=[0, 1]), *sb.grid(init=[1], order=[1])]
    )
    assert headline(entangled).endswith("mean 2.0000 (no interval, see the notes).")


def test_a_share_is_cut_at_what_it_can_be() -> None:
    told = headline(computed({"test/accuracy": [0.77, 0.89]}, range(2)))
    assert told == (
        "Test accuracy, seeds 0 and 1, this data: mean 83 % (95 % CI 7 to 100 over seeds; other data not included). "
        "95 of 100 seeds fall in 0 to 100."
    )
    assert "CI -" in headline(computed({"test/loss": [0.1, 0.9]}, range(2)))  # a loss is no share


@pytest.mark.parametrize(
    ("metric", "values", "sign"),
    [
        ("acc", [0.81, 0.79], " %"),
        ("test/top5", [0.2, 1.0], " %"),
        ("val_accuracy", [0.0, 1.0], " %"),
        ("f1", [0.5, 0.6], " %"),
        ("acc", [81.5, 79.0], ""),
        ("test/loss", [0.5, 0.6], ""),
        ("accident", [0.5, 0.6], ""),
        ("acc", [math.nan, math.nan], ""),
    ],
)
def test_percent_is_for_shares_alone(metric: str, values: list[float], sign: str) -> None:
    study = imported(values, metric, larger_is_better=True)
    assert wording.unit_of(study, metric).sign == sign


def test_numbered_runs_are_no_seeds() -> None:
    told = headline(imported([81.5, 80.1, 82.3, 81.0, 81.9]))
    assert told == (
        "acc, 5 runs, this data: mean 81.4 (95 % CI 80.3 to 82.4 over runs; other data not included). 95 of 100 runs "
        "fall in 78.8 to 84.0."
    )
    assert headline(imported([0.5])) == "acc, one run, this data: 50.00 % (one run: no interval)."
    assert headline(imported([0.5, 0.7], seeds=[3, 9])).startswith("acc, seeds 3 and 9, this data: ")


@pytest.mark.parametrize(
    ("score", "text"),
    [
        ("train/accuracy", "Training accuracy"),
        ("val/top_5", "Validation top 5"),
        ("shifted/brier", "Brier on shifted"),
        ("acc", "acc"),
    ],
)
def test_titles(score: str, text: str) -> None:
    assert wording.title(computed({score: [0.5]}, range(1)), score) == text


def test_seeds_in_words() -> None:
    def words(seeds: object, count: int) -> str:
        return wording.seeds(computed({"s": range(count)}, seeds))

    assert words(range(5, 25), 20) == "seeds 5 to 24"
    assert words([3, 3407, 8], 3) == "3 seeds from 3 to 3407"
    assert words(sb.grid(seed=range(3), split=[2]), 3) == "seeds 0 to 2, split 2"
    assert words(sb.grid(init=[1], order=[2]), 1) == "one run, init=1 order=2 noise=0"


def test_lists_and_scopes() -> None:
    assert [wording.listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert wording.over(Scope((), ())) == "of these runs"
    assert wording.over(Scope(("seeds", "split"), ())) == "over seeds and splits"
