"""An audit in words: the verdict, a row for each condition, what was found where, and what helps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from seedbed.auditing.causes import OTHER_DRAWS, ROUNDING
from seedbed.auditing.findings import Apart, Audit, Cure, Outcome, Spread
from seedbed.words import parting
from seedbed.words.rounding import plain

COLUMNS = ("condition", "repeats", "parts", "weights", "predictions", "score")
GROWTH_SHOWN = 5  # steps
NEGLIGIBLE = 0.1  # of the standard deviation over seeds


def verdict(audit: Audit) -> str:
    """The answer in a few sentences."""
    who = f"{audit.name}, seed {audit.seeds}"
    asked, differing = audit.asked, audit.differing
    repeated = [each for each in asked if each.repeats]
    untold = [each for each in asked if each.repeats is None]
    not_told = f" Of {_listed(untold)} nothing can be said." if untold else ""
    if not asked:
        return f"{who}: no condition was asked but the yardstick, so nothing can be said."
    if not differing:
        if not repeated:
            return f"{who}: whether it repeats could not be told.{not_told}"
        if audit.by_results:
            same = f"gives the same results, as it tells them, under {_all_of(repeated)}"
            return f"{who}, on {audit.base}, {same}.{not_told}"
        what = f"{_which_steps(audit)} repeat" if audit.steps else "its results repeat"
        return f"{who}, on {audit.base}, gives one result: {what} bit for bit under {_all_of(repeated)}.{not_told}"
    unchanged = [each for each in differing if each.condition.name == "again"]
    own_fault = [each for each in differing if each.condition.kind == "same"]
    if unchanged:
        where = "its results differ" if audit.by_results else f"it parts {parting.where(unchanged[0].origin)}"
        opening = f"{who} is not one result: run again, with nothing changed, {where}."
    elif own_fault:
        opening = (
            f"{who} is not one result: {_listed(own_fault)} should change nothing, and {_gives(own_fault)} another one."
        )
    elif repeated:
        how = "its results" if audit.by_results else "bit for bit"
        how += f" for {_which_steps(audit)}" if not audit.is_whole else ""
        opening = (
            f"{who}, on {audit.base}, repeats {how} under {_all_of(repeated)}, but {_listed(differing)} "
            f"{_gives(differing)} another result{'' if audit.by_results else _by(differing)}."
        )
    else:
        opening = f"{who} is not one result: {_listed(differing)} {_gives(differing)} another one."
    return f"{opening} {_matter(audit)}{not_told}".strip()


def _which_steps(audit: Audit) -> str:
    """``all 550 steps``, or ``the first 50 of 550 steps``."""
    if audit.is_whole:
        return f"all {audit.steps:,} steps"
    of = f" of {audit.all_steps:,}" if audit.all_steps is not None else ""
    return f"the first {audit.steps:,}{of} steps"


def _at_the_end(audit: Audit) -> str:
    return "at the end" if audit.is_whole else f"after {_steps(audit.steps)}"


def _by(differing: Sequence[Outcome]) -> str:
    """What makes the results of changed conditions differ, where it is known of all of them."""
    drawn = [each for each in differing if each.cause is OTHER_DRAWS]
    if any(each.cause is None or each.cause.name not in ROUNDING for each in differing if each not in drawn):
        return ""
    if not drawn:
        return ", by rounding"
    if len(drawn) == len(differing):
        return ": random numbers of its steps are drawn otherwise there"
    return f", by rounding, and {_listed(drawn)} since random numbers of its steps are drawn otherwise there"


def _matter(audit: Audit) -> str:
    """How much the differences come to, beside the spread over seeds."""
    end = _at_the_end(audit)
    begin = end.capitalize()
    effects = [each.effect for each in audit.differing if each.effect is not None and each.effect.score is not None]
    ill = [each for each in effects if not math.isfinite(each.score or 0.0)]
    if ill and audit.primary is not None:
        return f"{begin} {audit.primary} is no finite number in one and another one in the other."
    if not effects or audit.primary is None:
        return ""
    largest = max(effects, key=lambda effect: abs(effect.score or 0.0))
    flipped = max(effects, key=lambda effect: effect.predictions)
    change = abs(largest.score or 0.0)
    if not change and not flipped.predictions:
        others = sorted({name for effect in effects for name, value in effect.scores.items() if value})
        if others:
            are = "is" if len(others) == 1 else "are"
            return f"{begin} {audit.primary} is the same; {', '.join(others)} {are} not."
        if len(effects) < len(audit.differing):  # of some it is not known
            return f"{begin} {audit.primary} is the same where it is known."
        if not flipped.examples:
            return f"{begin} {audit.primary} is the same."
        return f"{begin} nothing comes of it: {audit.primary} and all {flipped.examples:,} predictions are the same."
    said = f"{begin} {audit.primary} differs by up to {plain(change)}" if change else f"{audit.primary} is the same"
    if flipped.examples:
        said += f", and up to {flipped.predictions:,} of {flipped.examples:,} predictions"
        said += " do" if change else f" differ {end}"
    spread = audit.spread
    if not change and spread is not None and spread.predictions:
        return f"{said}; two seeds predict {spread.predictions:,.0f} otherwise."
    if spread is None or not spread.sd > 0 or not change:
        return f"{said}."
    said += f": {_times(change / spread.sd)} of its standard deviation over seeds ({plain(spread.sd)}, {spread.source})"
    if change < NEGLIGIBLE * spread.low:
        return f"{said}, which is little beside the choice of the seed."
    if change < spread.low:
        return f"{said}, which is less than another seed makes of it."
    much = "about as much as" if change <= spread.high else "more than"
    return f"{said}: {much} another seed makes of it, so that the seed alone does not name this result."


def rows(audit: Audit) -> list[tuple[str, ...]]:
    """A row for each condition; columns as ``COLUMNS``, the last one for the primary score."""
    found: list[tuple[str, ...]] = []
    for each in audit.outcomes:
        effect = each.effect
        last = each.growth[-1] if each.growth else None
        told = {True: "yes", False: "NO", None: "?"}[each.repeats]
        if each.condition.kind == "yardstick":
            told = "(yardstick)" if each.why_not is None else "?"
        found.append(
            (
                each.condition.words,
                told,
                parting.short_place(each),
                "" if last is None else _distance(last.distance),
                "" if effect is None or not effect.examples else f"{effect.predictions:,} of {effect.examples:,}",
                "" if effect is None or effect.score is None else _change(effect.score, audit.spread),
            )
        )
    return found


def headings(audit: Audit) -> tuple[str, ...]:
    """The headings of the rows."""
    return (*COLUMNS[:-1], audit.primary or COLUMNS[-1])


def findings(audit: Audit) -> Iterator[tuple[str, list[str]]]:
    """Of each condition that differs: what is told of it, as (condition, sentences)."""
    for each in audit.differing:
        if each.as_for is not None:
            same = [other for other in audit.differing if other.as_for == each.as_for]
            if same[0] is each:
                yield _listed(same), [_likewise(audit, each.as_for)]
            continue
        if each.cause is None or each.origin is None:
            continue
        if each.condition.family == "engine":
            sentences = [each.cause.why]
        else:
            sentences = [parting.sentence(each.origin), f"Why: {each.cause.why}", f"What helps: {each.cause.remedy}"]
        if each.effect is not None and (audit.by_results or parting.is_at_the_end(each.origin)):
            apart = [f"{name} by {change:+.2g}" for name, change in each.effect.scores.items() if change]
            told = f"Results that differ: {', '.join(apart) or 'predictions'}."
            sentences = [told, *sentences[1:]] if audit.by_results else [sentences[0], told, *sentences[1:]]
        if each.cures:
            sentences.append(f"Tried: {'; '.join(map(_cure, each.cures))}.")
        if each.growth:
            sentences.append(f"Growth: {_growth(each.growth)}.")
        yield each.condition.words, sentences
    if audit.structure is not None:
        seeds = ", ".join(f"seed {seed}: {text}" for seed, text in list(audit.structure.differing.items())[:2])
        sentences = [f"The model's parameters have other shapes under other seeds ({seeds})."]
        if audit.structure.line is not None:
            sentences.append(f"{parting.at_line(audit.structure.line)}.")
        sentences.append(
            "Results of several seeds are then results of several models: draw such values apart from the seed."
        )
        yield "structure", sentences


def _likewise(audit: Audit, name: str) -> str:
    """Of conditions that were not looked at closely, since another one was."""
    if name == "again":
        return "The run differs with nothing changed, so that nothing more can be told of these from where they part."
    return f"Parts where {_words(audit, name)} does, for the same reason."


def notes(audit: Audit) -> list[str]:
    """What must be known of the numbers."""
    said = []
    if audit.by_results:
        said.append("Only results are compared, as the program tells them: equal digits need not be equal bits.")
    if any(each.growth for each in audit.outcomes):
        of_seeds = _of_seeds(audit)
        beside = f"; of two seeds {_distance(of_seeds)}" if math.isfinite(of_seeds) else ""
        said.append(f"Weights: how far they are apart {_at_the_end(audit)}, as a share of their length{beside}.")
    if audit.spread is not None:
        spread = audit.spread
        interval = f"95 % interval {plain(spread.low)} to {plain(spread.high)}"
        apart = f"; two seeds predict {spread.predictions:,.0f} examples otherwise" if spread.predictions else ""
        said.append(f"sd: standard deviation over seeds, {plain(spread.sd)} ({interval}; {spread.source}){apart}.")
    if not audit.is_whole and audit.primary is None and not audit.by_results:
        said.append(f"Scores and predictions are not known: a trial that is stopped {_at_the_end(audit)} returns none.")
    if audit.spread_missing is not None:
        said.append(f"The spread over seeds is not known: {audit.spread_missing}.")
    for each in (each for each in audit.outcomes if each.why_not):
        how = "could not be told" if each.repeats is None else "ended early"
        said.append(f"{each.condition.words} {how}: {each.why_not}.")
    if audit.times:
        one = len(audit.times) == 1
        said.append(f"Not compared: {', '.join(audit.times)}, by {'its name a time' if one else 'their names times'}.")
    said += [f"{each.condition.words}: {each.note}." for each in audit.outcomes if each.note is not None]
    said += [f"{words} is left out: {reason}." for words, reason in audit.left_out]
    return said


def lint_lines(audit: Audit) -> list[str]:
    """What reading the user's files found, and what was seen, a line each, and what to do."""
    return [
        f"{parting.short_path(each.file)}:{each.line}: {each.rule}: {each.message} {each.remedy}" for each in audit.lint
    ]


