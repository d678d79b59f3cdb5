"""A report as a LaTeX table: a row for each score of a study, or for each of several studies."""

from __future__ import annotations

from collections.abc import Sequence

from seedbed.errors import InputError
from seedbed.study import Study
from seedbed.words import citing, text


def table(studies: Sequence[Study], score: str | None = None) -> str:
    """The table, and below it as a comment what its numbers are of.

    Args:
        score: of every study; of one study alone all its scores where none is given.

    Raises:
        InputError: a study has no such score, or all its runs have failed.
    """
    first = studies[0]
    chosen = [first.check_score(score)] if score is not None or len(studies) > 1 else list(first.scores)
    head, rows, sentences = "", [], []
    for study in studies:
        summaries = text.summaries_of(study, chosen)
        if not summaries:
            raise InputError(f"{study.name} has nothing to report: all its runs have failed")
        for name, summary in summaries.items():
            head, row = citing.latex(study, name, summary)
            rows.append(row)
            sentences.append(citing.sentence(study, name, summary))
    lines = [r"\begin{tabular}{llrrrr}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"]
    return "\n".join([*lines, *(f"% {' '.join(each.split())}" for each in sentences)]) + "\n"
