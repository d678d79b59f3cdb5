"""What a trial keeps beside its scores: curves, and what was predicted for each example."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.records import EvaluationSet


class Recorder:
    """What one run of a trial keeps. Arrays may be lists, numpy arrays, or tensors on a CPU."""

    def __init__(self) -> None:
        self._curves: dict[str, dict[int, float]] = {}
        self._predictions: dict[str, NDArray[Any]] = {}
        self._sets: dict[str, EvaluationSet] = {}

    def log(self, step: int, scores: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Keep the values of some scores after a step (an epoch, say, counted from 1).

        Args:
            step: at least 0.
            scores: name to number, where a name is no Python word, such as ``{"test/accuracy": 0.9}``.
            more: name to number.

        Raises:
            InputError: a step or a value is no number, or a score was logged at that step already.
        """
        try:
            step = operator.index(step)
        except TypeError:
            raise InputError(f"a step is a whole number, got {step!r:.80}") from None
        if step < 0:
            raise InputError(f"a step is a whole number of at least 0, got {step}")
        for name, value in {**(scores or {}), **more}.items():
            curve = self._curves.setdefault(check_name(name), {})
            if step in curve:
                raise InputError(f"{name} was logged at step {step} already")
            curve[step] = as_number(name, value)

    def predictions(
        self, evaluation_set: str, predicted: Any, targets: Any, *, classes: int | None = None, held_out: bool = True
    ) -> None:
        """Keep what was predicted for each example of an evaluation set: the same examples in every run.

        Args:
            evaluation_set: its name, such as ``test``.
            predicted: whole numbers below ``classes``, or any other numbers [examples, ...].
            targets: what was to be predicted [examples, ...].
            classes: how many classes there are; of whole numbers one more than the largest target where not given.
            held_out: False where these are the training rows.

        Raises:
            InputError: shapes differ, there are no examples, or a class is out of range.
        """
        name = check_name(evaluation_set)
        if name in self._sets:
            raise InputError(f"predictions on {name} were given already")
        found, truth = np.asarray(predicted), np.asarray(targets)
        if found.ndim == 0 or len(found) == 0 or found.shape != truth.shape:
            raise InputError(
                f"predictions on {name} need predicted and targets of one shape [examples, ...], got "
                f"{list(found.shape)} and {list(truth.shape)}"
            )
        for what, values in (("predicted", found), ("targets", truth)):
            if values.dtype.kind not in "biuf":
                raise InputError(f"{what} on {name} must be numbers, got {values.dtype}")
        whole = found.dtype.kind in "biu" and truth.dtype.kind in "biu"
        if whole:
            found, truth = found.astype(np.int64), truth.astype(np.int64)
            classes = int(truth.max()) + 1 if classes is None else classes
            least, most = int(min(found.min(), truth.min())), int(max(found.max(), truth.max()))
            if least < 0 or most >= classes:
                raise InputError(
                    f"classes on {name} go from {least} to {most}, but there are {classes} (from 0): give classes="
                )
        elif classes is not None:
            raise InputError(f"predictions on {name} are no whole numbers, and have no classes")
        else:
            found, truth = found.astype(np.float32), truth.astype(np.float32)
        self._predictions[name] = found
        self._sets[name] = EvaluationSet(name, len(truth), held_out, classes, truth)

    def curves(self) -> tuple[tuple[int, ...], dict[str, NDArray[np.float64]]]:
        """The steps at which anything was logged, and each score at them; NaN where it was not logged."""
        steps = tuple(sorted({step for curve in self._curves.values() for step in curve}))
        return steps, {
            name: np.array([curve.get(step, np.nan) for step in steps]) for name, curve in self._curves.items()
        }

    def kept_predictions(self) -> tuple[dict[str, NDArray[Any]], tuple[EvaluationSet, ...]]:
        """Evaluation set to what was predicted, and the sets themselves."""
        return self._predictions, tuple(self._sets.values())


def check_name(name: Any) -> str:
    """The name of a score or evaluation set, or an InputError."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 128:
        raise InputError(f"a name is printable text of at most 128 characters, got {name!r:.80}")
    return name


def as_number(name: str, value: Any) -> float:
    """A score's value as a float: of a number, or of an array or tensor with one element."""
    try:
        item = value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError):  # of several elements
        item = None
    if item is None or isinstance(item, str | bool) or not hasattr(item, "__float__"):
        raise InputError(f"{name} must be one number, got {value!r:.80} ({type(value).__name__})")
    return float(item)
