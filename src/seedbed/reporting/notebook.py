"""Results in a notebook: HTML without scripts, and the same as Markdown and plain text for who shows no HTML."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from html import escape
from typing import Any

from seedbed.auditing.findings import Audit
from seedbed.charts import catalogue, of_audit, saving
from seedbed.errors import InputError
from seedbed.reporting.document import TextTable
from seedbed.reporting.markdown import escaped
from seedbed.reporting.markdown import table as markdown_table
from seedbed.stats import Comparison, Summary
from seedbed.study import Study
from seedbed.words import auditing, comparison, text, wording
from seedbed.words.rounding import plain, with_interval


@functools.singledispatch
def _told(value: Any) -> tuple[list[str], list[TextTable], str]:
    """Sentences, tables, and a picture as SVG, empty where there is none."""
    raise TypeError(f"nothing here shows a {type(value).__name__}")


@_told.register
def _(value: Study) -> tuple[list[str], list[TextTable], str]:
    sentences = [f"{value.name}: {text.counted(len(value), 'run')} {text.origin(value)}"]
    if not len(value) or not value.scores:
        return sentences, [], ""
    summaries = text.summaries_of(value)
    score = value.check_score(None)
    if score in summaries:
        sentences.append(wording.headline(value, score, summaries[score]))
    tables = [TextTable("", text.SUMMARY_COLUMNS, tuple(text.summary_rows(value, summaries)))] if summaries else []
    try:
        picture = saving.svg(catalogue.figure("distribution", [value], score))
    except InputError:
        picture = ""
    return sentences, tables, picture


@_told.register
def _(value: Summary) -> tuple[list[str], list[TextTable], str]:
    percent = f"{value.confidence * 100:g} %"
    mean, of_mean = with_interval(value.mean, value.mean_low, value.mean_high)
    sd, of_sd = with_interval(value.sd, value.sd_low, value.sd_high)
    _, further = with_interval(value.mean, value.next_low, value.next_high)
    rows = [
        ("converged runs", str(value.n), ""),
        ("diverged", str(value.n_diverged), ""),
        ("mean", mean, of_mean),
        ("sd", sd, of_sd),
        ("one more run", "", further),
        ("median", plain(value.median), ""),
        ("min, max", f"{plain(value.minimum)}, {plain(value.maximum)}", ""),
    ]
    notes = [*value.notes, f"Intervals are {wording.over(value.scope)}; fixed: {', '.join(value.scope.fixed)}"]
    table = TextTable("", ("", "estimate", f"{percent} interval"), tuple(rows))
    return [text.as_sentence(note) for note in notes], [table], ""


@_told.register
def _(value: Comparison) -> tuple[list[str], list[TextTable], str]:
    names = ("a", "b")
    sentences = [f"{comparison.verdict(names, value)}.", *(text.as_sentence(note) for note in value.notes)]
    return sentences, [TextTable("", ("", ""), tuple(comparison.rows(names, value)))], ""


@_told.register
def _(value: Audit) -> tuple[list[str], list[TextTable], str]:
    found = [f"{words}: {' '.join(sentences)}" for words, sentences in auditing.findings(value)]
    sentences = [auditing.verdict(value), *found, *auditing.lint_lines(value), *auditing.notes(value)]
    rows = tuple(auditing.rows(value))
    try:
        picture = saving.svg(of_audit.growth_of(value))
    except InputError:  # nothing differs
        picture = ""
    return sentences, [TextTable("", auditing.headings(value), rows)] if rows else [], picture


def bundle(value: Any) -> dict[str, Any]:
    """What a notebook may show of a result, by its kind."""
    sentences, tables, picture = _told(value)
    markdown = "\n\n".join([*map(escaped, sentences), *(markdown_table(each) for each in tables)])
    return {"text/plain": repr(value), "text/markdown": markdown, "text/html": _html(sentences, tables, picture)}


def _html(sentences: Sequence[str], tables: Sequence[TextTable], picture: str) -> str:
    parts = [f"<p>{escape(each)}</p>" for each in sentences]
    if picture:
        parts.append(f'<div style="max-width: 46rem">{picture}</div>')
    for each in tables:
        head = "".join(f'<th scope="col" style="text-align: left">{escape(name)}</th>' for name in each.columns)
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align: left">{escape(cell)}</td>' for cell in row) + "</tr>"
            for row in each.rows
        )
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    return "\n".join(parts)
