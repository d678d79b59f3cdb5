"""Copies of what has a state of its own, and what is said of what cannot be copied."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seedbed.copying import copy_or_reason, fresh_copy


class Remembers(nn.Module):
    """Keeps what it computed, with the graph that led to it, and draws from generators of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.drawn = torch.Generator().manual_seed(1)
        self.also = np.random.default_rng(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = self.inner(x + torch.randn(x.shape, generator=self.drawn) + float(self.also.random()))
        self.kept = {"again": [self.last]}
        return self.last


def test_a_model_that_keeps_what_it_computed_is_copied() -> None:
    model = Remembers()
    model(torch.ones(4, 3)).sum().backward()
    copy, reason = copy_or_reason(model)
    assert reason is None
    assert copy.last is copy.kept["again"][0]
    assert copy.last.is_leaf
    assert torch.equal(copy.last, model.last)
    before = model.drawn.get_state()
    assert torch.equal(copy(torch.ones(4, 3)), fresh_copy(model)(torch.ones(4, 3)))
    assert torch.equal(model.drawn.get_state(), before)


class HoldsAModule:
    def __init__(self) -> None:
        self.json, self.lock, self.calls = json, threading.Lock(), [1]


def test_modules_of_python_and_locks_are_shared_and_the_rest_is_copied() -> None:
    thing = HoldsAModule()
    copy = fresh_copy(thing)
    assert copy is not thing
    assert (copy.json, copy.lock, copy.calls) == (json, thing.lock, [1])
    assert copy.calls is not thing.calls


def test_what_cannot_be_copied_is_handed_back_with_the_reason(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    with (tmp_path / "log").open("w") as model.log:
        copy, reason = copy_or_reason(model)
    assert copy is model
    assert reason == "TypeError: cannot pickle '_io.TextIOWrapper' object"


@pytest.mark.parametrize("thing", [nn.functional.cross_entropy, nn.MSELoss(), lambda output, target: output])
def test_functions_and_losses_have_no_reason(thing: object) -> None:
    assert copy_or_reason(thing)[1] is None
