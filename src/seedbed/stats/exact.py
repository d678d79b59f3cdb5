"""Exact tests of a difference of means: sign flips of pairs, permutations of two groups."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

ENUMERATED = 2**17  # arrangements up to which all are looked at
DRAWN = 99_999  # otherwise; with the observed one 100,000
LEAST_DRAWN, _VALUES = 999, 2 * 10**7  # arrangements of very many values; values of all arrangements, unless too few
_BYTE = 8  # signs that one random byte flips
_CHUNK = 2**22  # values held at once
_TIE = 1e-12  # of the largest: sums that differ by less differ by rounding


@dataclass(frozen=True)
class Exact:
    """A test by rearrangement, two-sided.

    Attributes:
        p_value: share of arrangements whose difference is at least as large as the observed one.
        smallest: the least p-value that these numbers of values can give.
        enumerated: whether all arrangements were looked at; otherwise so many were drawn, the observed one among them.
    """

    p_value: float
    smallest: float
    enumerated: bool


def sign_flips(differences: NDArray[np.float64], rng: Generator) -> Exact:
    """Flip the signs of paired differences (Fisher, The Design of Experiments, 1935, section 21).

    Differences of 0 stay 0 under any sign: with m others there are 2^m arrangements, and the observed one and its
    mirror image are the least that can count: 2 / 2^m. Of more than 3,200 fewer arrangements are drawn, as in
    ``permutations``.
    """
    nonzero = differences[differences != 0]
    m = len(nonzero)
    smallest = min(1.0, 2.0 ** (1 - m)) if m else 1.0
    if not m:
        return Exact(1.0, 1.0, True)
    observed = abs(nonzero.sum())
    limit = observed - _TIE * np.abs(nonzero).sum()
    if 2**m <= ENUMERATED:
        sums = np.zeros(1)
        for value in nonzero:
            sums = np.concatenate([sums + value, sums - value])
        return Exact(float(np.mean(np.abs(sums) >= limit)), smallest, True)
    tables = _sums_of_flips(nonzero)
    reached, drawn = 1, max(LEAST_DRAWN, min(DRAWN, 2 * _VALUES // len(tables)))
    for size in _parts(drawn, len(tables)):
        sums = np.zeros(size)
        for table, which in zip(tables, rng.integers(0, 256, (len(tables), size), dtype=np.uint8), strict=True):
            sums += table[which]
        reached += int((np.abs(sums) >= limit).sum())
    return Exact(reached / (drawn + 1), smallest, False)


def _sums_of_flips(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of every eight values, the sums under all 256 ways to give them signs [eights, 256]: one byte draws one."""
    padded = np.append(values, np.zeros(-len(values) % _BYTE)).reshape(-1, _BYTE)
    signs = 2.0 * ((np.arange(256)[:, None] >> np.arange(_BYTE)) & 1) - 1
    return np.asarray(padded @ signs.T, dtype=np.float64)


def permutations(a: NDArray[np.float64], b: NDArray[np.float64], rng: Generator) -> Exact:
    """Exchange values between two groups (Pitman, Supplement to the JRSS 4, 1937).

    The statistic is the difference of the means; the p-value is twice the smaller of the two sides', so that without
    ties the least that n and m values can give is 2 / C(n + m, n). Of more than 200 values fewer arrangements are
    drawn, down to 999: the test stays valid, and its p-value becomes coarser.
    """
    both, n = np.concatenate([a, b]), len(a)
    total = len(both)
    arrangements = math.comb(total, n)
    smallest = min(1.0, 2.0 / arrangements)
    # Of fixed values the sum of the first group says what the difference of means says.
    observed, tie = float(a.sum()), _TIE * float(np.abs(both).sum())

    def sides(sums: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.array([(sums >= observed - tie).sum(), (sums <= observed + tie).sum()])

    if arrangements <= ENUMERATED:
        chosen = np.fromiter(itertools.chain.from_iterable(itertools.combinations(range(total), n)), np.int64)
        reached = sides(both[chosen.reshape(-1, n)].sum(axis=1))
        return Exact(min(1.0, 2 * int(reached.min()) / arrangements), smallest, True)
    reached = np.ones(2, np.int64)  # the observed one
    drawn = max(LEAST_DRAWN, min(DRAWN, _VALUES // total))
    for size in _parts(drawn, total):
        reached += sides(rng.permuted(np.broadcast_to(both, (size, total)), axis=1)[:, :n].sum(axis=1))
    return Exact(min(1.0, 2 * int(reached.min()) / (drawn + 1)), smallest, False)


def _parts(total: int, width: int) -> list[int]:
    rows = max(1, _CHUNK // width)
    return [min(rows, total - start) for start in range(0, total, rows)]
