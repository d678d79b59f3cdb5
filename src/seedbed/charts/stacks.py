"""Points of runs one above the other, so that none hides another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLUMNS = 40  # over the whole range: values nearer to each other than that are stacked


def levels(values: NDArray[np.float64], range_of: tuple[float, float]) -> NDArray[np.intp]:
    """The level of each value [values], from 1 on: equal and near ones above each other, in the order of the values.

    Args:
        range_of: the least and the greatest value that the chart shows.
    """
    low, high = range_of
    columns = np.round((values - low) / ((high - low) / COLUMNS or 1.0)).astype(int)
    heights: dict[int, int] = {}
    found = np.zeros(len(values), np.intp)
    for place in np.argsort(values, kind="stable"):
        heights[columns[place]] = found[place] = heights.get(columns[place], 0) + 1
    return found
