"""Functions of float32 in LLVM: held against float64, and against themselves at other widths."""

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

from seedbed.engines.lanes import native, vectormath

F32, I64, POINTER = ir.FloatType(), ir.IntType(64), ir.PointerType()
WIDTHS = (1, 4, 8, 16)  # 1 stands for a scalar
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def sigmoid(x: Doubles) -> Doubles:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def by_torch(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Doubles], Doubles]:
    return lambda x: function(torch.from_numpy(x)).numpy()


TRUTH: dict[str, Callable[[Doubles], Doubles]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "erf": by_torch(torch.erf),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
}
#: Units in the last place.
BOUNDS = {
    "exp": 0.9,
    "expm1": 1.6,
    "log": 0.9,
    "log1p": 1.5,
    "tanh": 1.9,
    "sigmoid": 1.8,
    "erf": 1.9,
    "sqrt": 0.5,
    "rsqrt": 1.5,
    "sin": 1.7,
    "cos": 1.7,
}
EXACT = ("abs", "ceil", "floor", "round", "sign", "trunc")
# fmt: off
EDGES = np.array([
    0.0, 1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e-8, 5.96e-8, 0.2, 0.34657359, 0.4, 0.5, 0.70710677, 0.70710683,
    0.99999994, 1.0, 1.0000001, 1.4142135, 1.5, 2.5, 3.93, 9.01, 9.1, 17.5, 18.5, 87.3, 88.0, 88.72283, 88.72284, 89.0,
    103.9, 104.0, 105.0, 1e3, 8388608.5, 1e10, 16367173 * 2.0**72, 1e30, 3.4028235e38, np.inf, np.nan,
], np.float32)
# fmt: on
EDGES = np.concatenate([EDGES, -EDGES])


@functools.cache
def compiled(name: str, width: int, exponent: float | None = None) -> Callable[..., Floats]:
    """The function ``name``, applied to whole arrays, so many lanes at a time."""
    emit = vectormath.FUNCTIONS[name]
    operands = 2 if name in ("maximum", "minimum") or (name == "pow" and exponent is None) else 1
    kind = F32 if width == 1 else ir.VectorType(F32, width)
    module = ir.Module("test")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * (operands + 1) + [I64]), "apply")
    *inputs, output, count = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    entry, loop, after = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("after")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(I64)
    i.add_incoming(I64(0), entry)
    values = [builder.load(builder.gep(each, [i], source_etype=kind), typ=kind, align=4) for each in inputs]
    result = emit(builder, *values, *([] if exponent is None else [exponent]))
    assert result.type == kind
    builder.store(result, builder.gep(output, [i], source_etype=kind), align=4)
    following = builder.add(i, I64(1))
    i.add_incoming(following, loop)
    builder.cbranch(builder.icmp_unsigned("<", following, count), loop, after)
    builder.position_at_end(after)
    builder.ret_void()
    code = native.compiled(str(module))
    address = code.address("apply")
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (operands + 1), ctypes.c_int64)(address)

    def apply(*arrays: Floats) -> Floats:
        assert code  # which holds the machine code
        length = len(arrays[0])
        padded = [np.concatenate([each, np.zeros(-length % width, np.float32)]) for each in arrays]
        out = np.empty_like(padded[0])
        call(*(each.ctypes.data for each in padded), out.ctypes.data, len(out) // width)
        return out[:length]

    return apply


@functools.cache
def samples() -> Floats:
    """Numbers of every sign and exponent, more of those that networks meet, and the edges."""
    rng = np.random.default_rng(0)
    every = np.arange(0, 2**32, 30_011, dtype=np.uint64).astype(np.uint32).view(np.float32)
    usual = [rng.uniform(-12, 12, 100_000), rng.normal(size=50_000) * 0.3, 1 + rng.normal(size=50_000) * 0.2]
    return np.concatenate([every, *(each.astype(np.float32) for each in usual), EDGES])


def units(found: Floats, truth: Doubles) -> Doubles:
    """The distance from the truth, in units of float32's last place at the truth; a denormal's at the least."""
    with np.errstate(all="ignore"):
        nearest = truth.astype(np.float32)
        same = (found == nearest) | (np.isnan(found) & np.isnan(nearest))
        spacing = np.maximum(2.0 ** (np.frexp(truth)[1] - 24), 2.0**-149)
        error = np.abs(found.astype(np.float64) - truth) / spacing
    return np.where(same, np.minimum(np.nan_to_num(error, posinf=0), 0.5), np.nan_to_num(error, nan=np.inf))


def same_bits(a: Floats, b: Floats) -> bool:
    """Equal in every bit, except for which NaN it is."""
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


@pytest.mark.parametrize("name", TRUTH)
def test_near_the_truth(name: str) -> None:
    x = samples()
    with np.errstate(all="ignore"):
        truth = TRUTH[name](x.astype(np.float64))
    error = units(compiled(name, 16)(x), truth)
    worst = int(error.argmax())
    assert error[worst] <= BOUNDS[name], (x[worst], truth[worst])


@pytest.mark.parametrize("name", TRUTH)
@given(x=st.floats(width=32))
@settings(max_examples=300)
def test_near_the_truth_anywhere(name: str, x: float) -> None:
    value = np.array([x], np.float32)
    with np.errstate(all="ignore"):
        truth = TRUTH[name](value.astype(np.float64))
    assert units(compiled(name, 1)(value), truth)[0] <= BOUNDS[name]


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sqrt", "rsqrt"])
def test_special_values_are_torchs(name: str) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, -2.0, 89.0, -104.0, 200.0, -200.0], np.float32)
    expected = getattr(torch, name)(torch.from_numpy(x)).numpy()
    special = ~np.isfinite(expected) | (expected == 0) | (np.abs(expected) == 1)
    assert same_bits(compiled(name, 16)(x)[special], expected[special])


