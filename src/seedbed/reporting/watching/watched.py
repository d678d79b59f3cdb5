"""What a watched page tells and shows now."""

from __future__ import annotations

import threading
import time
from typing import Any

from seedbed.locations import shown as shown_place
from seedbed.reporting import page
from seedbed.reporting.watching.following import Follower, Look
from seedbed.reporting.watching.redrawing import Redrawer, Shown
from seedbed.reporting.watching.troubles import told
from seedbed.words import watching, wording

ASK_SECONDS = 2.0  # between a page's questions
LOOK_SECONDS = 1.0  # between looks into the store, at least
REST = 20  # times as long as a look took, which a slow server may draw out
ENDING_SECONDS = 2.0
QUIET_SECONDS = 30.0  # without a question: nobody looks, and nothing is done until somebody does


class Watched:
    """The report of what a follower follows. Whatever is asked of it is answered at once, with what is there.

    Args:
        score: as of ``making.document``.
    """

    def __init__(self, follower: Follower, score: str | None = None) -> None:
        self._follower = follower
        title = wording.listed(follower.names) or "Waiting for a study"
        self._redrawer = Redrawer(follower.store, title, score)
        self._seen = Look()
        self._failure = ""  # why the last look came to nothing
        self._asked = time.monotonic()
        self._wanted, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def look(self) -> Look:
        """Look into the store.

        Raises:
            StoreError: it cannot be used.
        """
        self._seen = self._follower.look()
        self._failure = ""
        return self._seen

    def start(self) -> None:
        """Begin to look into the store, and to make reports, in threads that do not keep the process alive."""
        self._thread.start()

    def stop(self) -> None:
        """End that. What is being read is awaited for a moment, so that no connection to the store is torn."""
        self._ended.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join(ENDING_SECONDS)
        self._redrawer.wait(ENDING_SECONDS)

    def state(self, version: str) -> dict[str, Any]:
        """What a page that shows this version is to tell and show now: ``version``, ``told``, ``trouble``, and
        ``body`` where it is to show another."""
        self._ask()
        shown = self._redrawer.shown
        state = {"version": shown.version, **self._words(shown)}
        return state if version == shown.version else {**state, "body": shown.body}

    def page(self) -> str:
        """The whole page."""
        self._ask()
        shown = self._redrawer.shown
        live = {"version": shown.version, "seconds": ASK_SECONDS, **self._words(shown)}
        return page.framed(shown.title, shown.body, live=live)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._wanted.set()

    def _words(self, shown: Shown) -> dict[str, str]:
        seen, now = self._seen, time.time()
        failure = self._redrawer.failure if seen.with_runs else ""
        parts = [watching.progress(each, now) for each in seen.studies] + list(seen.waited)
        if self._redrawer.is_behind(seen.with_runs) and not failure:
            missing = sum(each.runs for each in seen.with_runs) - shown.runs
            parts.append(watching.behind(missing, self._redrawer.rest) if shown.studies else watching.FIRST)
        troubles = [self._failure, failure]
        markers = {each.marker for each in seen.studies}
        if gone := [each.name for each in shown.studies if each.marker not in markers and not seen.with_runs]:
            troubles.append(watching.gone(gone, shown_place(self._follower.store)))
        return {"told": f"{'. '.join(parts)}.", "trouble": " ".join(filter(None, troubles))}

    def _follow(self) -> None:
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                self._redrawer.redraw(self.look().with_runs)
            except Exception as error:
                self._failure = told("The store could not be read", error, self._failure)
            self._ended.wait(max(LOOK_SECONDS, REST * (time.monotonic() - begun)))
            if time.monotonic() - self._asked > QUIET_SECONDS:
                self._wanted.clear()
                if not self._ended.is_set():
                    self._wanted.wait()
