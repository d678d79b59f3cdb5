"""Metrics against hand-computed values, and the numbers that are none."""

from __future__ import annotations

import pytest
import torch
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
