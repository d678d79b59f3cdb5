"""What tests share: small experiments whose parts can be sent to other processes, and the demonstration's data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# The demonstration's files have no licence, and so are not in the repository; where they lie beside it, they are used.
DEMONSTRATION = Path(os.environ.get("SEEDBED_DEMONSTRATION", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def demonstration() -> Path:
    path = DEMONSTRATION / "people_train.txt"
    if not path.is_file():
        pytest.skip(
            f"the demonstration's data are not at {path} (they cannot be shipped; SEEDBED_DEMONSTRATION=FOLDER)"
        )
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "seedbed.db"
