"""How far studies are that are watched, in words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from seedbed.store import Progress
from seedbed.words import text, wording

NAMES_SHOWN = 5
FIRST = "The report is being made"  # of the first one


def progress(found: Progress, now: float) -> str:
    """``people: 412 runs, 2 failed, the last one 3 s ago``.

    Args:
        now: in seconds since 1970.
    """
    if found.last is None:
        return f"{found.name}: no run has ended yet"
    counts = [text.counted(found.runs, "run")]
    counts += [f"{count} {word}" for count, word in ((found.diverged, "diverged"), (found.failed, "failed")) if count]
    return f"{found.name}: {', '.join(counts)}, the last one {ago(now - found.last)}"


def ago(seconds: float) -> str:
    """``3 s ago``, ``5 min ago``, ``2 h ago``, ``4 days ago``; of a clock that is ahead, ``just now``."""
    for unit, least, size in (("days", 2 * 86400, 86400), ("h", 2 * 3600, 3600), ("min", 120, 60), ("s", 1, 1)):
        if seconds >= least:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def absent(name: str, others: Sequence[str], store: str) -> str:
    """That a study is waited for, and what the store has instead.

    Args:
        others: the studies of the store.
        store: its place, as it is shown.
    """
    near = difflib.get_close_matches(name, others, 3, 0.3) or sorted(others)[:NAMES_SHOWN]
    has = f"; it has {wording.listed(list(map(repr, near)))}" if near else ""
    return f"Waiting for {name}: {store} has no such study yet{has}"


def behind(missing: int, rest: float | None) -> str:
    """That a page does not show yet what the store holds.

    Args:
        missing: runs that it does not show; 0 where it is not their number that tells.
        rest: seconds until it is drawn anew; None while it is.
    """
    what = f"{text.counted(missing, 'run')} not shown yet" if missing > 0 else "Changes not shown yet"
    when = "is being drawn anew" if rest is None else f"will be drawn anew in {max(1, round(rest))} s"
    return f"{what}: the page {when}"


def gone(names: Sequence[str], store: str) -> str:
    """That a page shows what is stored no more."""
    return f"What this page shows of {wording.listed(names)} has been deleted from {store} since."
