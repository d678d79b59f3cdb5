"""Replay PyTorch's generator on CPU, MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998): on the host, and in lanes.

What is drawn in which order, and how words become row numbers and dropout masks, was found by experiment; ``probe``
holds it against the torch of this process before anything relies on it.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from seedbed.engines.lanes.emit import counted

WORDS, SHIFT = 624, 397
UPPER, LOWER, MATRIX = 0x80000000, 0x7FFFFFFF, 0x9908B0DF
MULTIPLIER = 1812433253
MANTISSA = 53  # low bits of a 64-bit draw that become a number between 0 and 1
CHUNK = 64  # rows whose new places are computed before any is moved: 4 KiB of them at 16 lanes
I32, I64, POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()


@dataclass(frozen=True)
class GeneratorState:
    """A generator as it stands.

    Attributes:
        words: uint32 [624], the block of words that is being given out, before tempering.
        used: how many of them were given out.
    """

    words: NDArray[np.uint32]
    used: int

    @staticmethod
    def of_torch(state: torch.Tensor) -> GeneratorState:
        """From ``torch.get_rng_state()``: the seed (8 bytes), how many words are left and one more (4 bytes), a flag
        (4), the next word's place (8), then the words, 8 bytes each."""
        raw = state.numpy().tobytes()
        left = int.from_bytes(raw[8:12], "little")
        return GeneratorState(np.frombuffer(raw, np.uint64, WORDS, 24).astype(np.uint32), WORDS + 1 - left)

    @staticmethod
    def seeded(seed: int) -> GeneratorState:
        """As ``torch.manual_seed`` leaves it: of a seed the low 32 bits count."""
        return GeneratorState.of_torch(torch.Generator().manual_seed(seed & 0xFFFFFFFF).get_state())

    def normalized(self) -> GeneratorState:
        """The same stream with no word used: the recurrence does not mind where a block begins."""
        if self.used == 0:
            return self
        return GeneratorState(np.concatenate([self.words[self.used :], twisted(self.words)[: self.used]]), 0)

    def positioned(self, used: int) -> GeneratorState:
        """The same stream in the block of which ``used`` words were given out.

        Where that reaches before the first block after seeding, the words given out there are not what torch holds.
        """
        words = self.normalized().words
        return GeneratorState(np.concatenate([untwisted(words)[WORDS - used :], words[: WORDS - used]]), used)

    def to_torch(self, like: torch.Tensor) -> torch.Tensor:
        """As torch holds it. What is neither words nor position, such as the seed, is taken from the state ``like``."""
        if self.used == 0:  # torch twists when a block is used up, and then gives out a word at once
            return self.positioned(WORDS).to_torch(like)
        raw = like.clone()
        raw.numpy()[8:12].view(np.int32)[0] = WORDS + 1 - self.used
        raw.numpy()[16:24].view(np.uint64)[0] = self.used
        raw.numpy()[24 : 24 + 8 * WORDS].view(np.uint64)[:] = self.words
        return raw

    def draw(self, count: int) -> tuple[NDArray[np.uint32], GeneratorState]:
        """The next ``count`` words, and the generator after them."""
        parts, words, used = [], self.words, self.used
        while count:
            if used == WORDS:
                words, used = twisted(words), 0
            take = min(count, WORDS - used)
            parts.append(tempered(words[used : used + take]))
            used, count = used + take, count - take
        return np.concatenate([np.empty(0, np.uint32), *parts]), GeneratorState(words, used)