@pytest.mark.parametrize("name", [*TRUTH, *EXACT])
@pytest.mark.parametrize("width", WIDTHS)
def test_bits_do_not_depend_on_the_width(name: str, width: int) -> None:
    x = samples()[::7]
    assert same_bits(compiled(name, width)(x), compiled(name, 16)(x))


@pytest.mark.parametrize("name", ["tanh", "log", "sigmoid"])
def test_lanes_do_not_depend_on_each_other(name: str) -> None:
    x = samples()[:1600]
    for shift in (1, 5):
        assert same_bits(np.roll(compiled(name, 16)(x), shift), compiled(name, 16)(np.roll(x, shift)))


def test_any_nan_stays_one() -> None:
    nans = np.array([0x7FC00000, 0x7F800001, 0x7FFFFFFF, 0xFFC00000, 0xFF812345, 0x7FC00001], np.uint32)
    for name in vectormath.FUNCTIONS.keys() - {"maximum", "minimum", "pow", "sign"}:
        assert np.isnan(compiled(name, 16)(nans.view(np.float32))).all(), name


@pytest.mark.parametrize("name", EXACT)
def test_rounding_and_signs_are_torchs(name: str) -> None:
    x = np.concatenate([samples(), np.arange(-40, 41).astype(np.float32) / 4])
    assert same_bits(compiled(name, 16)(x), getattr(torch, name)(torch.from_numpy(x)).numpy())


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("width", WIDTHS)
def test_larger_and_smaller_are_torchs(name: str, width: int) -> None:
    a, b = (each.ravel() for each in np.meshgrid(EDGES, EDGES))
    expected = getattr(torch, name)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    found = compiled(name, width)(a, b)
    assert ((found == expected) | (np.isnan(found) & np.isnan(expected))).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_powers_of_special_values_are_cs(width: int) -> None:
    some = [0, 0.5, 1, 1.5, 2, 2.5, 3, 1e30, 16777215, 16777216, 1e-40, np.inf, np.nan]
    values = np.array([*some, *(-each for each in some), -0.0], np.float32)
    x, y = (each.ravel() for each in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        truth = np.power(x.astype(np.float64), y.astype(np.float64))
        expected = truth.astype(np.float32)
    found = compiled("pow", width)(x, y)
    ordinary = np.isfinite(expected) & (expected != 0)
    assert same_bits(found[~ordinary], expected[~ordinary])
    assert units(found, truth).max() <= 0.6


def test_powers_are_near_the_truth() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([np.exp(rng.uniform(-90, 88, 100_000)), rng.uniform(0.5, 2, 50_000)]).astype(np.float32)
    y = (rng.normal(size=x.size) * 10 ** rng.uniform(-4, 3, x.size)).astype(np.float32)
    with np.errstate(all="ignore"):
        truth = np.power(x.astype(np.float64), y.astype(np.float64))
    assert units(compiled("pow", 16)(x, y), truth).max() <= 0.6


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -0.5, -1.0, -2.0, 0.375, 5.0, -3.0])
def test_constant_exponents(exponent: float) -> None:
    x = np.abs(samples())
    with np.errstate(all="ignore"):
        truth = np.power(x.astype(np.float64), exponent)
    error = units(compiled("pow", 16, exponent)(x), truth)
    assert error.max() <= 1.9, x[error.argmax()]
    if exponent.is_integer():
        with np.errstate(all="ignore"):
            truth = np.power(-x.astype(np.float64), exponent)
        assert units(compiled("pow", 16, exponent)(-x), truth).max() <= 1.9
