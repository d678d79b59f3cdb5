"""Write a report of studies, in the form that the file's ending says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from seedbed.charts import saving
from seedbed.errors import InputError
from seedbed.reporting import latex, making, markdown, page
from seedbed.seeds import SeedsLike
from seedbed.study import Study

PAGE = ".html"
ENDINGS = (PAGE, ".md", ".tex")


def report(
    studies: Study | Sequence[Study],
    path: str | os.PathLike[str],
    *,
    score: str | None = None,
    store: str | os.PathLike[str] | None = None,
    named: SeedsLike | None = None,
) -> Path:
    """Write a report of one study, or of several beside each other.

    ``.html`` is one page with everything in it, charts included, that needs no network; ``.md`` is Markdown for a pull
    request or a README, without charts; ``.tex`` is a LaTeX table.

    Args:
        studies: as ``seedbed.load`` reads them, all runs or a choice of them.
        path: where to; what is there is replaced.
        score: the first study's primary one where none is given.
        store: where the studies are stored: the report then tells of their verification and audit.
        named: seeds that are named in the page's distribution, of each study those that it has; the best and the worst
            where none are given.

    Returns:
        The file's path.

    Raises:
        InputError: the file cannot be written, which is found before anything is computed; a study has no run, or no
            such score; no study has a run that is to be named, or nothing names runs in such a file.
    """
    file = saving.check_path(path, ENDINGS)
    if named is not None and file.suffix.lower() != PAGE:
        raise InputError(f"runs are named in a chart, and {file.suffix} has none: leave it out, or write a {PAGE} page")
    chosen = [studies] if isinstance(studies, Study) else list(studies)
    if file.suffix.lower() == ".tex":
        made = latex.table(making.checked(chosen), score)
    else:
        document = making.document(chosen, score, store, named)
        made = page.render(document) if file.suffix.lower() == PAGE else markdown.text(document)
    saving.write(file, made.encode("utf-8"))
    return file
