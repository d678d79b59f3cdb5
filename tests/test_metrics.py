"""Metrics against hand-computed values, and the numbers that are none."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from seedbed import InputError, metrics
from seedbed.metrics import as_metric, guess_direction

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 3.0], [1.0, 5.0, 0.0], [0.0, 1.0, 0.5]])
CLASSES = torch.tensor([0, 2, 0, 1])


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert metrics.accuracy(LOGITS, CLASSES) == accuracy_score(CLASSES, LOGITS.argmax(1)) == 0.75


def test_brier_is_the_same_of_logits_and_log_probabilities() -> None:
    probabilities = LOGITS.double().softmax(1)
    expected = sum(
        ((probabilities[i] - torch.eye(3, dtype=torch.double)[CLASSES[i]]) ** 2).sum() for i in range(4)
    ) / len(CLASSES)
    assert metrics.brier(LOGITS, CLASSES) == pytest.approx(float(expected), abs=1e-12)
    assert metrics.brier(LOGITS.double().log_softmax(1), CLASSES) == pytest.approx(float(expected), abs=1e-12)


def test_binary_accuracy_splits_at_a_logit_of_zero() -> None:
    assert metrics.binary_accuracy(torch.tensor([-1.0, 2.0, 0.5]), torch.tensor([0.0, 1.0, 0.0])) == pytest.approx(
        2 / 3
    )


def test_errors_of_regression() -> None:
    outputs, targets = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])
    assert metrics.mean_squared_error(outputs, targets) == 2.5
    assert metrics.mean_absolute_error(outputs, targets) == 1.5


@pytest.mark.parametrize("metric", [metrics.mean_squared_error, metrics.mean_absolute_error, metrics.binary_accuracy])
def test_shapes_that_would_broadcast_are_refused(metric: metrics.Metric) -> None:
    with pytest.raises(InputError, match="one shape"):
        metric(torch.zeros(3, 1), torch.zeros(3))


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.brier])
def test_outputs_that_are_no_classes_are_refused(metric: metrics.Metric) -> None:
    with pytest.raises(InputError, match=r"outputs \[examples, classes\]"):
        metric(torch.zeros(3), torch.zeros(3))


@pytest.mark.parametrize("value", ["0.5", None, torch.zeros(2), [1.0], 1j])
def test_a_metric_that_is_no_number_is_refused_by_name(value: object) -> None:
    with pytest.raises(InputError, match="metric 'mine' must return one number"):
        as_metric("mine", lambda outputs, targets: value)(LOGITS, CLASSES)


@pytest.mark.parametrize("value", [1, 0.5, True, torch.tensor(0.5), torch.tensor([0.5]), float("nan")])
def test_whatever_is_one_number_is_taken(value: object) -> None:
    assert isinstance(as_metric("mine", lambda outputs, targets: value)(LOGITS, CLASSES), float)


@pytest.mark.parametrize(
    ("name", "larger"),
    [("accuracy", True), ("f1", True), ("loss", False), ("rmse", False), ("test_error", False), ("terror", True)],
)
def test_directions_are_guessed_from_names(name: str, larger: bool) -> None:
    assert guess_direction(name) is larger
    assert as_metric(name, lambda outputs, targets: 0.0).larger_is_better is larger


def test_a_ready_metric_keeps_its_direction_under_another_name() -> None:
    assert as_metric("score", metrics.brier).larger_is_better is False


@pytest.mark.parametrize(
    ("name", "larger"),
    [
        *((name, False) for name in ("val-loss", "test.loss", "losses", "cross_entropy", "log_loss", "bce", "RMSE")),
        *((name, False) for name in ("val/loss", "test error", "err@5", "valLoss", "top1Error", "error (%)")),
        *((name, True) for name in ("auc", "recall", "glossary", "lossless", "bleu", "numerals")),
    ],
)
def test_every_separator_of_names_bounds_a_word(name: str, larger: bool) -> None:
    assert guess_direction(name) is larger


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros(3), r"a ndarray of shape \(3,\)"),
        (torch.zeros(2, 1), r"a Tensor of shape \(2, 1\)"),
        (torch.zeros(0), r"a Tensor of shape \(0,\)"),
        (np.complex64(1j), r"1j \(complex\)"),
        (torch.tensor(1j), r"1j \(complex\)"),
        (b"1", r"b'1' \(bytes\)"),
    ],
)
def test_what_came_instead_of_a_number_is_shown(value: object, shown: str) -> None:
    with pytest.raises(InputError, match=rf"^metric 'mine' must return one number, got {shown}$"):
        as_metric("mine", lambda outputs, targets: value)(LOGITS, CLASSES)


@pytest.mark.parametrize("value", [np.float32(0.5), np.full((1, 1), 0.5), torch.full((1, 1), 0.5), Fraction(1, 2)])
def test_numbers_of_other_libraries_are_taken(value: object) -> None:
    found = as_metric("mine", lambda outputs, targets: value)(LOGITS, CLASSES)
    assert type(found) is float
    assert found == 0.5


def test_infinities_and_nan_are_results() -> None:
    assert as_metric("mine", lambda outputs, targets: torch.tensor(-math.inf))(LOGITS, CLASSES) == -math.inf
    assert math.isnan(metrics.mean_squared_error(torch.tensor([math.nan]), torch.zeros(1)))


def test_a_metric_must_be_callable_and_cannot_be_changed() -> None:
    with pytest.raises(InputError, match=r"^metric 'f1' must be callable with \(outputs, targets\), got 5$"):
        as_metric("f1", 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.accuracy.name = "other"


def test_a_renamed_metric_keeps_what_it_records() -> None:
    renamed = as_metric("test_error", metrics.accuracy)
    assert (renamed.name, renamed.larger_is_better) == ("test_error", True)
    assert torch.equal(renamed.classify(LOGITS), torch.tensor([0, 2, 1, 1]))
    assert torch.equal(metrics.binary_accuracy.classify(torch.tensor([-1.0, 0.0, 0.5])), torch.tensor([0, 0, 1]))


@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_metrics_of_classes_with_further_dimensions_are_those_of_all_positions(
    examples: int, classes: int, extra: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (extra,) if extra else ()
    outputs = torch.randn(examples, classes, *shape, generator=generator)
    targets = torch.randint(classes, (examples, *shape), generator=generator)
    flat = outputs.movedim(1, -1).reshape(-1, classes)
    assert metrics.accuracy(outputs, targets) == metrics.accuracy(flat, targets.ravel())
    assert metrics.brier(outputs, targets) == pytest.approx(metrics.brier(flat, targets.ravel()), abs=1e-12)
    assert 0 <= metrics.brier(outputs, targets) <= 2
