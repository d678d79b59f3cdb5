"""What a paper needs of a study: a sentence, and rows of tables."""

from __future__ import annotations

import math
import re

from seedbed.report import text, wording
from seedbed.report.rounding import half_of
from seedbed.stats import Summary
from seedbed.study import Study

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
COLUMNS = ("study", "score", "n", "mean", "sd", "{} CI of the mean")


def sentence(study: Study, score: str, summary: Summary) -> str:
    """A sentence with n, what varied, what was fixed, and of which epoch the scores are."""
    unit = wording.unit_of(study, score)
    half = half_of(summary.mean_low, summary.mean_high)
    name = wording.title(study, score)
    if summary.n == 0:
        return f"{name} of {study.name}: none of {text.counted(summary.n_diverged, 'run')} converged."
    places = unit.places(half) if math.isfinite(half) else 2 if unit.sign else 4
    mean = f"{unit.number(summary.mean, places)}{unit.sign}"
    parts = [f"{wording.seeds(study)}", f"n = {summary.n}"]
    if math.isfinite(summary.sd):
        sd = f"sd {unit.number(summary.sd, _places(summary.sd_low, summary.sd_high, unit))}"
        parts.append(sd + (" percentage points" if unit.sign else ""))
    if math.isfinite(half):
        parts.append(
            f"{summary.confidence * 100:g} % CI of the mean {unit.number(unit.within(summary.mean_low), places)} to "
            f"{unit.number(unit.within(summary.mean_high), places)}{unit.sign}"
        )
    if summary.n_diverged:
        parts.append(f"{summary.n_diverged} more runs diverged and are left out")
    return (
        f"{name} of {study.name} was {mean} on average {wording.over(summary.scope)} ({'; '.join(parts)}). "
        f"Varied: {text.varied(study)}; fixed: {text.fixed(study)}, so that the interval does not cover other data. "
        f"{when(study)}"
    )


def when(study: Study) -> str:
    """Of which epoch the scores are, and which data chose it."""
    epochs = study.identity.fingerprint.settings.get("epochs")
    if epochs is None:
        return "Of which epoch the scores are is not known here."
    return f"Scores are of the last epoch ({epochs}); no data chose it."


def _places(low: float, high: float, unit: wording.Unit) -> int:
    half = half_of(low, high)
    return unit.places(half, 2) if math.isfinite(half) else 2


def cells(study: Study, score: str, summary: Summary) -> tuple[str, ...]:
    """The row of a table: study, score, n, mean, sd, interval of the mean."""
    unit = wording.unit_of(study, score)
    half = half_of(summary.mean_low, summary.mean_high)
    places = unit.places(half, 2) if math.isfinite(half) else 2 if unit.sign else 4
    interval = "-"
    if math.isfinite(half):
        low, high = (unit.number(unit.within(end), places) for end in (summary.mean_low, summary.mean_high))
        interval = f"{low} to {high}"
    label = f"{score}, %" if unit.sign else score
    return (
        study.name,
        label,
        str(summary.n),
        unit.number(summary.mean, places),
        unit.number(summary.sd, places),
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
    return [
        " & ".join(_escaped(cell) for cell in line) + r" \\"
        for line in (columns(summary), cells(study, score, summary))
    ]


def _escaped(words: str) -> str:
    escaped = re.sub(r"[\\&%$#_{}~^]", lambda found: _LATEX[found.group()], words)
    # Brackets at the start of a row would be read as an option of the line break before it.
    return f"{{}}{escaped}" if escaped.startswith("[") else escaped.replace(r" to ", "--")
