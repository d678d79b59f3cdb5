"""Elementary functions of float32 as LLVM instructions, the same for a scalar and for a vector of lanes.

Every function takes an ``ir.IRBuilder`` and values of type ``float`` or ``<L x float>``, emits straight-line code where
the builder stands, and returns a value of the same type. No lane looks at another, so a lane's bits do not depend on
how many there are. Nothing here needs fast-math flags or a changed floating point environment: NaN in gives NaN out
(but for torch's own exceptions: sign, and powers that are 1 whatever the base), infinities and overflow come out as
torch's float32 has them, and denormal results are right.

Largest errors found over float32's range, in units of the last place (every 7th number for the first four, every 61st
for the next five): exp 0.88, log 0.86, sigmoid 1.65, tanh 1.85, expm1 1.51, log1p 1.43, sin 1.54, cos 1.53, erf 1.76;
rsqrt 1.5; a power of variable exponent 0.51, of the constant ones 1.9.

The polynomials were fitted for this file: minimax in the relative error of the function (Lawson's iteration on
Chebyshev nodes, targets from mpmath), coefficients rounded to float32 one after another, lowest first, the rest fitted
anew each time. The stated errors are of the rounded coefficients in exact arithmetic.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

Value = Any  # an ir.Value; llvmlite has no type stubs
Builder = Any  # an ir.IRBuilder

# ln 2 in two parts: with 15 bits in the first, a product with a small whole number is exact.
_LN2_HIGH, _LN2_LOW = 0.693145751953125, 1.428606765330187e-06
_LOG2_E = 1.4426950408889634
# Adding 1.5 * 2^23 rounds a small float to a whole number, half to even, and leaves it in the low bits.
_ROUNDER = 12582912.0
_SQRT_HALF, _SQRT_HALF_DOUBLE = 0x3F3504F3, 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)

# e^r on |r| <= ln(2)/2, degree 6, relative error 2^-28.2
_EXP = (
    1.0,
    1.0,
    0.4999999403953552,
    0.1666652113199234,
    0.04166826605796814,
    0.008368677459657192,
    0.001382073387503624,
)
# (e^r - 1 - r) / r^2 on |r| <= ln(2)/2, degree 4, relative error of e^r - 1 2^-26.1
_EXPM1 = (0.4999999701976776, 0.1666654646396637, 0.04166743531823158, 0.00836626160889864, 0.0013870657421648502)
# (log(1+f) - f) / f^2 on sqrt(1/2) <= 1+f <= sqrt(2), degree 8, relative error of the logarithm 2^-27.3
_LOG = (
    -0.5,
    0.3333333134651184,
    -0.2500081956386566,
    0.2000124156475067,
    -0.166234090924263,
    0.14201581478118896,
    -0.1315961331129074,
    0.12762199342250824,
    -0.07636399567127228,
)
# log(1 - erf(x)) / x on 0 <= x <= 3.93, degree 8, relative error of erf 2^-27.8; its first coefficient, -2/sqrt(pi), in
# two parts, since it alone decides what erf is near 0
_ERF_FIRST = -1.128379225730896
_ERF = (
    5.8635382771399236e-08,
    -0.636619508266449,
    -0.10277687758207321,
    0.019149983301758766,
    0.0001654822117416188,
    -0.0016716353129595518,
    0.0006351431948132813,
    -0.0001182367850560695,
    9.317945114162285e-06,
)
# (sin(x) - x) / x^3 and (cos(x) - 1) / x^2 of x^2 on |x| <= pi/4, relative errors 2^-27.9 and 2^-33
_SIN = (-0.16666655242443085, 0.008332189172506332, -0.00019518285989761353)
_COS = (-0.5, 0.04166664555668831, -0.0013887309469282627, 2.4432327336398885e-05)
# In float64: log2((1+s) / (1-s)) / s of s^2 on |s| <= 0.1716, relative error 2^-45; 2^t on |t| <= 1/2, 2^-34
_LOG2_DOUBLE = (
    2.885390081777849,
    0.9617966941145927,
    0.5770779420389528,
    0.41220928441180804,
    0.31990437198938343,
    0.28291956591437006,
)
_EXP2_DOUBLE = (
    1.0,
    0.6931471807047631,
    0.2402265106700359,
    0.05550410365391921,
    0.009618038059563782,
    0.001333393535632653,
    0.00015466781523429016,
    1.5196133463470881e-05,
)
_ROUNDER_DOUBLE = 6755399441055744.0  # 1.5 * 2^52
# 2/pi in pieces of 24 bits, so that a float32 times a piece is exact in float64
_TWO_OVER_PI = tuple(
    float.fromhex(piece)
    for piece in (
        "0x1.45f306p-1",
        "0x1.b9391p-26",
        "0x1.529fcp-52",
        "0x1.3abe88p-75",
        "0x1.ea69bap-97",
        "0x1.81b6c4p-121",
        "0x1.2b3278p-145",
        "0x1.0e4104p-170",
    )
)


# --- Building blocks --------------------------------------------------------------------------------------------------


def _like(value: Value, element: Any) -> Any:
    """The type ``element``, in as many lanes as ``value`` has."""
    kind = value.type
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


def _constant(value: Value, number: float, element: Any = None) -> Value:
    """``number`` in every lane, of the element type of ``value`` unless another is given."""
    if element is None:
        element = value.type.element if isinstance(value.type, ir.VectorType) else value.type
    kind = _like(value, element)
    if isinstance(element, ir.IntType):
        number = int(number) & ((1 << element.width) - 1)
    elif isinstance(element, ir.FloatType) and math.isfinite(number):
        number = struct.unpack("f", struct.pack("f", number))[0]
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def _intrinsic(builder: Builder, name: str, *arguments: Value) -> Value:
    """A call of the LLVM intrinsic ``name``, overloaded on the type of its arguments."""
    kind = arguments[0].type
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    suffix = {ir.FloatType: "f32", ir.DoubleType: "f64"}[type(element)]
    if isinstance(kind, ir.VectorType):
        suffix = f"v{kind.count}{suffix}"
    full = f"llvm.{name}.{suffix}"
    function = builder.module.globals.get(full)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * len(arguments)), full)
    return builder.call(function, arguments)


def _fma(builder: Builder, a: Value, b: Value, c: Value) -> Value:
    """a * b + c, fused where the machine can."""
    return _intrinsic(builder, "fmuladd", a, b, c)


def _horner(builder: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """coefficients[0] + coefficients[1] * x + ..."""
    total = _constant(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = _fma(builder, total, x, _constant(x, coefficient))
    return total


def _bits(builder: Builder, x: Value) -> Value:
    return builder.bitcast(x, _like(x, ir.IntType(32)))


def _float(builder: Builder, bits: Value) -> Value:
    return builder.bitcast(bits, _like(bits, ir.FloatType()))


def _at_most(builder: Builder, x: Value, limit: float) -> Value:
    """min(x, limit); NaN stays, since it is not above the limit."""
    bound = _constant(x, limit)
    return builder.select(builder.fcmp_ordered(">", x, bound), bound, x)


def _at_least(builder: Builder, x: Value, limit: float) -> Value:
    """max(x, limit); NaN stays."""
    bound = _constant(x, limit)
    return builder.select(builder.fcmp_ordered("<", x, bound), bound, x)


def _reduce_exp(builder: Builder, x: Value, bias: int) -> tuple[Value, Value]:
    """x = n ln 2 + r with |r| <= ln(2)/2: returns r, and bits whose low end is n + bias, which must not be negative."""
    rounder = _constant(x, _ROUNDER + bias)
    shifted = _fma(builder, x, _constant(x, _LOG2_E), rounder)
    n = builder.fsub(shifted, rounder)
    r = _fma(builder, n, _constant(x, -_LN2_HIGH), x)
    r = _fma(builder, n, _constant(x, -_LN2_LOW), r)
    return r, _bits(builder, shifted)


def _expm1_near_zero(builder: Builder, r: Value) -> Value:
    """e^r - 1 for |r| <= ln(2)/2."""
    return _fma(builder, builder.fmul(r, r), _horner(builder, r, _EXPM1), r)


def _power_of_two(builder: Builder, biased: Value) -> Value:
    """The float 2^(n - 127), for bits whose low end is n."""
    return _float(builder, builder.shl(biased, _constant(biased, 23)))


# --- Exponentials -----------------------------------------------------------------------------------------------------


def exp(builder: Builder, x: Value) -> Value:
    """e^x."""
    x = _at_least(builder, _at_most(builder, x, 90.0), -105.0)  # beyond, the result is infinite or 0 anyway
    # 2^n in two factors, each a normal number, so that overflow and denormals arise by rounding the product alone.
    # With 254 added, n is positive, and one shift puts half of it, biased by 127, into the exponent's place.
    r, biased = _reduce_exp(builder, x, 254)
    whole = builder.shl(biased, _constant(biased, 23))
    half = builder.and_(builder.shl(biased, _constant(biased, 22)), _constant(biased, 0x7F800000))
    rest = builder.sub(whole, half)
    return builder.fmul(builder.fmul(_horner(builder, r, _EXP), _float(builder, half)), _float(builder, rest))


def expm1(builder: Builder, x: Value) -> Value:
    """e^x - 1."""
    inside = _at_least(builder, _at_most(builder, x, 88.8), -18.0)  # beyond, infinite or -1
    r, biased = _reduce_exp(builder, inside, 126)
    scale = _power_of_two(builder, biased)  # half of 2^n, which alone may overflow
    h = _fma(builder, scale, _expm1_near_zero(builder, r), builder.fsub(scale, _constant(x, 0.5)))
    tiny = builder.fcmp_ordered("<", absolute(builder, x), _constant(x, 2.0**-24))
    return builder.select(tiny, x, builder.fadd(h, h))  # half of a denormal would lose a bit


def sigmoid(builder: Builder, x: Value) -> Value:
    """1 / (1 + e^-x)."""
    one = _constant(x, 1.0)
    negative = _at_least(builder, builder.fneg(absolute(builder, x)), -105.0)
    # The exponential of what is not positive lies in (0, 1]: scaled by 2^64 it is a normal number for all of them.
    r, biased = _reduce_exp(builder, negative, 127 + 64)
    scale = _power_of_two(builder, biased)
    power = builder.fmul(_fma(builder, scale, _expm1_near_zero(builder, r), scale), _constant(x, 2.0**-64))
    below = builder.fdiv(power, builder.fadd(power, one))  # of -|x|
    # Below zero e - e * e/(1+e) is the quotient again, without the rounding of 1 + e, which counts where e is small.
    return builder.select(
        builder.fcmp_ordered("<", x, _constant(x, 0.0)),
        _fma(builder, builder.fneg(power), below, power),
        builder.fsub(one, below),
    )


def tanh(builder: Builder, x: Value) -> Value:
    """The hyperbolic tangent."""
    size = _at_most(builder, absolute(builder, x), 9.1)  # from 9.02 on the result is 1
    twice = builder.fadd(size, size)
    # As in _reduce_exp, but one part of ln 2 is enough: what it lacks matters less and less as tanh approaches 1.
    rounder = _constant(x, _ROUNDER + 126)
    shifted = _fma(builder, twice, _constant(x, _LOG2_E), rounder)
    r = _fma(builder, builder.fsub(shifted, rounder), _constant(x, -math.log(2)), twice)
    scale = _power_of_two(builder, _bits(builder, shifted))  # half of 2^n
    # h = (e^2|x| - 1) / 2, and tanh |x| = h / (1 + h).
    h = _fma(builder, scale, _expm1_near_zero(builder, r), builder.fsub(scale, _constant(x, 0.5)))
    quotient = builder.fdiv(h, builder.fadd(h, _constant(x, 1.0)))
    # For a small h, h - h * h/(1+h) is free of the rounding of 1 + h.
    small = builder.fcmp_ordered("<", size, _constant(x, 0.4))
    result = builder.select(small, _fma(builder, builder.fneg(h), quotient, h), quotient)
    return _intrinsic(builder, "copysign", result, x)


def erf(builder: Builder, x: Value) -> Value:
    """The error function: 1 - e^g, with a polynomial in |x| for g = log(1 - erf |x|)."""
    size = _at_most(builder, absolute(builder, x), 4.0)  # from 3.92 on the result is 1
    g = _fma(builder, size, _constant(x, _ERF_FIRST), builder.fmul(size, _horner(builder, size, _ERF)))
    r, biased = _reduce_exp(builder, g, 127)
    scale = _power_of_two(builder, biased)
    rest = builder.fsub(_constant(x, 1.0), scale)
    result = _fma(builder, builder.fneg(scale), _expm1_near_zero(builder, r), rest)
    return _intrinsic(builder, "copysign", result, x)


# --- Logarithms -------------------------------------------------------------------------------------------------------


def _log_near_one(builder: Builder, f: Value, k: Value) -> Value:
    """k ln 2 + log(1 + f), for a whole number k held as a float and sqrt(1/2) <= 1 + f <= sqrt(2)."""
    low = builder.fmul(k, _constant(f, _LN2_LOW))
    low = _fma(builder, builder.fmul(f, f), _horner(builder, f, _LOG), low)
    return _fma(builder, k, _constant(f, _LN2_HIGH), builder.fadd(f, low))


def _log_or_special(builder: Builder, x: Value, usual: Value) -> Value:
    """The logarithm of x, given what it is for an ordinary positive number."""
    zero, bits = _constant(x, 0.0), _bits(builder, x)
    special = builder.select(builder.fcmp_ordered("<", x, zero), _constant(x, math.nan), x)  # +inf and NaN stay
    special = builder.select(builder.fcmp_ordered("==", x, zero), _constant(x, -math.inf), special)
    # As unsigned bits, less one, only the ordinary positive numbers are below +inf's.
    ordinary = builder.icmp_unsigned("<", builder.sub(bits, _constant(bits, 1)), _constant(bits, 0x7F7FFFFF))
    return builder.select(ordinary, usual, special)


def log(builder: Builder, x: Value) -> Value:
    """The natural logarithm: -inf at 0, NaN below."""
    tiny = builder.fcmp_ordered("<", x, _constant(x, 2.0**-126))
    scaled = _bits(builder, builder.select(tiny, builder.fmul(x, _constant(x, 2.0**23)), x))
    offset = builder.sub(scaled, _constant(scaled, _SQRT_HALF))
    mantissa = _float(builder, builder.sub(scaled, builder.and_(offset, _constant(scaled, 0xFF800000))))
    exponent = builder.ashr(offset, _constant(scaled, 23))
    exponent = builder.select(tiny, builder.sub(exponent, _constant(exponent, 23)), exponent)
    f = builder.fsub(mantissa, _constant(x, 1.0))
    return _log_or_special(builder, x, _log_near_one(builder, f, builder.sitofp(exponent, x.type)))


def log1p(builder: Builder, x: Value) -> Value:
    """log(1 + x)."""
    total = builder.fadd(x, _constant(x, 1.0))
    offset = builder.sub(_bits(builder, total), _constant(_bits(builder, total), _SQRT_HALF))
    exponent = builder.ashr(offset, _constant(offset, 23))
    # 1 + x = 2^k (1 + f), and f = x / 2^k + (1 / 2^k - 1) is rounded once. 4 / 2^k is a normal number for every k.
    scale = builder.sub(_constant(offset, 129 << 23), builder.and_(offset, _constant(offset, 0xFF800000)))
    scale = _float(builder, scale)
    rest = builder.fsub(builder.fmul(scale, _constant(x, 0.25)), _constant(x, 1.0))
    f = _fma(builder, builder.fmul(x, _constant(x, 0.25)), scale, rest)
    result = _log_or_special(builder, total, _log_near_one(builder, f, builder.sitofp(exponent, x.type)))
    tiny = builder.fcmp_ordered("<", absolute(builder, x), _constant(x, 2.0**-24))
    return builder.select(tiny, x, result)


# --- Powers and roots -------------------------------------------------------------------------------------------------


def sqrt(builder: Builder, x: Value) -> Value:
    """The square root, correctly rounded."""
    return _intrinsic(builder, "sqrt", x)


def rsqrt(builder: Builder, x: Value) -> Value:
    """1 / sqrt(x)."""
    return builder.fdiv(_constant(x, 1.0), sqrt(builder, x))


def power(builder: Builder, x: Value, exponent: Value | float) -> Value:
    """x to a power: a number, or a value of the type of x."""
    if not isinstance(exponent, ir.Value):
        number = float(exponent)
        if number in _EASY_POWERS:
            return _EASY_POWERS[number](builder, x)
        exponent = _constant(x, number)
    return _power(builder, x, exponent)


_EASY_POWERS: Mapping[float, Callable[[Builder, Value], Value]] = {
    0.0: lambda builder, x: _constant(x, 1.0),
    0.5: sqrt,
    1.0: lambda builder, x: x,
    1.5: lambda builder, x: builder.fmul(x, sqrt(builder, x)),
    2.0: lambda builder, x: builder.fmul(x, x),
    3.0: lambda builder, x: builder.fmul(builder.fmul(x, x), x),
    -0.5: rsqrt,
    -1.0: lambda builder, x: builder.fdiv(_constant(x, 1.0), x),
    -2.0: lambda builder, x: _square(builder, builder.fdiv(_constant(x, 1.0), x)),
}


def _square(builder: Builder, x: Value) -> Value:
    return builder.fmul(x, x)


def _power(builder: Builder, x: Value, y: Value) -> Value:
    """x^y = 2^(y log2 |x|) in float64, and C's rules for signs and special values."""
    double, long = _like(x, ir.DoubleType()), _like(x, ir.IntType(64))
    size = absolute(builder, x)
    wide = builder.fpext(size, double)  # of a float32, denormals too, a normal number
    bits = builder.bitcast(wide, long)
    offset = builder.sub(bits, _constant(bits, _SQRT_HALF_DOUBLE))
    mantissa = builder.sub(bits, builder.and_(offset, _constant(bits, 0xFFF << 52)))
    mantissa = builder.bitcast(mantissa, double)
    one = _constant(wide, 1.0)
    s = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
    exponent = builder.trunc(builder.ashr(offset, _constant(bits, 52)), _like(x, ir.IntType(32)))
    exponent = builder.sitofp(exponent, double)
    log2 = _fma(builder, s, _horner(builder, builder.fmul(s, s), _LOG2_DOUBLE), exponent)
    infinity = _constant(wide, math.inf)
    log2 = builder.select(builder.fcmp_ordered("<", wide, infinity), log2, wide)  # infinity and NaN stay
    log2 = builder.select(builder.fcmp_ordered("==", wide, _constant(wide, 0.0)), builder.fneg(infinity), log2)
    t = builder.fmul(builder.fpext(y, double), log2)
    t = builder.select(builder.fcmp_ordered("==", wide, one), _constant(wide, 0.0), t)  # even to an infinite power
    t = _at_least(builder, _at_most(builder, t, 200.0), -200.0)
    rounder = _constant(wide, _ROUNDER_DOUBLE + 1023)
    shifted = builder.fadd(t, rounder)
    rest = builder.fsub(t, builder.fsub(shifted, rounder))
    scale = builder.bitcast(builder.shl(builder.bitcast(shifted, long), _constant(bits, 52)), double)
    result = builder.fptrunc(builder.fmul(_horner(builder, rest, _EXP2_DOUBLE), scale), x.type)

    zero, half = _constant(x, 0.0), builder.fmul(y, _constant(y, 0.5))
    is_whole = builder.fcmp_ordered("==", floor(builder, y), y)
    is_odd = builder.and_(is_whole, builder.fcmp_unordered("!=", floor(builder, half), half))
    signed = _intrinsic(builder, "copysign", result, x)
    result = builder.select(is_odd, signed, result)
    negative = builder.and_(builder.fcmp_ordered("<", x, zero), builder.fcmp_ordered(">", x, _constant(x, -math.inf)))
    result = builder.select(builder.and_(negative, builder.not_(is_whole)), _constant(x, math.nan), result)
    result = builder.select(builder.fcmp_unordered("uno", y, y), y, result)
    sure = builder.or_(builder.fcmp_ordered("==", x, _constant(x, 1.0)), builder.fcmp_ordered("==", y, zero))
    return builder.select(sure, _constant(x, 1.0), result)


