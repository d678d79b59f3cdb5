"""Digests of tensors and generators."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from seedbed.auditing import digests

DTYPES = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
    torch.int8,
    torch.int64,
    torch.bool,
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_has_a_digest_of_its_bytes(dtype):
    value = (torch.arange(12) % 5).reshape(3, 4).to(dtype)
    other = value.clone()
    assert digests.of_tensors([value]) == digests.of_tensors([other])
    other[2, 3] = 1 - other[2, 3] if dtype is not torch.bool else ~other[2, 3]
    assert digests.of_tensors([value]) != digests.of_tensors([other])


def test_the_digest_is_of_values_in_their_order_and_not_of_how_they_lie_in_memory():
    value = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    turned = value.t().contiguous().t()
    assert not turned.is_contiguous()
    assert digests.of_tensors([turned]) == digests.of_tensors([value])
    assert digests.of_tensors([value[::2]]) == digests.of_tensors([value[::2].clone()])


def test_what_prints_the_same_may_differ():
    assert digests.of_tensors([torch.tensor([0.0])]) != digests.of_tensors([torch.tensor([-0.0])])
    near = torch.nextafter(torch.tensor([0.1]), torch.tensor([1.0]))
    assert digests.of_tensors([torch.tensor([0.1])]) != digests.of_tensors([near])


def test_digests_do_not_depend_on_the_number_of_threads():
    value = torch.randn(700, 900, generator=torch.Generator().manual_seed(0))
    parts = [value, value.t(), value[:, ::3], value.to(torch.bfloat16)]
    found = set()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.add(tuple(digests.of_tensors([part]) for part in parts))
    assert len(found) == 1


@pytest.mark.parametrize(
    "value", [torch.zeros(0), torch.zeros(2, 0), torch.eye(3).to_sparse(), torch.tensor(1.5), torch.ones(2).conj()]
)
def test_odd_tensors_have_one_too(value):
    assert digests.of_tensors([value]) == digests.of_tensors([value])


def test_a_digest_of_generators_moves_with_every_draw():
    draws = [
        (digests.of_python, random.random),
        (digests.of_numpy, np.random.rand),
        (digests.of_torch, lambda: torch.rand(1)),
    ]
    for state, draw in draws:
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)
        seen = [state()]
        for _ in range(3):
            draw()
            seen.append(state())
        assert len(set(seen)) == 4


def test_digests_of_generators_are_the_same_in_every_process():
    program = (
        "import random, numpy, torch; random.seed(3); numpy.random.seed(3); torch.manual_seed(3); random.gauss(0, 1);"
        "from seedbed.auditing import digests as d; print(d.of_python(), d.of_numpy(), d.of_torch(), d.of_text('ä'))"
    )
    found = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"}).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(found) == 1


def test_a_models_structure_is_names_types_and_shapes_and_not_values():
    torch.manual_seed(0)
    one, other = nn.Linear(2, 3), nn.Linear(2, 3)
    assert digests.of_structure(one) == digests.of_structure(other)
    assert digests.of_tensors(digests.state_of(one)) != digests.of_tensors(digests.state_of(other))
    assert digests.of_structure(one) != digests.of_structure(nn.Linear(3, 2))
    assert digests.of_structure(one) != digests.of_structure(one.double())