def _cure(cure: Cure) -> str:
    if cure.works is None:
        return f"{cure.words}: cannot be trained so ({cure.why_not})"
    of = "a step" if cure.steps else "the run"
    cost = "" if cure.cost is None else f", at about {cure.cost:.2g} x the time of {of}"
    same = "the same" if cure.runs == 2 else f"the same in {cure.runs} runs"
    if cure.steps:
        same += f" for {_steps(cure.steps)}"
    return f"{cure.words}: {same if cure.works else 'no help'}{cost}"


def _growth(growth: Sequence[Apart]) -> str:
    wanted = {round(k * (len(growth) - 1) / (GROWTH_SHOWN - 1)) for k in range(GROWTH_SHOWN)}
    shown = [growth[k] for k in sorted(wanted)]
    return ", ".join(f"{_distance(each.distance)} after {_steps(each.step)}" for each in shown)


def _steps(count: int) -> str:
    return f"{count:,} step" + ("" if count == 1 else "s")


def _distance(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return "0" if value == 0 else f"{value:.1e}" if value < 0.01 else f"{value:.2f}"


def _of_seeds(audit: Audit) -> float:
    known = [each.growth[-1].seeds for each in audit.outcomes if each.growth and each.growth[-1].seeds is not None]
    return known[0] if known else math.nan


def _change(score: float, spread: Spread | None) -> str:
    shown = "0" if score == 0 else f"{score:+.2g}"
    return f"{shown} ({_times(abs(score) / spread.sd)} sd)" if spread is not None and spread.sd > 0 else shown


def _times(share: float) -> str:
    if share == 0 or share >= 10:
        return f"{share:.0f}"
    return f"{share:.2f}" if share >= 0.005 else "< 0.01"


def _listed(outcomes: Sequence[Outcome]) -> str:
    words = [each.condition.words for each in outcomes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _gives(outcomes: Sequence[Outcome]) -> str:
    return "gives" if len(outcomes) == 1 else "give"


def _all_of(outcomes: Sequence[Outcome]) -> str:
    return _listed(outcomes) if len(outcomes) <= 3 else f"{len(outcomes)} conditions"


def _words(audit: Audit, name: str) -> str:
    return next(each.condition.words for each in audit.outcomes if each.condition.name == name)
