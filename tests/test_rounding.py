"""Numbers as they are shown: no more digits than their interval supports, and none that mislead."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.words.rounding import decimals, has_width, p_value, plain, shown, with_interval, with_sign

widths = st.floats(1e-9, 1e6)


@given(widths, st.sampled_from([1, 2, 3]))
def test_a_half_width_keeps_its_significant_digits(half: float, digits: int) -> None:
    places = decimals(half, digits)
    unit = 10.0**-places
    assert abs(float(f"{half:.{places}f}") - half) <= unit / 2 * (1 + 1e-9)
    if 0 < places < 12:
        # So many digits and no more: of 1 digit the half width is shown as 1 to 9 units of the last place.
        assert 10 ** (digits - 1) <= round(half / unit) < 10**digits


@pytest.mark.parametrize(
    ("half", "digits", "places"),
    [(0.0108, 2, 3), (0.0108, 1, 2), (0.0996, 2, 2), (0.095, 1, 1), (9.96, 2, 0), (250.0, 2, 0), (math.nan, 2, 4),
     (0.0, 2, 4), (1e-30, 2, 12)],
)  # fmt: skip
def test_decimals(half: float, digits: int, places: int) -> None:
    assert decimals(half, digits) == places


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.8151, 3, "0.815"), (-0.0004, 2, "0.00"), (None, 2, "-"), (math.nan, 2, "-"), (math.inf, 0, "-"),
     (12345678.0, 0, "1.235e+07"), (1234567.4, 0, "1234567"), (1.5e-8, 12, "1.5e-08"), (0.0, 12, "0.000000000000")],
)  # fmt: skip
def test_shown(value: float | None, places: int, text: str) -> None:
    assert shown(value, places) == text


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((0.81512, 0.81394, 0.81630), ("0.8151", "0.8139 to 0.8163")),
        ((4260452.4, 4259398.1, 4261506.7), ("4260452", "4259398 to 4261507")),
        ((0.5, None, None), ("0.5000", "-")),
        ((0.5, math.nan, math.nan), ("0.5000", "-")),
        # An interval of equal scores has no width, and is none.
        ((0.85, 0.85, 0.85), ("0.8500", "-")),
        ((0.85, 0.85 - 1e-16, 0.85 + 1e-16), ("0.8500", "-")),
        # The sd of two runs: its lower end is not rounded to 0.
        ((0.0849, 0.0379, 2.7075), ("0.08", "0.04 to 2.71")),
        ((0.0, 0.0, 0.0014), ("0.00000", "0.00000 to 0.00140")),
    ],
)
def test_with_interval(numbers: tuple[float, float | None, float | None], texts: tuple[str, str]) -> None:
    assert with_interval(*numbers) == texts


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e3), st.floats(1e-3, 1))
def test_an_estimate_is_shown_inside_its_interval(value: float, up: float, share: float) -> None:
    low, high = value - share * up, value + up
    estimate, ends = with_interval(value, low, high)
    if has_width(low, high):
        first, last = (float(each) for each in ends.split(" to "))
        assert first <= float(estimate) <= last
        # Ends are rounded by no more than a twentieth of the half width.
        assert abs(last - high) <= (high - low) / 2 / 20 * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.48, "0.4800"), (0.0, "0.0000"), (0.00849, "0.00849"), (81.5, "81.500"), (-81.5, "-81.500"),
     (12345.6, "12346"), (4256791.5, "4256792"), (1e-7, "1e-07"), (9.99996, "10.0000"), (None, "-"), (math.nan, "-")],
)  # fmt: skip
def test_plain(value: float | None, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [(0.01461, 0.49, "+0.0146"), (-0.0279, 1.1, "-0.0279"), (1e-16, 0.85, "0"), (0.0, 0.0, "0"),
     (-1365.08, 4e6, "-1365.1")],
)  # fmt: skip
def test_with_sign(value: float, scale: float, text: str) -> None:
    assert with_sign(value, scale) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.040"), (0.0019, "0.0019"), (0.0996, "0.10"), (0.6651, "0.67"), (1.0, "1.00"), (1e-4, "0.00010"),
     (9.9e-5, "< 0.0001"), (0.0, "< 0.0001"), (None, "-"), (math.nan, "-")],
)  # fmt: skip
def test_p_value(value: float | None, text: str) -> None:
    assert p_value(value) == text
