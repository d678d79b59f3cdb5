"""How far a fast engine's runs lie from the reference engine's: what verification found, as a study keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FINAL_FACTOR = 20.0  # a final gap of more than so many one-ulp gaps is told as a warning


@dataclass(frozen=True)
class Gap:
    """How far two trainings of one run lie apart.

    Attributes:
        weights: the largest difference of a weight or buffer.
        predictions: examples that are predicted otherwise.
        score: difference of the primary score.
    """

    weights: float
    predictions: int
    score: float


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        engine: that was verified.
        seeds: labels of the runs whose step was compared; the first one was trained whole.
        step: largest difference of a weight after one step between the engine and the float64 step; where there are
            more than two seeds, the second largest.
        step_reference: the largest of the reference engine, from its initial weights and from these shaken by one ulp.
        step_bound: what ``step`` may be.
        final: between engine and reference, after the whole training; None where the run diverges in either.
        one_ulp: between reference and reference with one initial weight nudged.
        examples: how many examples ``predictions`` counts from.
        primary: the primary score's name.
    """

    engine: str
    seeds: tuple[str, ...]
    step: float
    step_reference: float
    step_bound: float
    final: Gap | None
    one_ulp: Gap | None
    examples: int
    primary: str

    @property
    def is_bug(self) -> bool:
        """Whether the step differs by more than rounding."""
        return not self.step <= self.step_bound

    @property
    def is_wide(self) -> bool:
        """Whether the whole training differs by well more than a nudge of one ulp makes it differ."""
        if self.final is None or self.one_ulp is None:
            return False
        return self.final.weights > FINAL_FACTOR * max(self.one_ulp.weights, self.step_bound)

    @property
    def warning(self) -> str | None:
        """What must be told, if anything."""
        if self.is_bug:
            return (
                f"after one step the {self.engine} engine is {self.step:.1e} away from the step in float64, more than "
                f"rounding explains ({self.step_bound:.1e}): do not trust these runs, use --engine reference, and "
                f"please report it"
            )
        if self.is_wide and self.final is not None and self.one_ulp is not None:
            return (
                f"the {self.engine} engine's final weights differ from the reference engine's by "
                f"{self.final.weights:.1e}, well more than a nudge of one ulp makes them differ "
                f"({self.one_ulp.weights:.1e})"
            )
        return None

    @property
    def line(self) -> str:
        """All of it in one line."""
        step = f"one step differs by {self.step:.1e} (bound {self.step_bound:.1e})"
        if self.final is None or self.one_ulp is None:
            whole = "the whole training diverges in one of them, and is not compared"
        else:
            whole = (
                f"the whole training by {_told(self.final, self.examples, self.primary)}; "
                f"one weight nudged by one ulp makes the reference differ by {_told(self.one_ulp, None, None)}"
            )
        return f"{self.engine} verified on seed {self.seeds[0]}: {step}, {whole}"

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        gaps = {
            name: None if gap is None else vars(gap) for name, gap in (("final", self.final), ("one_ulp", self.one_ulp))
        }
        return {**vars(self), "seeds": list(self.seeds), **gaps}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Verification:
        """What ``as_json`` gave."""
        gaps = {name: None if values[name] is None else Gap(**values[name]) for name in ("final", "one_ulp")}
        return Verification(**{**values, "seeds": tuple(values["seeds"]), **gaps})


def _told(gap: Gap, examples: int | None, primary: str | None) -> str:
    of = "" if examples is None else f" of {examples}"
    name = "" if primary is None else f" in {primary}"
    return f"{gap.weights:.1e} in a weight, {gap.predictions}{of} predictions, {gap.score:.4g}{name}"


def predicted_otherwise(one: NDArray[Any], other: NDArray[Any]) -> int:
    """How many examples two runs predict otherwise: another class, or a value that differs by more than a thousandth of
    the values' spread.

    Args:
        one, other: [examples, ...].
    """
    a, b = one.reshape(len(one), -1), other.reshape(len(other), -1)
    if np.issubdtype(a.dtype, np.integer):
        return int((a != b).any(axis=1).sum())
    return int((np.abs(a - b) > 1e-3 * max(float(b.std()), 1e-12)).any(axis=1).sum())
