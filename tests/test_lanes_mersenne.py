"""The replay of torch's generator, on the host and in lanes, bit for bit against torch."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from seedbed.engines.lanes import mersenne, native
from seedbed.engines.lanes.emit import counted
from seedbed.engines.lanes.mersenne import WORDS, Emitter, GeneratorState

I32, I64, POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
ROWS = [1, 2, 3, 17, 200, 226, 227, 228, 229, 398, 623, 624, 625, 1000]
SEEDS = [0, 1, 363, 2**31, 2**32 - 1]
Words = NDArray[np.uint32]


def generator_at(seed: int, drawn: int) -> torch.Generator:
    """A generator of which so many words were drawn."""
    generator = torch.Generator().manual_seed(seed)
    if drawn:
        torch.empty(drawn, dtype=torch.int32).random_(generator=generator)
    return generator


def state_of(generator: torch.Generator) -> GeneratorState:
    return GeneratorState.of_torch(generator.get_state())


def served(rows: int, generator: torch.Generator | None) -> list[int]:
    """The order of rows in one epoch of a DataLoader."""
    loader = DataLoader(TensorDataset(torch.arange(rows)), batch_size=10, shuffle=True, generator=generator)
    return torch.cat([each for (each,) in loader]).tolist()


class Block:
    """A compiled function of one generator in each lane: its words, how many were used, and memory beside."""

    def __init__(self, states: list[GeneratorState], rows: int) -> None:
        lanes = len(states)
        self.words = aligned((WORDS, lanes))
        self.words[:] = np.stack([each.normalized().words for each in states], axis=1)
        self.used = np.zeros(1, np.uint32)
        self.fresh, self.out = aligned((WORDS, lanes)), aligned((max(rows, 1), lanes))

    def call(self, function: Callable[..., None]) -> Words:
        function(self.words.ctypes.data, self.used.ctypes.data, self.fresh.ctypes.data, self.out.ctypes.data)
        return self.out

    def states(self) -> list[GeneratorState]:
        return [GeneratorState(np.ascontiguousarray(each), int(self.used[0])) for each in self.words.T]


def aligned(shape: tuple[int, int]) -> Words:
    count = shape[0] * shape[1]
    memory = np.zeros(count + 16, np.uint32)
    start = (-memory.ctypes.data % 64) // 4
    return memory[start : start + count].reshape(shape)


def built(lanes: int, body: Callable[[Emitter, ir.IRBuilder, list[ir.Argument]], None]) -> Callable[..., None]:
    module = ir.Module("test")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 4), "apply")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    body(Emitter(module, lanes), builder, list(function.args))
    builder.ret_void()
    code = native.compiled(str(module))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(code.address("apply"))

    def apply(*pointers: int) -> None:
        assert code  # which holds the machine code
        call(*pointers)

    return apply


@functools.cache
def epoch(lanes: int, rows: int, plain: bool, shuffle: bool = True) -> Callable[..., None]:
    def body(emitter: Emitter, builder: ir.IRBuilder, arguments: list[ir.Argument]) -> None:
        words, used, fresh, order = arguments
        emitter.begin_epoch(builder, words, used, fresh, order, rows, shuffle=shuffle, plain=plain)

    return built(lanes, body)


@functools.cache
def bernoulli(lanes: int, count: int, probability: float) -> Callable[..., None]:
    def body(emitter: Emitter, builder: ir.IRBuilder, arguments: list[ir.Argument]) -> None:
        words, used, _, out = arguments
        emitter.bernoulli(builder, words, used, out, count, probability)

    return built(lanes, body)


# --- On the host


@pytest.mark.parametrize("seed", [*SEEDS, 2**32 + 7])
@pytest.mark.parametrize(("drawn", "count"), [(0, 700), (1, 623), (623, 2), (624, 1300), (2000, 5)])
def test_words_are_torchs(seed: int, drawn: int, count: int) -> None:
    generator = generator_at(seed, drawn)
    words, after = state_of(generator).draw(count)
    numbers = torch.empty(count, dtype=torch.int32).random_(generator=generator)
    assert (words % np.uint32(2**31)).tolist() == numbers.tolist()
    high, low = after.draw(2)[0].tolist()
    number = torch.empty((), dtype=torch.int64).random_(0, 2**60, generator=generator)
    assert int(number) == (high << 32 | low) % 2**60


@given(seed=st.integers(0, 2**32 - 1), drawn=st.integers(0, 2000), count=st.integers(0, 2000))
@settings(max_examples=50, deadline=None)
def test_the_state_after_drawing_is_torchs(seed: int, drawn: int, count: int) -> None:
    generator = generator_at(seed, drawn)
    _, after = state_of(generator).draw(count)
    torch.empty(count, dtype=torch.int32).random_(generator=generator)
    now = state_of(generator)
    assert now.used == after.used
    assert (now.words == after.words).all()


@given(seed=st.integers(0, 2**32 - 1), drawn=st.integers(0, 1500), used=st.integers(0, WORDS))
@settings(max_examples=50, deadline=None)
def test_a_stream_does_not_depend_on_where_its_block_begins(seed: int, drawn: int, used: int) -> None:
    state = state_of(generator_at(seed, drawn))
    expected = state.draw(1400)[0].tolist()
    assert state.normalized().used == 0
    for other in (state.normalized(), state.positioned(used), state.normalized().positioned(used)):
        assert other.draw(1400)[0].tolist() == expected


@given(seed=st.integers(0, 2**32 - 1), drawn=st.integers(1, 2500))
@settings(max_examples=50, deadline=None)
def test_a_state_goes_back_to_torch(seed: int, drawn: int) -> None:
    raw = generator_at(seed, drawn).get_state()
    state = GeneratorState.of_torch(raw)
    assert torch.equal(state.to_torch(raw), raw)
    assert torch.equal(state.normalized().positioned(state.used).to_torch(raw), raw)
    continued = torch.Generator()
    continued.set_state(state.normalized().to_torch(raw))
    expected = torch.randperm(50, generator=generator_at(seed, drawn))
    assert torch.equal(torch.randperm(50, generator=continued), expected)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("plain", [True, False])
def test_orders_are_the_loaders(rows: int, plain: bool) -> None:
    for seed in SEEDS:
        torch.manual_seed(seed)
        own = None if plain else torch.Generator().manual_seed(seed)
        state = GeneratorState.seeded(seed)
        for _ in range(3):
            expected = served(rows, own)
            order, state = mersenne.epoch_order(rows, state, plain=plain)
            assert order.tolist() == expected
        now = GeneratorState.of_torch(torch.get_rng_state() if own is None else own.get_state())
        assert now.used == state.used
        assert (now.words == state.words).all()


@given(
    count=st.integers(0, 1500),
    probability=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    drawn=st.integers(0, 700),
)
@settings(max_examples=60, deadline=None)
def test_masks_are_torchs(count: int, probability: float, seed: int, drawn: int) -> None:
    if not mersenne.probe().bernoulli:
        pytest.skip("torch draws masks otherwise on this machine")
    generator = generator_at(seed, drawn)
    mask, _ = mersenne.mask(count, probability, state_of(generator))
    expected = torch.empty(count).bernoulli_(probability, generator=generator)
    assert (mask == expected.numpy().astype(bool)).all()


def test_the_probe_finds_what_torch_does_and_leaves_no_trace() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    mersenne.probe.cache_clear()
    probe = mersenne.probe()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert probe.order
    assert probe.bernoulli or "bernoulli" in probe.reason
    assert mersenne.probe() is probe


def test_the_probe_says_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    original = mersenne.mask

    def other(count: int, probability: float, state: GeneratorState) -> tuple[NDArray[np.bool_], GeneratorState]:
        found, after = original(count, probability, state)
        return ~found, after

    mersenne.probe.cache_clear()
    monkeypatch.setattr(mersenne, "mask", other)
    try:
        probe = mersenne.probe()
        assert probe.order
        assert not probe.bernoulli
        assert "bernoulli" in probe.reason
    finally:
        mersenne.probe.cache_clear()


# --- In lanes


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("plain", [True, False])
def test_every_lane_has_its_own_order(rows: int, plain: bool) -> None:
    states = [state_of(generator_at(1000 + lane, 61 * lane)) for lane in range(16)]
    block = Block(states, rows)
    for _ in range(4):
        orders = block.call(epoch(16, rows, plain))
        for lane in range(16):
            expected, states[lane] = mersenne.epoch_order(rows, states[lane], plain=plain)
            assert orders[:, lane].tolist() == expected.tolist()
    for found, expected_state in zip(block.states(), states, strict=True):
        assert found.draw(700)[0].tolist() == expected_state.draw(700)[0].tolist()


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("lanes", [4, 8])
def test_orders_do_not_depend_on_the_number_of_lanes(lanes: int, plain: bool) -> None:
    states = [GeneratorState.seeded(lane) for lane in range(16)]
    wide, narrow = Block(states, 300), Block(states[:lanes], 300)
    for _ in range(3):
        assert wide.call(epoch(16, 300, plain))[:, :lanes].tolist() == narrow.call(epoch(lanes, 300, plain)).tolist()


def test_a_loader_that_does_not_shuffle_draws_its_base_seed() -> None:
    states = [GeneratorState.seeded(lane) for lane in range(4)]
    block = Block(states, 10)
    block.call(epoch(4, 10, True, shuffle=False))
    for found, state in zip(block.states(), states, strict=True):
        assert found.draw(5)[0].tolist() == state.draw(2)[1].draw(5)[0].tolist()


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1 / 3, 0.9, 1 - 2.0**-53, 2.0**-53, 1.0])
@pytest.mark.parametrize(("count", "lanes"), [(1, 16), (7, 4), (311, 8), (1000, 16)])
def test_every_lane_has_its_own_mask(count: int, probability: float, lanes: int) -> None:
    states = [state_of(generator_at(lane, 41 * lane + 1)) for lane in range(lanes)]
    block = Block(states, count)
    for _ in range(3):
        masks = block.call(bernoulli(lanes, count, probability)).view(np.float32)
        for lane in range(lanes):
            expected, states[lane] = mersenne.mask(count, probability, states[lane])
            assert masks[:, lane].tolist() == expected.astype(float).tolist()


def test_masks_and_orders_share_a_generator_at_an_odd_position() -> None:
    states = [GeneratorState.seeded(lane) for lane in range(4)]
    block = Block(states, 400)
    block.used[0] = 1
    states = [state.draw(1)[1] for state in states]
    for _ in range(3):
        masks = block.call(bernoulli(4, 400, 0.7)).view(np.float32)
        drawn = [mersenne.mask(400, 0.7, state) for state in states]
        assert masks.T.tolist() == [mask.astype(float).tolist() for mask, _ in drawn]
        orders = block.call(epoch(4, 400, True))
        ordered = [mersenne.epoch_order(400, state, plain=True) for _, state in drawn]
        assert orders.T.tolist() == [order.tolist() for order, _ in ordered]
        states = [state for _, state in ordered]


@functools.cache
def remainders() -> Callable[[Words, int], Words]:
    kind = ir.VectorType(I32, 8)
    module = ir.Module("test")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, I64, I64]), "apply")
    words, divisor, count = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    with counted(builder, I64(0), count) as i:
        place = builder.gep(words, [i], source_etype=kind)
        rest = mersenne.remainder(builder, builder.load(place, typ=kind, align=4), divisor)
        builder.store(rest, place, align=4)
    builder.ret_void()
    code = native.compiled(str(module))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(code.address("apply"))

    def apply(values: Words, by: int) -> Words:
        assert code
        padded = np.concatenate([values, np.zeros(-len(values) % 8, np.uint32)])
        call(padded.ctypes.data, by, len(padded) // 8)
        return padded[: len(values)]

    return apply


def near_multiples(divisor: int) -> Words:
    """Words that are multiples of a divisor, and their neighbours: where a quotient is nearest to a whole number."""
    largest = (2**32 - 1) // divisor
    rng = np.random.default_rng(divisor % 1000)
    factors = np.unique(np.concatenate([np.arange(min(largest, 200) + 1), rng.integers(0, largest + 1, 500)]))
    factors = np.concatenate([factors, largest - np.arange(min(largest, 200) + 1)]).astype(np.int64)
    around = (factors[:, None] * divisor + np.arange(-2, 3)).ravel()
    return around[(around >= 0) & (around < 2**32)].astype(np.uint32)


@pytest.mark.parametrize(
    "divisors",
    [
        range(2, 700),
        [2**k + d for k in range(10, 31) for d in (-1, 0, 1)],
        [2**31 - 1, 2**31, 3**19, 5**13, 6700417, 641 * 3, 2147483629],
    ],
)
def test_remainders(divisors: list[int]) -> None:
    for divisor in divisors:
        words = near_multiples(divisor)
        assert (remainders()(words, divisor) == words % np.uint32(divisor)).all(), divisor


@given(divisor=st.integers(2, 2**31), words=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_remainders_of_any_words(divisor: int, words: list[int]) -> None:
    given_words = np.array(words, np.uint32)
    assert remainders()(given_words, divisor).tolist() == [word % divisor for word in words]