# --- Circular functions -----------------------------------------------------------------------------------------------


def sin(builder: Builder, x: Value) -> Value:
    """The sine of an angle in radians."""
    quarter, angle = _reduce_angle(builder, x)
    result = _of_quarter(builder, quarter, angle, shift=0)
    return builder.select(builder.fcmp_ordered("==", x, _constant(x, 0.0)), x, result)  # the sign of 0


def cos(builder: Builder, x: Value) -> Value:
    """The cosine of an angle in radians."""
    return _of_quarter(builder, *_reduce_angle(builder, x), shift=1)


def _reduce_angle(builder: Builder, x: Value) -> tuple[Value, Value]:
    """x = quarter * pi/2 + angle modulo 2 pi: quarter a whole number from -2 to 2 held as a float, |angle| <= pi/4.

    A multiple of 4 in x * 2/pi does nothing, and in float64 each piece's product, and what is left of it, are exact.
    """
    wide = builder.fpext(x, _like(x, ir.DoubleType()))
    turns = _constant(wide, 0.0)
    for piece in _TWO_OVER_PI:
        product = builder.fmul(wide, _constant(wide, piece))
        turns = _within_a_turn(builder, builder.fadd(turns, _within_a_turn(builder, product)))
    quarter = _intrinsic(builder, "rint", turns)
    angle = builder.fmul(builder.fsub(turns, quarter), _constant(wide, math.pi / 2))
    return builder.fptrunc(quarter, x.type), builder.fptrunc(angle, x.type)


