"""The report that a watched page shows: made anew in a thread of its own, one at a time, with rests in between."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass

from seedbed import store as stores
from seedbed.reporting import making, page
from seedbed.reporting.watching.troubles import told
from seedbed.store import Progress

REST_SECONDS = 3.0  # after each report, at least
REST = 9  # times the processor time that it took: what trains on this machine is not held up by being looked at
RETRY_SECONDS = 10.0  # likewise after one that could not be made


@dataclass(frozen=True)
class Shown:
    """A report that was made.

    Attributes:
        title: of its page.
        body: of its page (``page.body``).
        studies: what it is of, as they were before it was made.
        runs: how many it holds of them together.
        version: another one of each that differs.
    """

    title: str
    body: str
    studies: tuple[Progress, ...] = ()
    runs: int = 0
    version: str = ""


class Redrawer:
    """Makes the reports of a store's studies.

    Attributes:
        shown: the last one that could be made.
        failure: why the one after it could not; empty where it could.

    Args:
        title: of what is shown before there is one.
        score: as of ``making.document``.
    """

    def __init__(self, store: str | os.PathLike[str], title: str, score: str | None = None) -> None:
        self._store, self._score = store, score
        self.shown = Shown(title, page.waiting(title))
        self.failure = ""
        self._thread: threading.Thread | None = None
        self._due = -float("inf")
        self._begun = False

    def is_behind(self, studies: tuple[Progress, ...]) -> bool:
        """Whether a report of these studies would be another one."""
        return bool(studies) and studies != self.shown.studies

    @property
    def rest(self) -> float | None:
        """Seconds until another report may be made; None while one is."""
        thread = self._thread
        return None if thread is not None and thread.is_alive() else max(0.0, self._due - time.monotonic())

    def redraw(self, studies: tuple[Progress, ...]) -> None:
        """Begin a report of these studies, unless it is there, one is being made or rests."""
        if self.is_behind(studies) and self.rest == 0.0:
            self._thread = threading.Thread(target=self._make, args=(studies,), name="report", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for a report that is being made, so long at most."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _make(self, studies: tuple[Progress, ...]) -> None:
        begun = time.thread_time()
        try:
            read = [stores.load(each.name, self._store) for each in studies]
            document = making.document(read, self._score, self._store)
            body = page.body(document)
            runs = sum(map(len, read))
            # By its content: where a report came out the same, no page is drawn anew.
            version = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
            self.shown = Shown(document.title, body, studies, runs, version)
            self.failure, least = "", REST_SECONDS
        except Exception as error:
            self.failure, least = told("The report could not be made", error, self.failure), RETRY_SECONDS
        # The first one also loads what draws charts.
        took = time.thread_time() - begun if self._begun else 0.0
        self._begun = True
        self._due = time.monotonic() + max(least, REST * took)
