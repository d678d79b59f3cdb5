"""What is copied into a paper: a sentence that names n, what varied and what was fixed, and rows of tables."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import seedbed as sb
from seedbed.study import Study
from seedbed.words import citing
from tests.studies import computed

ACCURACIES = [0.75, 0.7625, 0.7625, 0.775, 0.78, 0.7875, 0.8]


def cited(study: Study, score: str | None = None, confidence: float = 0.95) -> tuple[str, list[str], list[str]]:
    score = study.check_score(score)
    given = study, score, study.summary(score, confidence)
    return citing.sentence(*given), citing.markdown(*given), citing.latex(*given)


def test_the_sentence_names_n_what_varied_what_was_fixed_and_the_epoch() -> None:
    sentence, _, _ = cited(computed({"test/accuracy": ACCURACIES}, range(7), "net"))
    assert sentence == (
        "Test accuracy of net was 77 % on average over seeds (seeds 0 to 6; n = 7; sd 1.7 percentage points; 95 % CI "
        "of the mean 76 to 79 %). Varied: the seed of initial weights, order and noise together; fixed: data, "
        "hyperparameters, threads a run (1), so that the interval does not cover other data. Scores are of the last "
        "epoch (30); no data chose it."
    )
    # The same numbers as numpy's.
    assert f"{np.std(ACCURACIES, ddof=1) * 100:.1f}" == "1.7"
    assert f"{np.mean(ACCURACIES) * 100:.0f}" == "77"


def test_rows_have_numbers_with_the_digits_of_their_intervals() -> None:
    _, markdown, latex = cited(computed({"test/accuracy": ACCURACIES}, range(7), "net"), confidence=0.9)
    assert markdown == [
        "| study | score | n | mean | sd | 90 % CI of the mean |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| net | test/accuracy, % | 7 | 77.4 | 1.7 | 76.1 to 78.6 |",
    ]
    assert latex == [
        r"study & score & n & mean & sd & 90 \% CI of the mean \\",
        r"net & test/accuracy, \% & 7 & 77.4 & 1.7 & 76.1--78.6 \\",
    ]


def test_a_crossed_design_names_its_roles() -> None:
    rng = np.random.default_rng(0)
    seeds = sb.grid(init=range(4), order=range(5))
    study = computed({"test/loss": (rng.normal(size=(4, 1)) + 0.1 * rng.normal(size=(4, 5))).ravel()}, seeds)
    sentence, _, _ = cited(study)
    assert " on average over initial weights and order (4 x 5 seeds of initial weights and order; n = 20;" in sentence
    assert "Varied: init (4 seeds), order (5 seeds), noise fixed at 0, split fixed at 0; fixed: data" in sentence


def test_diverged_single_and_equal_runs() -> None:
    sentence, markdown, _ = cited(computed({"test/accuracy": [*ACCURACIES, math.nan]}, range(8)))
    assert "n = 7;" in sentence
    assert "; 1 more run diverged and is left out)" in sentence
    assert markdown[2].split(" | ")[2] == "7"
    none, rows, _ = cited(computed({"test/loss": [math.nan, math.nan]}, range(2)))
    assert none == "Test loss of made: none of 2 runs converged."
    assert rows[2] == "| made | test/loss | 0 | - | - | - |"
    one, rows, _ = cited(computed({"test/accuracy": [0.89]}, [3]))
    assert one.startswith("Test accuracy of made was 89.00 % (seed 3; n = 1; no interval). Varied: nothing (one run);")
    assert "on average" not in one
    assert "does not cover" not in one
    assert rows[2] == "| made | test/accuracy, % | 1 | 89.00 | - | - |"
    equal, rows, _ = cited(computed({"test/accuracy": [0.85] * 5}, range(5)))
    assert "sd 0.00 percentage points; no interval)" in equal
    assert rows[2] == "| made | test/accuracy, % | 5 | 85.00 | 0.00 | - |"


def test_imported_scores_claim_nothing_of_seeds_or_epochs() -> None:
    study = Study.from_scores({"A": [81.5, 80.1, 82.3, 81.0, 81.9]}, metric="acc")["A"]
    sentence, markdown, _ = cited(study)
    assert sentence == (
        "acc of A was 81 on average over runs (n = 5; sd 0.85; 95 % CI of the mean 80 to 82). Varied: the run (seeds "
        "are not known); fixed: whatever the imported runs had in common (not known here), so that the interval does "
        "not cover other data. It is not known here of which epoch the scores are."
    )
    assert markdown[2] == "| A | acc | 5 | 81.4 | 0.85 | 80.3 to 82.4 |"


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        (
            r"a_b & 5% #1 {x} ~ ^ $ \y",
            r"a\_b \& 5\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{}y",
        ),
        ("p<0.5 | q>1", r"p\textless{}0.5 \textbar{} q\textgreater{}1"),
        ("[net]", "{}[net]"),  # not an option of the line break before it
        ("*net", "{}*net"),
        ("0 to 9", "0 to 9"),  # a dash is for the interval alone
        ("a-1", "a-1"),
    ],
)
def test_latex_escapes(name: str, escaped: str) -> None:
    _, _, latex = cited(computed({"test/accuracy": ACCURACIES}, range(7), name))
    assert latex[1].startswith(rf"{escaped} & test/accuracy, \% & 7 & ")
    assert latex[1].endswith(r"75.8--79.0 \\")


def test_latex_has_minus_signs() -> None:
    _, markdown, latex = cited(computed({"gain": [-2.0, -1.0, 0.0, 0.5]}, range(4)))
    assert markdown[2] == "| made | gain | 4 | -0.6 | 1.1 | -2.4 to 1.1 |"
    assert latex[1] == r"made & gain & 4 & $-$0.6 & 1.1 & $-$2.4 to 1.1 \\"


def test_markdown_escapes_pipes() -> None:
    _, markdown, _ = cited(computed({"test/accuracy": ACCURACIES}, range(7), "a|b"))
    assert markdown[2].startswith(r"| a\|b | test/accuracy, % |")


def test_large_losses_have_no_decimals() -> None:
    study = computed({"test/loss": [4260452.0, 4259398.5, 4261506.25, 4258000.0]}, range(4))
    sentence, markdown, _ = cited(replace(study, identity=replace(study.identity, name="far")))
    assert "was 4259839 on average" in sentence
    assert markdown[2].startswith("| far | test/loss | 4 | 4259839 | 1498 | 4257456 to 4262223 |")
