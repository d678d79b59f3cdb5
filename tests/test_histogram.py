"""Histograms: every value is counted in its bin, and the grid of an accuracy is not split unevenly."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seedbed.words import histogram

floats = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200).map(np.array)
on_a_grid = st.builds(
    lambda right, examples: np.array(right, dtype=np.float64) / examples,
    st.lists(st.integers(0, 60), min_size=20, max_size=200),
    st.sampled_from([40, 100, 160, 997, 10_000]),
)
count_at_end = re.compile(r" (\d+)$")


@given(st.one_of(floats, on_a_grid), st.lists(st.sampled_from([math.nan, math.inf, -math.inf]), max_size=3))
def test_every_value_is_counted_in_its_bin(x: np.ndarray, diverged: list[float]) -> None:
    found = histogram.of(np.concatenate([x, diverged]))
    assert found.counts.sum() == len(x)
    assert len(found.counts) <= histogram.MOST_BINS + 1
    assert len(found.edges) == len(found.counts) + 1
    assert (np.diff(found.edges) > 0).all()
    # A value that is no further from an edge than rounding may be on either side of it.
    near = 1e-8 * np.diff(found.edges)[0] + 1e-12 * np.abs(x).max()
    for low, high, count in zip(found.edges, found.edges[1:], found.counts, strict=False):
        assert ((x >= low + near) & (x < high - near)).sum() <= count <= ((x >= low - near) & (x < high + near)).sum()


@given(on_a_grid)
def test_every_bin_holds_as_many_steps_of_a_grid(x: np.ndarray) -> None:
    distinct = np.unique(x)
    assume(1 < len(distinct) <= 0.9 * len(x))
    gaps = np.diff(distinct)
    step = gaps.min()
    # The least gap is the grid's step only where two neighbours of the grid are there.
    assume(np.abs(gaps / step - np.round(gaps / step)).max() < 1e-6)
    found = histogram.of(x)
    steps = np.diff(found.edges) / step
    assert np.allclose(steps, np.round(steps[0]), rtol=1e-6)
    assert round(steps[0]) >= 1
    # Every edge lies in the middle between two places of the grid: none straddles it.
    assert np.allclose(((found.edges - distinct[0]) / step) % 1, 0.5, atol=1e-4)


def test_the_width_is_a_round_number_where_there_is_no_grid() -> None:
    x = np.random.default_rng(0).normal(0.8, 0.02, 100)
    found = histogram.of(x)
    assert np.diff(found.edges)[0] == pytest.approx(0.01)
    assert np.allclose(found.edges * 100, np.round(found.edges * 100))
    assert found.edges[0] <= x.min()
    assert x.max() < found.edges[-1]


def test_known_lines() -> None:
    x = np.repeat([0.420, 0.425, 0.430, 0.440], [1, 2, 16, 4])
    assert histogram.lines(x, 31) == [
        "0.420  █▎ 1",
        "0.425  ██▌ 2",
        "0.430  ████████████████████ 16",
        "0.435   0",
        "0.440  █████ 4",
    ]
    assert histogram.lines(x, 31, unicode=False) == [
        "0.420  # 1",
        "0.425  ## 2",
        "0.430  #################### 16",
        "0.435   0",
        "0.440  ##### 4",
    ]


@given(st.one_of(floats, on_a_grid), st.sampled_from([40, 78]), st.booleans())
def test_lines_fit_the_width(x: np.ndarray, width: int, unicode: bool) -> None:
    lines = histogram.lines(x, width, unicode=unicode)
    assert lines
    assert max(map(len, lines)) <= width
    if not unicode:
        assert "".join(lines).isascii()
    if len(x) >= histogram.LEAST_VALUES:
        counts = [int(count_at_end.search(line)[1]) for line in lines]
        assert counts == histogram.of(x).counts.tolist()
        marked = [bool(re.search(r"[▏▎▍▌▋▊▉█#.] \d+$", line)) for line in lines]
        assert marked == [count > 0 for count in counts]  # the rarest value leaves a mark


def test_a_rare_value_is_seen_beside_a_frequent_one() -> None:
    x = np.array([0.1] * 10_000 + [0.2])
    assert histogram.lines(x, 40)[-1] == "0.2  ▏ 1"
    assert histogram.lines(x, 40, unicode=False)[-1] == "0.2  . 1"


@pytest.mark.parametrize(
    ("x", "lines"),
    [
        ([], []),
        ([math.nan], []),
        ([0.89], ["0.8900"]),
        ([0.89, 0.77], ["0.7700  0.8900"]),
        ([1234567.25, 1034567.0], ["1034567  1234567"]),
        ([0.5, 0.5, 0.5], ["0.5000  0.5000  0.5000"]),
        ([0.85] * 12, ["0.8500  ██████████████ 12"]),
        # Spreads of rounding errors, or that no number holds, are no reason to fail.
        ([1.0, 1.0 + 2e-16] * 6, ["1.0000  ██████████████ 12"]),
        ([0.0, 5e-324] * 6, ["0.0000  ██████████████ 12"]),
        ([1e308, -1e308] * 5, ["-1e+308  █████████████ 10"]),
        ([1e308, -1e308], ["-1e+308  1e+308"]),
    ],
)
def test_few_and_equal_values(x: list[float], lines: list[str]) -> None:
    assert histogram.lines(np.array(x), 26) == lines
