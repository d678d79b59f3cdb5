"""Lines that runs print, told once: every worker, and every run, prints the same warnings."""

from __future__ import annotations

LINES_REMEMBERED = 10_000


class Told:
    """Remembers lines."""

    def __init__(self) -> None:
        self._lines: set[str] = set()

    def is_new(self, line: str) -> bool:
        """Whether a line has not been told yet; from now on it has."""
        if line in self._lines:
            return False
        if len(self._lines) < LINES_REMEMBERED:
            self._lines.add(line)
        return True
