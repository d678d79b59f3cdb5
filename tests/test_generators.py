"""The global generators are seeded together, and found afterwards as they were before."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedbed import generators
from seedbed.errors import InputError
from seedbed.seeds import LARGEST_SEED

Draws = tuple[float, float, float]
seeds = st.integers(0, LARGEST_SEED)


def drawn() -> Draws:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def by_script(seed: int) -> Draws:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return drawn()


@given(seeds)
def test_all_are_seeded_as_scripts_do(seed: int) -> None:
    expected = by_script(seed)
    generators.seed_all(seed)
    assert drawn() == expected


@given(seeds, seeds, st.integers(0, 700))
def test_a_seeded_block_draws_as_a_script_and_leaves_no_trace(outer: int, inner: int, draws: int) -> None:
    expected = by_script(inner)
    by_script(outer)
    for _ in range(draws):  # up to beyond a refill of MT19937's 624 words
        random.random(), np.random.rand(), torch.rand(())
    with generators.preserved():
        undisturbed = drawn()
    with generators.seeded(inner):
        assert drawn() == expected
    assert drawn() == undisturbed


def test_the_second_half_of_a_pair_of_normals_is_kept_too() -> None:
    by_script(3)
    pairs = [np.random.randn, lambda: random.gauss(0, 1), lambda: float(torch.randn(()))]
    expected = [(draw(), draw()) for draw in pairs]
    by_script(3)
    first = [draw() for draw in pairs]
    with generators.seeded(4):
        for draw in pairs:
            draw()
    assert [(one, draw()) for one, draw in zip(first, pairs, strict=True)] == expected


@pytest.mark.parametrize("block", [generators.preserved, lambda: generators.seeded(5)])
def test_an_exception_passes_and_the_generators_are_put_back(block) -> None:
    by_script(1)
    expected = drawn()
    by_script(1)

    def fails() -> None:
        with block():
            by_script(9)
            raise InputError("from within")

    with pytest.raises(InputError, match="from within"):
        fails()
    assert drawn() == expected


def test_blocks_nest() -> None:
    expected = by_script(2)
    with generators.seeded(2):
        with generators.seeded(7), generators.preserved():
            drawn()
        assert drawn() == expected


def test_another_bit_generator_of_numpy_is_put_back_too() -> None:
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(3))
        with generators.preserved():
            expected, stands = np.random.randn(), generators.states()
            np.random.set_bit_generator(before)
        assert generators.states() != stands
        assert np.random.randn() == expected
    finally:
        np.random.set_bit_generator(before)


def test_cuda_is_not_started() -> None:
    before = torch.cuda.is_initialized()
    with generators.preserved():
        drawn()
    assert torch.cuda.is_initialized() is before
