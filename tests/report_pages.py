"""Reports of every kind of study, made without training: what the tests of the page open."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import seedbed as sb
from seedbed.charts import of_audit
from seedbed.reporting import making
from seedbed.reporting.document import Document, Section
from seedbed.study import Study
from tests.studies import DIVERGED, study_of

EXAMPLES = 60
SCRIPT = "<script>window.pwned=1;alert(1)</script>"
HOSTILE = (
    SCRIPT,
    '"><img src=x onerror="window.pwned=2;alert(2)">',
    "</script><script>window.pwned=3</script><!--",
    "{{ 7*7 }}{% raw %}${7*7}",
    "&amp;&lt;b&gt;",
    "' onmouseover='window.pwned=4' `",
)
NAME = f"trial {HOSTILE[1]} {HOSTILE[3]}"
MESSAGE = f"{SCRIPT}\u2028{HOSTILE[2]}"


@sb.trial(primary="test/accuracy")
def told(seed: int, trial: sb.Recorder, better: float = 0.0) -> dict[str, float]:
    """A training that is none: curves, predictions, two scores."""
    draw = random.Random(seed)
    truth = [place % 2 for place in range(EXAMPLES)]
    skill = 0.7 + better + 0.1 * draw.random()
    predicted = [one if draw.random() < skill else 1 - one for one in truth]
    accuracy = sum(p == t for p, t in zip(predicted, truth, strict=True)) / EXAMPLES
    for step in range(1, 13):
        reached = accuracy * (1 - 0.5**step) + 0.05 * draw.random()
        trial.log(step, {"train/loss": 1 / step + 0.1 * draw.random(), "test/accuracy": reached})
    trial.predictions("test", predicted, truth)
    return {"test/accuracy": accuracy, "train/loss": draw.random()}


@sb.trial
def by_roles(init: int, order: int) -> dict[str, float]:
    """A score of two roles."""
    return {"score": random.Random(init).random() + 0.2 * random.Random(1000 + order).random()}


@sb.trial
def failing(seed: int) -> dict[str, float]:
    """Runs that fail, with a message that is no friend of a page."""
    raise ValueError(MESSAGE)


@sb.trial
def silent(seed: int) -> dict[str, float]:
    """Runs that tell no score."""
    return {}


@sb.trial
def diverging(seed: int) -> dict[str, float]:
    """Runs whose score is no number."""
    return {"test/accuracy": float("nan")}


@sb.trial
def mixed(seed: int) -> dict[str, float]:
    """Runs of which some fail and some diverge."""
    if seed % 4 == 1:
        raise RuntimeError(f"seed {seed} ran out of memory")
    return {"test/loss": float("inf") if seed % 4 == 2 else 1 + random.Random(seed).random()}


@sb.trial
def equal(seed: int) -> dict[str, float]:
    """Runs that do not differ."""
    return {"test/accuracy": 0.75}


@sb.trial(name=NAME, larger_is_better=dict.fromkeys((*HOSTILE, "<b>/accuracy"), True))
def hostile(seed: int, trial: sb.Recorder, way: str = "") -> dict[str, float]:
    """Scores and an evaluation set that are called as pages are broken."""
    draw = random.Random(f"{seed}{way}")
    if seed == 3:
        raise ValueError(MESSAGE)
    truth = [place % 2 for place in range(EXAMPLES)]
    predicted = [one if draw.random() < 0.8 else 1 - one for one in truth]
    for step in range(1, 4):
        trial.log(step, {HOSTILE[0]: draw.random() * step})
    trial.predictions("<b>", predicted, truth)
    right = sum(p == t for p, t in zip(predicted, truth, strict=True)) / EXAMPLES
    return {**{name: draw.random() for name in HOSTILE}, "<b>/accuracy": right}


def _run(trial: sb.Trial, seeds: object, store: Path, **more: object) -> Study:
    return sb.run(trial, seeds, store=store, workers=0, **more)


def _imported(count: int, mean: float = 0.8, name: str = "imported") -> Study:
    values = np.random.default_rng(count).normal(mean, 0.02, count)
    return sb.Study.from_scores({name: values.tolist()}, metric="test/accuracy")[name]


def _apart() -> list[Study]:
    drawn = np.random.default_rng(1).normal(0.8, 0.02, (3, 12))
    return [study_of(range(100 * k, 100 * k + 12), drawn[k] + k / 50, name=f"apart {k}") for k in range(3)]


@dataclass(frozen=True)
class Kind:
    """Studies that a page can be made of.

    Attributes:
        studies: made in a store.
        tells: what the page says of them.
        score: that is reported; the primary one where not given.
    """

    studies: Callable[[Path], list[Study]]
    tells: tuple[str, ...]
    score: str | None = None


RICH, BESIDE, CROSSED, NAMES = "a trial with everything", "two paired studies", "a crossed design", "hostile names"
EXAMPLES_NAMED, LARGE = "a hostile evaluation set", "ten thousand runs"

KINDS: dict[str, Kind] = {
    RICH: Kind(lambda store: [_run(told, range(30), store)], ("Test accuracy, seeds 0 to 29", "no crossed design")),
    BESIDE: Kind(
        lambda store: [_run(told, range(30), store), _run(told.with_parameters(better=0.1), range(30), store)],
        ("30 pairs of runs with the same seed",),
    ),
    CROSSED: Kind(
        lambda store: [_run(by_roles, sb.grid(init=range(5), order=range(4)), store)],
        ("5 x 4 seeds of initial weights and order", "runs that share no seed"),
    ),
    NAMES: Kind(
        lambda store: [_run(hostile, range(8), store), _run(hostile.with_parameters(way=HOSTILE[4]), range(8), store)],
        (*HOSTILE, NAME, *MESSAGE.split("\u2028"), "why runs failed"),
    ),
    EXAMPLES_NAMED: Kind(
        lambda store: [_run(hostile, range(8), store)], ("Accuracy on <b>", NAME), score="<b>/accuracy"
    ),
    "one run": Kind(
        lambda store: [_run(told, [7], store)],
        ("one run: no interval", "One run says nothing", "two converged runs or more", "three converged runs or more"),
    ),
    "two runs": Kind(lambda store: [_run(told, range(2), store)], ("2 runs know the spread poorly", "3 k runs")),
    "all diverged": Kind(
        lambda store: [_run(diverging, range(3), store)],
        ("no run converged", "All 3 runs diverged.", "no run of diverging has a finite test/accuracy"),
    ),
    "all failed": Kind(
        lambda store: [_run(failing, range(3), store)],
        ("No run of failing ended with a score.", "Anything of scores", *MESSAGE.split("\u2028"), "seeds 0, 1 and 2"),
    ),
    "no scores": Kind(
        lambda store: [_run(silent, range(3), store)], ("No run of silent ended with a score.", "Why runs failed")
    ),
    "some failed, some diverged": Kind(
        lambda store: [_run(mixed, range(12), store)],
        ("3 runs diverged and 3 runs failed", "the numbers are of the others alone", "seed 9 ran out of memory"),
    ),
    "no examples": Kind(
        lambda store: [_run(told, range(6), store, examples=False)], ("what was predicted for each is not stored",)
    ),
    "imported": Kind(lambda store: [_imported(25)], ("25 runs", "its scores were imported")),
    "equal scores": Kind(
        lambda store: [_run(equal, range(6), store)],
        ("all 6 runs are equal: no interval", "Does the trial use the seed", "and 6 runs are equal"),
    ),
    "three studies without a shared seed": Kind(lambda store: _apart(), ("of 3 pairs differ", "apart 0 − apart 1")),
    "imported scores beside runs that diverged": Kind(
        lambda store: [_imported(6), study_of(range(3), [DIVERGED] * 3, name="lost")],
        ("nothing is left to compare", "lost: Test accuracy, seeds 0 to 2: no run converged"),
    ),
    "a failed study beside another": Kind(
        lambda store: [_run(failing, range(3), store), _run(told, range(3), store)],
        ("failing: all 3 runs failed.", "told: Test accuracy, seeds 0 to 2"),
    ),
    LARGE: Kind(lambda store: [_imported(10_000)], ("10000 runs",)),
}  # fmt: skip


def document_of(kind: str, store: Path) -> Document:
    """The report of studies of a kind, made in a store."""
    studies = KINDS[kind].studies(store)
    return making.document(studies, KINDS[kind].score, store if store.exists() else None)


def growing() -> Document:
    """A report of an audit that found differences alone: no study has that chart without one."""
    found = {
        f"{count} threads, in words that are many enough for a line": [(1, 1e-9 * count), (10, 1e-6), (100, 1e-3)]
        for count in range(2, 7)
    }
    growth = of_audit.growth_from(found, [(1, 0.5), (100, 1.1)])
    return Document("audited", ("It differs.",), (Section("audit", "Is one seed one result?", figures=(growth,)),))
