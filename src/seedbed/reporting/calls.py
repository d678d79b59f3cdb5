"""Write a report of studies, in the form that the file's ending says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from seedbed.charts import saving
from seedbed.reporting import latex, making, markdown, page
from seedbed.study import Study

ENDINGS = (".html", ".md", ".tex")


def report(
    studies: Study | Sequence[Study],
    path: str | os.PathLike[str],
    *,
    score: str | None = None,
    store: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a report of one study, or of several beside each other.

    ``.html`` is one page with everything in it, charts included, that needs no network; ``.md`` is Markdown for a pull
    request or a README, without charts; ``.tex`` is a LaTeX table.

    Args:
        studies: as ``seedbed.load`` reads them, all runs or a choice of them.
        path: where to; what is there is replaced.
        score: the first study's primary one where none is given.
        store: where the studies are stored: the report then tells of their verification and audit.

    Returns:
        The file's path.

    Raises:
        InputError: the file cannot be written, which is found before anything is computed; a study has no run, or no
            such score.
    """
    file = saving.check_path(path, ENDINGS)
    chosen = [studies] if isinstance(studies, Study) else list(studies)
    if file.suffix.lower() == ".tex":
        made = latex.table(making.checked(chosen), score)
    else:
        document = making.document(chosen, score, store)
        made = page.render(document) if file.suffix.lower() == ".html" else markdown.text(document)
    saving.write(file, made.encode("utf-8"))
    return file
