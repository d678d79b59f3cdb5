"""All rows, in the order of the page."""

from __future__ import annotations

from simulation import components, examples, one_sample, planning, resampled, several, stopping, two_methods

ROWS = [
    *one_sample.ROWS,
    *two_methods.ROWS,
    *resampled.ROWS,
    *several.ROWS,
    *components.ROWS,
    *examples.ROWS,
    *planning.ROWS,
    *stopping.ROWS,
]
