"""Who is told how an audit goes."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is told how an audit goes."""

    def said(self, line: str) -> None:
        """What runs print."""
        ...

    def begun(self, what: str) -> None:
        """Another part of the audit begins; of a run, it has ended."""
        ...


class Silent:
    """A watcher that watches nothing."""

    def said(self, line: str) -> None:
        """Nothing."""

    def begun(self, what: str) -> None:
        """Nothing."""