def twisted(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The next block of words."""
    new = words.copy()

    def mix(low: NDArray[np.uint32], high: NDArray[np.uint32], far: NDArray[np.uint32]) -> NDArray[np.uint32]:
        y = (low & np.uint32(UPPER)) | (high & np.uint32(LOWER))
        return np.asarray(far ^ (y >> np.uint32(1)) ^ np.where(y & 1, np.uint32(MATRIX), np.uint32(0)), np.uint32)

    near = WORDS - SHIFT
    new[:near] = mix(words[:near], words[1 : near + 1], words[SHIFT:])
    for start in range(near, WORDS - 1, near):
        end = min(start + near, WORDS - 1)
        new[start:end] = mix(words[start:end], words[start + 1 : end + 1], new[start - near : end - near])
    new[-1:] = mix(words[-1:], new[:1], new[SHIFT - 1 : SHIFT])
    return new


def untwisted(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The block of words before; of its first word only the highest bit is sure where that block is the seeding."""
    both: list[int] = [0] * WORDS + words.tolist()

    def mixed(i: int) -> int:
        """The highest bit of word i, and the others of the word after it, from what they became."""
        y = both[i + WORDS] ^ both[i + SHIFT]
        odd = y >> 31
        return ((y ^ (MATRIX * odd)) << 1 | odd) & 0xFFFFFFFF

    following = mixed(WORDS - 1)
    for i in range(WORDS - 1, -1, -1):
        both[i] = following & UPPER
        following = mixed(i - 1)
        both[i] |= following & LOWER
    return np.array(both[:WORDS], np.uint32)


def tempered(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """What is given out for words of a block."""
    y = words ^ (words >> np.uint32(11))
    y = y ^ ((y << np.uint32(7)) & np.uint32(0x9D2C5680))
    y = y ^ ((y << np.uint32(15)) & np.uint32(0xEFC60000))
    return np.asarray(y ^ (y >> np.uint32(18)), np.uint32)


def permutation(rows: int, state: GeneratorState) -> tuple[NDArray[np.int64], GeneratorState]:
    """``torch.randperm(rows)`` from a generator, and the generator after it: Fisher and Yates, from the front."""
    words, after = state.draw(max(rows - 1, 0))
    order = list(range(rows))
    for i, word in enumerate(words.tolist()):
        j = i + word % (rows - i)
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64), after


def epoch_order(rows: int, state: GeneratorState, *, plain: bool) -> tuple[NDArray[np.int64], GeneratorState]:
    """The rows' order in one more epoch of a DataLoader, and the generator after the epoch.

    Args:
        plain: the loader draws from the global generator; otherwise from one of its own.
    """
    _, state = state.draw(2)  # the loader's base seed, 64 bits, unused without workers
    if plain:
        seed, state = state.draw(2)  # the sampler's seed, of which the second word counts
        order, _ = permutation(rows, GeneratorState.seeded(int(seed[1])))
        return order, state
    order, state = permutation(rows, state)
    _, state = permutation(rows, state)  # the sampler draws one more, and discards it
    return order, state


def mask(count: int, probability: float, state: GeneratorState) -> tuple[NDArray[np.bool_], GeneratorState]:
    """``bernoulli_(probability)`` of so many elements, and the generator after it."""
    words, state = state.draw(2 * count)
    draws = (words[0::2].astype(np.uint64) << np.uint64(32)) | words[1::2]
    return draws & np.uint64(2**MANTISSA - 1) < np.uint64(threshold(probability)), state


def threshold(probability: float) -> int:
    """A draw's low 53 bits below this are a one: as (bits / 2^53 < probability), in whole numbers."""
    return math.ceil(probability * float(2**MANTISSA))


@dataclass(frozen=True)
class Probe:
    """What of this process's torch the replay agrees with.

    Attributes:
        order: the order of rows.
        bernoulli: dropout masks. Where torch draws them through MKL, as on Intel's processors, it does not.
        reason: what differs.
    """

    order: bool
    bernoulli: bool
    reason: str


@functools.cache
def probe() -> Probe:
    """Compare the replay with torch, on this machine."""
    generator = torch.Generator()
    reasons = []
    order = _orders_agree(generator)
    if not order:
        reasons.append("torch.randperm or the DataLoader draws otherwise")
    bernoulli = _masks_agree(generator)
    if not bernoulli:
        reasons.append("torch.bernoulli draws otherwise, as it does through MKL")
    return Probe(order, bernoulli, "; ".join(reasons))


class _Numbers(Dataset[int]):
    """The whole numbers below ``rows``."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> int:
        return row


def _orders_agree(generator: torch.Generator) -> bool:
    for seed, rows in ((0, 1), (1, 2), (2**32 - 1, 37), (7, 228), (8, 229), (3407, 1000)):
        before = torch.get_rng_state()
        try:
            for plain in (True, False):
                torch.manual_seed(seed)
                own = None if plain else generator.manual_seed(seed)
                loader: DataLoader[Any] = DataLoader(_Numbers(rows), 10, shuffle=True, generator=own)
                state = GeneratorState.seeded(seed)
                for _ in range(2):
                    served = torch.cat(list(loader)).numpy()
                    expected, state = epoch_order(rows, state, plain=plain)
                    if served.tolist() != expected.tolist():
                        return False
                now = GeneratorState.of_torch(torch.get_rng_state() if own is None else own.get_state())
                if now.draw(5)[0].tolist() != state.draw(5)[0].tolist():
                    return False
        finally:
            torch.set_rng_state(before)
    return True


def _masks_agree(generator: torch.Generator) -> bool:
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            for count, probability in ((1, 0.5), (7, 0.9), (1000, 0.7), (70001, 1 / 3)):
                generator.manual_seed(count)
                drawn = torch.empty(count).bernoulli_(probability, generator=generator).numpy() != 0
                expected, state = mask(count, probability, GeneratorState.seeded(count))
                now = GeneratorState.of_torch(generator.get_state())
                if (drawn != expected).any() or now.draw(3)[0].tolist() != state.draw(3)[0].tolist():
                    return False
    finally:
        torch.set_num_threads(threads)
    return True


class Emitter:
    """Functions of a module that draw for all lanes in step. A generator is its words, [624][lanes], and the number
    of words used, the same in every lane; both are given as pointers to 32-bit words."""

    def __init__(self, module: Any, lanes: int) -> None:
        self._module, self._lanes = module, lanes
        self._vector = ir.VectorType(I32, lanes)
        self._functions: dict[str, Any] = {}

    def begin_epoch(
        self, builder: Any, words: Any, used: Any, fresh: Any, order: Any, rows: int, *, shuffle: bool, plain: bool
    ) -> None:
        """Draw what a DataLoader draws for an epoch, and write the rows' order, [rows][lanes].

        Args:
            words, used: the generator that the loader draws from.
            fresh: memory for the words of another one.
        """
        drawn = self._next()
        builder.call(drawn, [words, used])
        builder.call(drawn, [words, used])
        if not shuffle:
            return
        count = I64(rows)
        if plain:
            builder.call(drawn, [words, used])
            seed = builder.call(drawn, [words, used])
            with builder.goto_entry_block():
                unused = builder.alloca(I32)
            builder.store(builder.call(self._seed(rows - 1), [fresh, seed]), unused)
            builder.call(self._order(), [fresh, unused, order, count])
        else:
            builder.call(self._order(), [words, used, order, count])
            with self._runs(builder, words, used, I64(rows - 1), WORDS):
                pass  # the sampler's second permutation, discarded

    def bernoulli(self, builder: Any, words: Any, used: Any, out: Any, count: int, probability: float) -> None:
        """Write so many ones and zeros, as float32, [count][lanes]."""
        limit = threshold(probability)
        high, low = I32(limit >> 32), I32(limit & 0xFFFFFFFF)
        builder.call(self._bernoulli(), [words, used, out, I64(count), high, low])

    # Functions, each made once in a module

    def _made(self, name: str, result: Any, arguments: list[Any], body: Callable[..., None]) -> Any:
        if name not in self._functions:
            function = ir.Function(self._module, ir.FunctionType(result, arguments), f"mt_{name}")
            function.linkage = "internal"
            self._functions[name] = function
            body(ir.IRBuilder(function.append_basic_block("entry")), *function.args)
        return self._functions[name]

    def _twist(self) -> Any:
        def body(b: Any, words: Any) -> None:
            near = WORDS - SHIFT
            for start, end, far in ((0, near, SHIFT), (near, WORDS - 1, -near)):
                with counted(b, I64(start), I64(end)) as i:
                    self._mix(b, words, i, b.add(i, I64(1)), b.add(i, I64(far)))
            self._mix(b, words, I64(WORDS - 1), I64(0), I64(SHIFT - 1))
            b.ret_void()

        return self._made("twist", ir.VoidType(), [POINTER], body)

    def _mix(self, b: Any, words: Any, i: Any, following: Any, far: Any) -> None:
        high = b.and_(self._load(b, words, i), self._all(UPPER))
        low = b.and_(self._load(b, words, following), self._all(LOWER))
        y = b.or_(high, low)
        odd = b.and_(b.neg(b.and_(y, self._all(1))), self._all(MATRIX))
        mixed = b.xor(b.xor(self._load(b, words, far), b.lshr(y, self._all(1))), odd)
        b.store(mixed, self._at(b, words, i), align=4 * self._lanes)

    def _next(self) -> Any:
        def body(b: Any, words: Any, used: Any) -> None:
            before = b.load(used, typ=I32)
            over = b.icmp_unsigned(">=", before, I32(WORDS))
            with b.if_then(over, likely=False):
                b.call(self._twist(), [words])
            place = b.select(over, I32(0), before)
            b.store(b.add(place, I32(1)), used)
            b.ret(self._tempered(b, self._load(b, words, b.zext(place, I64))))

        return self._made("next", self._vector, [POINTER, POINTER], body)

    def _tempered(self, b: Any, y: Any) -> Any:
        y = b.xor(y, b.lshr(y, self._all(11)))
        y = b.xor(y, b.and_(b.shl(y, self._all(7)), self._all(0x9D2C5680)))
        y = b.xor(y, b.and_(b.shl(y, self._all(15)), self._all(0xEFC60000)))
        return b.xor(y, b.lshr(y, self._all(18)))

    def _seed(self, draws: int) -> Any:
        """Seed each lane; returns how many words are used. Where few are to be drawn, only those are made ready: each
        is made of three words of the seeding, of which the last is ``SHIFT`` further on."""
        few = draws <= WORDS - SHIFT
        needed = min(WORDS, max(draws, 0) + SHIFT + 1) if few else WORDS

        def body(b: Any, words: Any, seed: Any) -> None:
            b.store(seed, self._at(b, words, I64(0)), align=4 * self._lanes)
            entry = b.block
            loop, after = b.append_basic_block("loop"), b.append_basic_block("after")
            b.branch(loop)
            b.position_at_end(loop)
            i, word = b.phi(I32), b.phi(self._vector)
            i.add_incoming(I32(1), entry)
            word.add_incoming(seed, entry)
            following = b.mul(b.xor(word, b.lshr(word, self._all(30))), self._all(MULTIPLIER))
            following = b.add(following, self._splat(b, i))
            b.store(following, self._at(b, words, b.zext(i, I64)), align=4 * self._lanes)
            step = b.add(i, I32(1))
            i.add_incoming(step, loop)
            word.add_incoming(following, loop)
            b.cbranch(b.icmp_unsigned("<", step, I32(needed)), loop, after)
            b.position_at_end(after)
            if few:  # the part of the next block that will be drawn
                with counted(b, I64(0), I64(max(draws, 0))) as place:
                    self._mix(b, words, place, b.add(place, I64(1)), b.add(place, I64(SHIFT)))
            b.ret(I32(0 if few else WORDS))

        return self._made(f"seed_{needed}_{few}", I32, [POINTER, self._vector], body)

    def _order(self) -> Any:
        def body(b: Any, words: Any, used: Any, order: Any, rows: Any) -> None:
            size = 4 * self._lanes
            partners = b.alloca(self._vector, CHUNK)
            partners.align = size
            with counted(b, I64(0), rows) as i:
                b.store(self._splat(b, b.trunc(i, I32)), self._at(b, order, i), align=size)
            with self._runs(b, words, used, b.sub(rows, I64(1)), CHUNK) as (before, place, number):
                with counted(b, I64(0), number) as k:
                    i = b.add(before, k)
                    word = self._tempered(b, self._load(b, words, b.add(place, k)))
                    partner = b.add(remainder(b, word, b.sub(rows, i)), self._splat(b, b.trunc(i, I32)))
                    b.store(partner, self._at(b, partners, k), align=size)
                with counted(b, I64(0), number) as k:
                    self._exchange(b, order, b.add(before, k), self._at(b, partners, k))
            b.ret_void()

        return self._made("order", ir.VoidType(), [POINTER, POINTER, POINTER, I64], body)

    def _exchange(self, b: Any, order: Any, i: Any, partners: Any) -> None:
        """Exchange element i with another, in each lane the one whose number is in ``partners``.

        What comes to i is final, so that it is stored as one vector; only what goes away needs a store in each lane.
        """
        going, coming = self._load(b, order, i), ir.Constant(self._vector, ir.Undefined)
        for lane in range(self._lanes):
            j = b.load(b.gep(partners, [I64(lane)], inbounds=True, source_etype=I32), typ=I32)
            place = b.add(b.mul(b.zext(j, I64), I64(self._lanes)), I64(lane))
            other = b.gep(order, [place], inbounds=True, source_etype=I32)
            coming = b.insert_element(coming, b.load(other, typ=I32), I32(lane))
            b.store(b.extract_element(going, I32(lane)), other)
        b.store(coming, self._at(b, order, i), align=4 * self._lanes)

    @contextlib.contextmanager
    def _runs(self, b: Any, words: Any, used: Any, count: Any, most: int) -> Iterator[tuple[Any, Any, Any]]:
        """A loop that draws ``count`` words, at most so many in a pass, all of one block.

        Yields how many were drawn before, where in the block the next one is, and the number of this pass.
        """
        entry = b.block
        head, body, stale, ready, after = (b.append_basic_block(n) for n in ("head", "body", "stale", "ready", "after"))
        b.branch(head)
        b.position_at_end(head)
        drawn = b.phi(I64)
        drawn.add_incoming(I64(0), entry)
        b.cbranch(b.icmp_signed("<", drawn, count), body, after)
        b.position_at_end(body)
        given = b.load(used, typ=I32)
        b.cbranch(b.icmp_unsigned(">=", given, I32(WORDS)), stale, ready)
        b.position_at_end(stale)
        b.call(self._twist(), [words])
        b.branch(ready)
        b.position_at_end(ready)
        place = b.phi(I32)
        place.add_incoming(I32(0), stale)
        place.add_incoming(given, body)
        wide = b.zext(place, I64)
        number = b.sub(I64(WORDS), wide)
        for limit in (b.sub(count, drawn), I64(most)):
            number = b.select(b.icmp_signed("<", limit, number), limit, number)
        yield drawn, wide, number
        b.store(b.add(place, b.trunc(number, I32)), used)
        drawn.add_incoming(b.add(drawn, number), b.block)
        b.branch(head)
        b.position_at_end(after)

    def _bernoulli(self) -> Any:
        def body(b: Any, words: Any, used: Any, out: Any, count: Any, high: Any, low: Any) -> None:
            done = b.alloca(I64)
            b.store(I64(0), done)
            head, body_, few, many, after = (b.append_basic_block(n) for n in ("head", "body", "few", "many", "after"))
            b.branch(head)
            b.position_at_end(head)
            first = b.load(done, typ=I64)
            b.cbranch(b.icmp_signed("<", first, count), body_, after)
            b.position_at_end(body_)
            place = b.zext(b.load(used, typ=I32), I64)
            pairs = b.lshr(b.sub(I64(WORDS), place), I64(1))
            b.cbranch(b.icmp_signed(">", pairs, I64(0)), many, few)

            def kept(top: Any, bottom: Any) -> Any:
                part = b.and_(top, self._all(2 ** (MANTISSA - 32) - 1))
                limit = self._splat(b, high)
                below = b.icmp_unsigned("<", part, limit)
                equal = b.and_(b.icmp_unsigned("==", part, limit), b.icmp_unsigned("<", bottom, self._splat(b, low)))
                kind = ir.VectorType(ir.FloatType(), self._lanes)
                one, zero = (ir.Constant(kind, [v] * self._lanes) for v in (1.0, 0.0))
                return b.select(b.or_(below, equal), one, zero)

            b.position_at_end(few)  # the block of words ends within a draw
            top = b.call(self._next(), [words, used])
            bottom = b.call(self._next(), [words, used])
            b.store(kept(top, bottom), self._at(b, out, first), align=4 * self._lanes)
            b.store(b.add(first, I64(1)), done)
            b.branch(head)

            b.position_at_end(many)
            left = b.sub(count, first)
            number = b.select(b.icmp_signed("<", left, pairs), left, pairs)
            with counted(b, I64(0), number) as i:
                at = b.add(place, b.shl(i, I64(1)))
                top = self._tempered(b, self._load(b, words, at))
                bottom = self._tempered(b, self._load(b, words, b.add(at, I64(1))))
                b.store(kept(top, bottom), self._at(b, out, b.add(first, i)), align=4 * self._lanes)
            b.store(b.trunc(b.add(place, b.shl(number, I64(1))), I32), used)
            b.store(b.add(first, number), done)
            b.branch(head)
            b.position_at_end(after)
            b.ret_void()

        return self._made("bernoulli", ir.VoidType(), [POINTER, POINTER, POINTER, I64, I32, I32], body)

    # Memory and constants

    def _at(self, b: Any, base: Any, row: Any) -> Any:
        return b.gep(base, [row], inbounds=True, source_etype=self._vector)

    def _load(self, b: Any, base: Any, row: Any) -> Any:
        return b.load(self._at(b, base, row), typ=self._vector, align=4 * self._lanes)

    def _all(self, number: int) -> Any:
        return ir.Constant(self._vector, [number] * self._lanes)

    def _splat(self, b: Any, scalar: Any) -> Any:
        return splat(b, scalar, self._lanes)


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    """A scalar in every lane."""
    kind = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def remainder(builder: Any, word: Any, divisor: Any) -> Any:
    """``word % divisor``, unsigned, in every lane; the divisor a 64-bit scalar from 2 to 2^31.

    LLVM would divide lane by lane. In float64 both numbers are exact, and word * (1/divisor), twice rounded, is off by
    less than 2^-19 / divisor. True quotients differ from the next whole number above by 1/divisor at least, so
    truncation never gives too much; it gives 1 too little at most, and only where the division leaves nothing. Then
    what is left comes out as the divisor, and taking the divisor away once more is right; anywhere else that wraps
    round to a larger number.
    """
    lanes = word.type.count
    double = ir.DoubleType()
    inverse = splat(builder, builder.fdiv(double(1.0), builder.uitofp(divisor, double)), lanes)
    product = builder.fmul(builder.uitofp(word, ir.VectorType(double, lanes)), inverse)
    quotient = builder.fptosi(product, word.type)  # below 2^31, for a divisor of 2 or more
    many = splat(builder, builder.trunc(divisor, I32), lanes)
    rest = builder.sub(word, builder.mul(quotient, many))
    less = builder.sub(rest, many)
    return builder.select(builder.icmp_unsigned("<", less, rest), less, rest)
