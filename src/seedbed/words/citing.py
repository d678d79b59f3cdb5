"""What a paper needs of a study: a sentence, and rows of tables."""

from __future__ import annotations

import math
import re

from seedbed.checkpoints import AtEpoch
from seedbed.stats import Summary
from seedbed.study import Study
from seedbed.words import text, wording
from seedbed.words.rounding import half_of, has_width

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
}  # fmt: skip
COLUMNS = ("study", "score", "n", "mean", "sd", "{} CI of the mean")


def sentence(study: Study, score: str, summary: Summary) -> str:
    """A sentence with n, what varied, what was fixed, and of which epoch the scores are."""
    unit = wording.unit_of(study, score)
    certain = wording.has_interval(summary)
    name = wording.title(study, score)
    if summary.n == 0:
        return (
            f"{name} of {study.name}{wording.at(study)}: none of {text.counted(summary.n_diverged, 'run')} converged."
        )
    places = unit.places(half_of(summary.mean_low, summary.mean_high)) if certain else _places_alone(unit)
    mean = f"{unit.number(summary.mean, places)}{unit.sign}"
    if summary.n > 1:
        mean += f" on average {wording.over(summary.scope)}"
    covers = wording.covers_other_data(summary.mean_scope)
    parts = [*([wording.seeds(study)] if study.seeds_known else []), f"n = {summary.n}"]
    if math.isfinite(summary.sd):
        sd = f"sd {unit.number(summary.sd, _places(summary.sd_low, summary.sd_high, unit))}"
        parts.append(sd + (" percentage points" if unit.sign else ""))
    if not certain:
        parts.append("no interval")
    if certain:
        parts.append(
            f"{summary.confidence * 100:g} % CI of the mean {unit.number(unit.within(summary.mean_low), places)} to "
            f"{unit.number(unit.within(summary.mean_high), places)}{unit.sign}"
            + (f", Nadeau and Bengio's {summary.mean_method}, {wording.over(summary.mean_scope)}" if covers else "")
        )
    if summary.n_diverged:
        more = (
            "1 more run diverged and is"
            if summary.n_diverged == 1
            else f"{summary.n_diverged} more runs diverged and are"
        )
        parts.append(f"{more} left out")
    cover = ", so that the interval does not cover other data" if certain and not covers else ""
    return (
        f"{name} of {study.name} was {mean} ({'; '.join(parts)}). "
        f"Varied: {text.varied(study)}; fixed: {text.fixed(study)}{cover}. {when(study, score)}"
    )


def when(study: Study, score: str) -> str:
    """Of which epoch the scores are, and which data chose it."""
    if study.checkpoint is not None and not study.checkpoint.is_last:
        told = [text.epochs_line(study)]
        if isinstance(study.checkpoint.rule, AtEpoch):
            told.append("No data chose it, if it was fixed before any score was looked at.")
        told += [f"{note[:1].upper()}{note[1:]}." for note in study.checkpoint_notes(score)[1:]]
        return " ".join(told)
    epochs = study.identity.fingerprint.settings.get("epochs")
    if epochs is None:
        return "It is not known here of which epoch the scores are."
    return f"Scores are of the last epoch ({epochs}); no data chose it."


def _places(low: float, high: float, unit: wording.Unit) -> int:
    return unit.places(half_of(low, high), 2) if has_width(low, high) else _places_alone(unit)


def _places_alone(unit: wording.Unit) -> int:
    """Decimals of a number that has no interval."""
    return wording.PLACES_OF_SHARES if unit.sign else 4


def cells(study: Study, score: str, summary: Summary) -> tuple[str, ...]:
    """The row of a table: study, score, n, mean, sd, interval of the mean."""
    unit = wording.unit_of(study, score)
    places = _places(summary.mean_low, summary.mean_high, unit)
    interval = "-"
    if wording.has_interval(summary):
        low, high = (unit.number(unit.within(end), places) for end in (summary.mean_low, summary.mean_high))
        interval = f"{low} to {high}"
    label = f"{score}, %" if unit.sign else score
    return (
        study.name,
        label,
        str(summary.n),
        unit.number(summary.mean, places),
        unit.number(summary.sd, _places(summary.sd_low, summary.sd_high, unit)),
        interval,
    )


def columns(summary: Summary) -> tuple[str, ...]:
    """The head of that table."""
    return tuple(each.format(f"{summary.confidence * 100:g} %") for each in COLUMNS)


def markdown(study: Study, score: str, summary: Summary) -> list[str]:
    """Head and row of a Markdown table."""
    head, row = columns(summary), tuple(cell.replace("|", r"\|") for cell in cells(study, score, summary))
    rule = ("---", "---", *(["---:"] * (len(head) - 2)))
    return [f"| {' | '.join(line)} |" for line in (head, rule, row)]


def latex(study: Study, score: str, summary: Summary) -> list[str]:
    """Head and row of a LaTeX table, for an environment ``tabular`` with the columns ``llrrrr``."""
    found = cells(study, score, summary)
    *numbers, interval = map(_minus, found[2:])
    if "$" not in interval:  # a dash before a minus sign could not be read
        interval = interval.replace(" to ", "--")
    rows = map(_escaped, columns(summary)), (*map(_escaped, found[:2]), *numbers, interval)
    return [" & ".join(row) + r" \\" for row in rows]


def _escaped(words: str) -> str:
    escaped = re.sub(r"[\\&%$#_{}~^<>|]", lambda found: _LATEX[found.group()], words)
    # A bracket or star at the start of a row would be read as belonging to the line break before it.
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def _minus(number: str) -> str:
    """Minus signs in place of hyphens."""
    return re.sub(r"-(?=\d)", "$-$", number)
