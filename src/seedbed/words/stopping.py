"""A rule that said when to stop, in words: how it stands while runs come in, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from seedbed.stats import Interval
from seedbed.stopped import AnyRule, Stopped
from seedbed.stopping import Decided, FixedWidth, Look
from seedbed.words.text import counted

#: What must be said beside ordinary intervals of runs whose number was chosen by looking at their scores.
NOTE = (
    "The rule chose how many runs there are by looking at their scores: its interval allows for that, those of the "
    "table do not."
)
INTERRUPTED_NOTE = (
    "Whoever interrupts a rule may have looked at scores: the intervals of the table take the number of runs as chosen "
    "beforehand. The same command goes on until the rule holds."
)


def rule_text(rule: AnyRule) -> str:
    """A rule with its parameters: ``fixed width (±0.002 at 95 %, looked at from n = 10)``."""
    at = f"{100 * rule.confidence:g} %"
    if isinstance(rule, FixedWidth):
        return f"fixed width (±{rule.half_width:g} at {at}, looked at from n = {rule.n_min})"
    if not isinstance(rule, Decided):
        return f"Stein's two stages (±{rule.half_width:g} at {at}, the first of {rule.n_first} runs)"
    if rule.bounds is None:
        return f"a confidence sequence (t mixture, normal differences assumed, {at})"
    return f"a confidence sequence (empirical Bernstein, scores from {rule.bounds[0]:g} to {rule.bounds[1]:g}, {at})"


def wish(stopped: Stopped) -> str:
    """What is waited for: ``test/accuracy ± 0.002``, or that it is plain which of two is better."""
    if isinstance(stopped.rule, Decided):
        return f"it is plain which is better by {stopped.rule.score}"
    return f"{stopped.rule.score} ± {stopped.rule.half_width:g}"


def state(rule: AnyRule, look: Look, needed: int | None) -> str:
    """How a rule stands, for a line of progress: the mean so far with its interval, and what is still to come."""
    if look.interval is None:
        return ""
    interval, places = look.interval, _places(rule)
    if isinstance(rule, Decided):
        return f"difference {interval.estimate:+.{places}f}{_ends(interval, places, '+')}"
    width = "" if interval.low is None or interval.high is None else (interval.high - interval.low) / 2
    text = f"{rule.score} {interval.estimate:.{places}f}" + (f" ± {width:.{places}f}" if width != "" else "")
    return text + (f", about {needed} runs needed" if needed is not None and needed > look.n else "")


def line(stopped: Stopped) -> str:
    """What became of a rule, in a sentence: which rule with which parameters, the n, the interval."""
    pairs = isinstance(stopped.rule, Decided)
    rule = rule_text(stopped.rule) + _seeds(stopped)
    if not stopped.done and not stopped.why:
        return f"interrupted before {rule} held for {stopped.rule.score}"
    at = f"n = {stopped.n}" + (" pairs" if pairs else "")
    if stopped.done:
        text = f"{'decided' if pairs else 'stopped'} by {rule} at {at}{_found(stopped)}"
    else:
        text = f"{'not decided' if pairs else 'not stopped'} by {rule}: {stopped.why}; at {at}{_found(stopped)}"
    if stopped.left_out:
        text += (
            f"; {stopped.left_out} of the {counted(stopped.n, 'pair' if pairs else 'run')} diverged and "
            f"{_is(stopped.left_out)} left out: the rule is about runs that converge"
        )
    return text


def lines(found: Sequence[Stopped]) -> list[str]:
    """A line for each rule that a study was run by, and what it means for other intervals."""
    told = [line(each) for each in found]
    if any(each.done for each in found):
        told.append(NOTE)
    elif any(not each.why for each in found):
        told.append(INTERRUPTED_NOTE)
    return told  # a rule that ran out of seeds chose no number


def beyond_line(stopped: Stopped) -> str:
    """Of a call that has just ended: the runs beyond the last one that the rule looked at; empty without any."""
    if not stopped.beyond:
        return ""
    was = "was" if stopped.beyond == 1 else "were"
    return f"{counted(stopped.beyond, 'more run')} beyond it {was} computed, and {_is(stopped.beyond)} kept"


def _found(stopped: Stopped) -> str:
    """``: test/accuracy 0.8151, 0.8131 to 0.8171``, or the difference and who is better."""
    interval, places = stopped.interval, _places(stopped.rule)
    if interval is None:
        return ""
    if not isinstance(stopped.rule, Decided):
        return f": {stopped.rule.score} {interval.estimate:.{places}f}{_ends(interval, places)}"
    first, second = stopped.studies
    mean = f"{interval.estimate:+.{places}f}{_ends(interval, places, '+')}"
    better = f": {stopped.better} is better" if stopped.better else ""
    return f": mean {stopped.rule.score} of {first} minus {second} is {mean}{better}"


def _ends(interval: Interval, places: int, sign: str = "") -> str:
    """``, 0.8131 to 0.8171``; empty where there are none. A ``sign`` of + shows one before every number."""
    if interval.low is None or interval.high is None:
        return ""
    return f", {interval.low:{sign}.{places}f} to {interval.high:{sign}.{places}f}"


def _places(rule: AnyRule) -> int:
    """Decimals: four, or as many as show a narrow width with two digits."""
    return 4 if isinstance(rule, Decided) else max(4, 1 - math.floor(math.log10(rule.half_width)))


def _seeds(stopped: Stopped) -> str:
    parts = [f"from seed {stopped.start}"] * (stopped.start > 0) + [f"split {stopped.split}"] * (stopped.split > 0)
    return f" {', '.join(parts)}" if parts else ""


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
