"""Which studies of a store are watched, and how far they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.errors import NoStoreError
from seedbed.locations import shown
from seedbed.store import Progress
from seedbed.store import progress as read_progress
from seedbed.words import watching, wording

STAYS_SECONDS = 60.0  # after its last run, until the page of no study in particular goes on to another


@dataclass(frozen=True)
class Look:
    """What one look into the store found.

    Attributes:
        studies: those that are watched and are there.
        waited: what is waited for, in words.
    """

    studies: tuple[Progress, ...] = ()
    waited: tuple[str, ...] = ()

    @property
    def with_runs(self) -> tuple[Progress, ...]:
        """Those of which there is something to report."""
        return tuple(each for each in self.studies if each.runs)


class Follower:
    """The studies of these names; or, where there are none, the one that changed last.

    Of two that grow at the same time it stays with the first.
    """

    def __init__(self, store: str | os.PathLike[str], names: Sequence[str] = ()) -> None:
        self.store, self.names = store, tuple(dict.fromkeys(names))
        self._followed: str | None = None

    def look(self) -> Look:
        """Look into the store.

        Raises:
            StoreError: it cannot be used; one that is not there yet is waited for.
        """
        place = shown(self.store)
        try:
            found = {each.name: each for each in read_progress(self.store, self.names or None)}
            others = [each.name for each in read_progress(self.store)] if len(found) < len(self.names) else []
        except NoStoreError:
            return Look((), (f"Waiting for {wording.listed(self.names) or 'a study'}: there is no store {place} yet",))
        if self.names:
            there = tuple(found[name] for name in self.names if name in found)
            return Look(there, tuple(watching.absent(name, others, place) for name in self.names if name not in found))
        if not found:
            return Look((), (f"Waiting for a study: {place} has none yet",))
        self._followed = self._latest(found)
        return Look((found[self._followed],))

    def _latest(self, found: dict[str, Progress]) -> str:
        latest = max(found.values(), key=lambda each: (each.runs > 0, each.changed))
        current = found.get(self._followed or "")
        if current is not None and current.runs and latest.changed - current.changed < STAYS_SECONDS:
            return current.name
        return latest.name
