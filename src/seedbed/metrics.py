"""Metrics: functions of (outputs, targets) that know their name, their direction and what they record of each example.

``outputs`` is what the model returned for a whole evaluation set, ``targets`` what the data set holds. Ready ones:
``accuracy``, ``binary_accuracy``, ``brier``, ``mean_squared_error``, ``mean_absolute_error``. Any other callable of
the two becomes one when an Experiment is made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seedbed.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_SMALLER = re.compile(
    r"(^|[\W_])(loss|losses|log_?loss|cross_?entropy|bce|err|error|errors|mse|mae|rmse|mape|nll|brier|perplexity|ppl|wer"
    r"|cer|fid|ece|regret)($|[\W_])"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # valLoss is val_Loss


@dataclass(frozen=True)
class Metric:
    """A number for a whole evaluation set.

    Attributes:
        name: one word, such as ``accuracy``.
        compute: of (outputs, targets); returns a number or a tensor of one element.
        larger_is_better: which way is better; directs best, worst and verdicts.
        classify: of outputs; the class that is predicted for each example, where the metric is of classes. What runs
            predicted for each example is recorded as these classes.
    """

    name: str
    compute: Callable[[Tensor, Tensor], Any]
    larger_is_better: bool = True
    classify: Callable[[Tensor], Tensor] | None = None

    def __call__(self, outputs: Tensor, targets: Tensor) -> float:
        """The metric of these outputs, as a Python float; NaN and infinities are results.

        Raises:
            InputError: it returned something that is not one real number.
        """
        value = self.compute(outputs, targets)
        with contextlib.suppress(RuntimeError, ValueError):  # of several elements: refused below
            value = value.item() if hasattr(value, "item") else value
        if isinstance(value, str) or not hasattr(value, "__float__"):
            raise InputError(f"metric {self.name!r} must return one number, got {_shown(value)}")
        try:
            return float(value)
        except (TypeError, ValueError):  # an array or tensor of several
            raise InputError(f"metric {self.name!r} must return one number, got {_shown(value)}") from None


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a {type(value).__name__} of shape {tuple(shape)}"
    return f"{value!r:.80} ({type(value).__name__})"


def guess_direction(name: str) -> bool:
    """Whether larger values of a metric of this name are better: losses and errors are better when smaller."""
    return not _SMALLER.search(_CAMEL.sub("_", name).lower())


def as_metric(name: str, function: Callable[[Tensor, Tensor], Any]) -> Metric:
    """``function`` as a Metric called ``name``; a plain callable's direction is guessed from the name."""
    if isinstance(function, Metric):
        return Metric(name, function.compute, function.larger_is_better, function.classify)
    if not callable(function):
        raise InputError(f"metric {name!r} must be callable with (outputs, targets), got {function!r:.80}")
    return Metric(name, function, guess_direction(name))


def _most_likely(outputs: Tensor) -> Tensor:
    return outputs.argmax(1)


def _positive(outputs: Tensor) -> Tensor:
    return (outputs > 0).long()


def _check_classes(outputs: Tensor, targets: Tensor, name: str) -> None:
    if outputs.ndim < 2 or targets.shape != (outputs.shape[0], *outputs.shape[2:]):
        raise InputError(
            f"{name} needs outputs [examples, classes] and targets [examples], got shapes "
            f"{tuple(outputs.shape)} and {tuple(targets.shape)}"
        )


def _accuracy(outputs: Tensor, targets: Tensor) -> float:
    _check_classes(outputs, targets, "accuracy")
    return (_most_likely(outputs) == targets).double().mean().item()


def _binary_accuracy(outputs: Tensor, targets: Tensor) -> float:
    _same_shape(outputs, targets, "binary_accuracy")
    return (_positive(outputs) == targets).double().mean().item()


def _brier(outputs: Tensor, targets: Tensor) -> float:
    from torch import nn

    _check_classes(outputs, targets, "brier")
    probabilities = outputs.double().softmax(1)
    truth = nn.functional.one_hot(targets, outputs.shape[1]).movedim(-1, 1)
    return (probabilities - truth).square().sum(1).mean().item()


def _same_shape(outputs: Tensor, targets: Tensor, name: str) -> None:
    # (n, 1) against (n,) would broadcast to n x n and give a plausible, wrong number.
    if outputs.shape != targets.shape:
        raise InputError(
            f"{name} needs outputs and targets of one shape, got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )


def _mean_squared_error(outputs: Tensor, targets: Tensor) -> float:
    _same_shape(outputs, targets, "mean_squared_error")
    return (outputs.double() - targets.double()).square().mean().item()


def _mean_absolute_error(outputs: Tensor, targets: Tensor) -> float:
    _same_shape(outputs, targets, "mean_absolute_error")
    return (outputs.double() - targets.double()).abs().mean().item()


#: Share of examples whose most likely class is the target. Outputs [examples, classes]; targets [examples], integers.
accuracy = Metric("accuracy", _accuracy, classify=_most_likely)
#: Share of examples on the right side of a logit of 0. Outputs (logits) and targets (0 or 1) of one shape.
binary_accuracy = Metric("binary_accuracy", _binary_accuracy, classify=_positive)
#: Squared error between one-hot target and predicted probabilities, summed over classes, mean over examples (Brier,
#: Monthly Weather Review 78, 1950, eq. 2). Outputs are logits or log-probabilities [examples, classes]: softmax gives
#: the same probabilities of both.
brier = Metric("brier", _brier, larger_is_better=False)
#: Mean squared error; outputs and targets of one shape.
mean_squared_error = Metric("mean_squared_error", _mean_squared_error, larger_is_better=False)
#: Mean absolute error; outputs and targets of one shape.
mean_absolute_error = Metric("mean_absolute_error", _mean_absolute_error, larger_is_better=False)