def _within_a_turn(builder: Builder, quarters: Value) -> Value:
    """The number less a multiple of 4, between -2 and 2."""
    whole = _intrinsic(builder, "rint", builder.fmul(quarters, _constant(quarters, 0.25)))
    return _fma(builder, whole, _constant(quarters, -4.0), quarters)


def _of_quarter(builder: Builder, quarter: Value, angle: Value, shift: int) -> Value:
    """sin((quarter + shift) * pi/2 + angle)."""
    square = builder.fmul(angle, angle)
    sine = _fma(builder, builder.fmul(angle, square), _horner(builder, square, _SIN), angle)
    cosine = _fma(builder, square, _horner(builder, square, _COS), _constant(angle, 1.0))
    size = absolute(builder, quarter)
    is_odd = builder.fcmp_ordered("==", size, _constant(size, 1.0))
    result = builder.select(is_odd, cosine, sine) if shift == 0 else builder.select(is_odd, sine, cosine)
    flips = builder.fcmp_ordered("==", size, _constant(size, 2.0))
    single = builder.fcmp_ordered("==", quarter, _constant(size, 1.0 if shift else -1.0))
    return builder.select(builder.or_(flips, single), builder.fneg(result), result)


# --- Comparison and rounding ------------------------------------------------------------------------------------------


