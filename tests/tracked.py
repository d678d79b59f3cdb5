"""What is written to trackers in tests: a trial that returns at once, and what its studies are to say."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path

import seedbed as sb
from seedbed.study import Study

FAILS, DIVERGES = 3, 4  # seeds of toy


@sb.trial
def toy(seed: int, trial: sb.Recorder, lr: float = 0.1) -> dict[str, float]:
    """A training that is none."""
    draw = random.Random(seed)
    for step in (1, 2, 3):
        trial.log(step, {"train/loss": draw.random(), "accuracy": step / 10})
    if seed == FAILS:
        raise ValueError("as asked")
    return {"accuracy": float("nan") if seed == DIVERGES else draw.random() * lr, "top@5": draw.random()}


@sb.trial
def by_roles(init: int, order: int) -> dict[str, float]:
    return {"score": random.Random(init).random() + 0.1 * random.Random(1000 + order).random()}


@sb.trial
def spread(seed: int, shift: float = 0.0) -> dict[str, float]:
    draw = random.Random(seed)
    return {"score": draw.random() + shift * (1 + draw.random())}


def expected(study: Study, score: str) -> Mapping[str, float]:
    """The numbers that a tracker is to show of a score."""
    found = study.summary(score)
    return {
        "mean": found.mean,
        "mean_low": found.mean_low,
        "mean_high": found.mean_high,
        "sd": found.sd,
        "sd_low": found.sd_low,
        "sd_high": found.sd_high,
        "median": found.median,
        "minimum": found.minimum,
        "maximum": found.maximum,
    }


def page(callback: str) -> str:
    """The program of docs/trackers.md that uses this callback."""
    text = (Path(__file__).parents[1] / "docs" / "trackers.md").read_text()
    first, *others = re.findall(r"```python no-run\n(.*?)```", text, re.DOTALL)
    (own,) = [each for each in others if callback in each]
    return f"{first}\n\n{own}"
