"""Scores over several splits of one data set: their training rows overlap, and so they are not independent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError
from seedbed.stats.checks import count
from seedbed.stats.interval import Scope

CORRECTED = "corrected resampled t"
DATA_SETS = "data sets of this size"  # in the scope of what holds of other rows too
RESAMPLED = Scope(("split", DATA_SETS), ("hyperparameters",))


def sizes(method: str, n_train: Any, n_test: Any) -> tuple[int, int] | None:
    """Rows for training and for testing, as ``corrected`` takes them; None for other methods, which take none.

    Raises:
        InputError: the method needs them and they are not there, or are no numbers of rows; or it takes none.
    """
    if method != "corrected":
        if n_train is not None or n_test is not None:
            raise InputError(f"n_train and n_test are of method corrected; {method} takes none")
        return None
    if n_train is None or n_test is None:
        raise InputError("method corrected needs n_train and n_test, the rows of each split for training and testing")
    return count(n_train, "n_train"), count(n_test, "n_test")


def corrected_error(x: NDArray[np.float64], n_train: int, n_test: int) -> float:
    """The standard error of the mean of ``x`` [splits], sd sqrt(1 / splits + n_test / n_train), as Nadeau and Bengio
    correct it (Machine Learning 52, 2003); 0 where all values are equal."""
    if np.ptp(x) == 0:
        return 0.0
    return float(x.std(ddof=1)) * math.sqrt(1 / len(x) + n_test / n_train)