def maximum(builder: Builder, a: Value, b: Value) -> Value:
    """The larger of two; NaN if either is. Of zeros of different sign, b."""
    return builder.select(builder.fcmp_unordered("uno", a, a), a, builder.select(builder.fcmp_ordered(">", a, b), a, b))


def minimum(builder: Builder, a: Value, b: Value) -> Value:
    """The smaller of two; NaN if either is. Of zeros of different sign, b."""
    return builder.select(builder.fcmp_unordered("uno", a, a), a, builder.select(builder.fcmp_ordered("<", a, b), a, b))


def absolute(builder: Builder, x: Value) -> Value:
    """|x|."""
    return _intrinsic(builder, "fabs", x)


def sign(builder: Builder, x: Value) -> Value:
    """-1, 0 or 1; of NaN 0, as torch's."""
    zero, one = _constant(x, 0.0), _constant(x, 1.0)
    above = builder.select(builder.fcmp_ordered(">", x, zero), one, zero)
    return builder.select(builder.fcmp_ordered("<", x, zero), _constant(x, -1.0), above)


def floor(builder: Builder, x: Value) -> Value:
    """The whole number at or below x."""
    return _intrinsic(builder, "floor", x)


def ceil(builder: Builder, x: Value) -> Value:
    """The whole number at or above x."""
    return _intrinsic(builder, "ceil", x)


def trunc(builder: Builder, x: Value) -> Value:
    """x without its fraction."""
    return _intrinsic(builder, "trunc", x)


def round_even(builder: Builder, x: Value) -> Value:
    """The nearest whole number, the even one of two."""
    return _intrinsic(builder, "rint", x)


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "abs": absolute,
    "ceil": ceil,
    "cos": cos,
    "erf": erf,
    "exp": exp,
    "expm1": expm1,
    "floor": floor,
    "log": log,
    "log1p": log1p,
    "maximum": maximum,
    "minimum": minimum,
    "pow": power,
    "round": round_even,
    "rsqrt": rsqrt,
    "sigmoid": sigmoid,
    "sign": sign,
    "sin": sin,
    "sqrt": sqrt,
    "tanh": tanh,
    "trunc": trunc,
}
