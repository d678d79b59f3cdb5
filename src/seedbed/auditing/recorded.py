"""What is recorded of a window that is looked at closely: its files in a run's folder, and how much at most."""

from __future__ import annotations

OPERATIONS, VALUES, LINES = "operations", "values", "lines"  # files
MOST_OPERATIONS = 200_000
MOST_LINES = 100_000
VALUES_KEPT = 1 << 28  # bytes of what operations wrote, to tell the size of a difference from
