"""Two studies or several beside each other, in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.stats import Comparison, Comparisons, Interval, Scope
from seedbed.stats.resampled import CORRECTED
from seedbed.words.rounding import decimals, half_of, p_value, shown, with_interval
from seedbed.words.text import counted, json_value
from seedbed.words.wording import over

EXPLANATION = {
    "unresolved": "Unresolved: these runs do not say which mean is higher",
    "equivalent within the margin": "Equivalent within the margin of ± {margin:g}",
}


SMALL = 1e-4  # below which no p-value is told apart from another


def heading(names: tuple[str, ...], score: str, found: Comparison, at: str = "") -> str:
    """What is compared: ``A minus B: test/accuracy (larger is better), 200 pairs of runs with the same seed``.

    Args:
        at: follows the score's name: of which epoch it is (``wording.at``).
    """
    way = "larger" if found.larger_is_better else "smaller"
    sizes = (
        f"{counted(found.n_a, 'split')}, the runs of each averaged"
        if found.test == CORRECTED
        else f"{counted(found.n_a, 'pair')} of runs with the same seed"
        if found.paired
        else f"{found.n_a} and {counted(found.n_b, 'run')}, not paired"
    )
    return f"{names[0]} minus {names[1]}: {score}{at} ({way} is better), {sizes}"


def verdict(names: tuple[str, ...], found: Comparison) -> str:
    """What these runs support: which mean is higher, and whether that is better; never that there is no difference."""
    if found.better is None:
        return EXPLANATION[found.verdict].format(margin=found.margin)
    higher = names[0] if found.verdict == "a higher" else names[1]
    better = higher == (names[0] if found.better == "a" else names[1])
    return f"{higher} is higher on average, which is {'better' if better else 'worse'}"


def rows(names: tuple[str, ...], found: Comparison) -> list[tuple[str, str]]:
    """Label and text of everything that is known of two studies' difference."""
    a, b = names
    unit, drawn = ("split", "split") if found.test == CORRECTED else ("run", "seed")
    percent = f"{found.confidence * 100:g} %"
    difference, interval = with_interval(found.difference, found.low, found.high)
    if found.low is not None:
        difference += f"   {percent} CI {interval}; {found.test}, p {_with_sign(p_value(found.p_value))}"
    parts = [("difference of means", difference)]
    if math.isfinite(found.difference_in_sd):
        parts.append(("in units of the spread", f"{found.difference_in_sd:+.2f} sd over {drawn}s"))
    kind = "sign flips" if found.paired else "permutations"
    how = f"all {kind}" if found.enumerated else f"{kind}, drawn"
    if found.smallest_p_exact >= SMALL:
        how += f"; these runs can reach {p_value(found.smallest_p_exact)} at best"
    parts.append(("exact test beside it", f"p {_with_sign(p_value(found.p_exact))} ({how})"))
    beats = f"a {unit} of {a} beats one of {b} {_share(found.probability_better, percent)}"
    parts.append((f"{unit} by {unit}", beats))
    if found.wins is not None:
        wins = found.wins
        parts.append((f"within a {drawn}", f"{a} better {wins.a}, equal {wins.ties}, {b} better {wins.b}"))
    if found.correlation is not None:
        r = found.correlation
        value, ends = with_interval(r.estimate, r.low, r.high)
        parts.append((f"correlation over {drawn}s", f"{value}   {percent} CI {ends}" if r.low is not None else value))
    if found.detectable is not None:
        half = half_of(found.low, found.high)
        parts.append(("detectable", f"a true difference of {shown(found.detectable, decimals(half))} (80 % power)"))
    return parts


def _with_sign(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def _share(interval: Interval, percent: str) -> str:
    half = half_of(interval.low, interval.high)
    if interval.low is None or interval.high is None or not math.isfinite(half):
        return f"{interval.estimate * 100:.0f} % of the time"
    places = decimals(half * 100, 1)
    low, high = shown(interval.low * 100, places), shown(interval.high * 100, places)
    return f"{shown(interval.estimate * 100, places)} % of the time   {percent} CI {low} to {high} %"


COLUMNS = ("pair", "difference", "joint CI", "p", "first beats second", "verdict")


def heading_of_all(
    names: Sequence[str], score: str, found: Comparisons, *, larger_is_better: bool, at: str = ""
) -> str:
    """What is compared: ``3 studies, all pairs: test/accuracy (larger is better), runs of the same seed paired``.

    Args:
        at: follows the score's name: of which epoch it is (``wording.at``).
    """
    first = next(iter(found.pairs.values()))
    kind = "runs of the same seed paired" if first.paired else "runs not paired"
    if first.test == CORRECTED:
        kind = f"{counted(first.n_a, 'split')}, the runs of each averaged"
    way = "larger" if larger_is_better else "smaller"
    return f"{len(names)} studies, all pairs: {score}{at} ({way} is better), {kind}"


def best_of_all(names: Sequence[str], found: Comparisons) -> str:
    """Which study is better than every other, as far as these runs say."""
    for name in names:
        own = [(a if pair.better == "a" else b) for (a, b), pair in found.pairs.items()
               if name in (a, b) and pair.better is not None]  # fmt: skip
        if len(own) == len(names) - 1 and all(winner == name for winner in own):
            return f"{name} is better than every other"
    return "Which one is best is unresolved"


def pair_rows(found: Comparisons) -> list[tuple[str, ...]]:
    """A row for each pair: both names, difference, simultaneous interval, adjusted p-value, superiority, verdict."""
    result: list[tuple[str, ...]] = []
    for (a, b), pair in found.pairs.items():
        difference, interval = with_interval(pair.difference, pair.low, pair.high)
        p = found.p_adjusted[a, b]
        beats = f"{pair.probability_better.estimate * 100:.0f} %"
        short = pair.verdict if pair.better is None else f"{a if pair.better == 'a' else b} better"
        result.append((f"{a} minus {b}", difference, interval, p_value(p), beats, short))
    return result


def pair_notes(found: Comparisons) -> list[str]:
    """What is to be known of all pairs, and of single ones."""
    notes = [*found.notes]
    by_text: dict[str, list[str]] = {}
    for (a, b), pair in found.pairs.items():
        for note in pair.notes:
            by_text.setdefault(note, []).append(f"{a} minus {b}")
    notes += [f"{', '.join(pairs)}: {note}" for note, pairs in by_text.items()]
    notes.append(
        f"Intervals hold jointly at {found.confidence * 100:g} % ({found.intervals}); p-values are "
        f"{found.adjustment}'s, to be held against {1 - found.confidence:.3g}"
    )
    notes.append(scope_note(found.scope))
    return notes


def scope_note(scope: Scope) -> str:
    """What intervals of differences are over, and what they hold fixed."""
    return f"Intervals are {over(scope)}; fixed: {', '.join(scope.fixed)}"


def pairs_json(score: str, found: Comparisons, checkpoints: Mapping[str, Any]) -> dict[str, Any]:
    """All pairs as JSON values; ``checkpoints`` has the rule of each study, by name."""
    values: Mapping[str, Any] = {
        field.name: getattr(found, field.name)
        for field in dataclasses.fields(found)
        if field.name not in ("pairs", "p_adjusted", "scope")
    }
    return {
        "metric": score,
        "checkpoints": json_value(checkpoints),
        **json_value(values),
        "scope": json_value(dataclasses.asdict(found.scope)),
        "pairs": [
            {"a": a, "b": b, "p_adjusted": found.p_adjusted[a, b], **json_value(dataclasses.asdict(pair))}
            for (a, b), pair in found.pairs.items()
        ],
    }
