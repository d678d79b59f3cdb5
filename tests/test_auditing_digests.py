"""Digests of tensors and generators."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import random
import subprocess
import sys
import types
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch._subclasses.functional_tensor import FunctionalTensor, FunctionalTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from seedbed import generators
from seedbed.auditing import digests, states
from seedbed.generators import preserved, saved

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
        (states.of_python, random.random),
        (states.of_numpy, np.random.rand),
        (states.of_torch, lambda: torch.rand(1)),
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
        "from seedbed.auditing import digests as d, states as s;"
        "print(s.of_python(), s.of_numpy(), s.of_torch(), d.of_text('ä'));"
        "print(d.of_value([{'a', 'b', 'c', 1, None}, print, torch.Tensor.add, torch.float32]))"
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


class Wrapper(Tensor):
    """Wraps a tensor in its slot or attribute, and computes nothing."""

    @staticmethod
    def __new__(cls, held: Tensor) -> Any:
        return Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)

    def __init__(self, held: Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError


class Flat(Wrapper):
    """Tells what it wraps."""

    def __tensor_flatten__(self) -> Any:
        return ["held"], {"of": object(), "scale": 2}


class Shown(Tensor):
    """A subclass with data of its own."""


def jagged(*sizes: int, fill: float = 1.0) -> Tensor:
    return torch.nested.nested_tensor([torch.full((size,), fill) for size in sizes], layout=torch.jagged)


def narrowed(lengths: list[int], outside: float) -> Tensor:
    values = torch.full((2, 4), outside)
    for row, length in enumerate(lengths):
        values[row, :length] = 1
    return torch.nested.narrow(values, 1, torch.zeros(2, dtype=torch.int64), torch.tensor(lengths), torch.jagged)


def nested(*sizes: int, fill: float = 1.0) -> Tensor:
    return torch.nested.nested_tensor([torch.full((size,), fill) for size in sizes])


def coo(value: float, twice: bool = False) -> Tensor:
    if twice:
        return torch.sparse_coo_tensor([[1, 1]], [value / 2, value / 2], (3,))
    return torch.sparse_coo_tensor([[1]], [value], (3,)).coalesce()


def quantized(scale: float, value: float = 1.0) -> Tensor:
    return torch.quantize_per_tensor(torch.tensor([value]), scale, 0, torch.qint8)


def channels(*scales: float) -> Tensor:
    return torch.quantize_per_channel(
        torch.tensor([[0.0], [0.0]]), torch.tensor(scales), torch.zeros(2), 0, torch.qint8
    )


UNEQUAL: dict[str, tuple[Callable[[], Any], ...]] = {
    "wrapped": (lambda: Wrapper(torch.ones(2)), lambda: Wrapper(torch.zeros(2))),
    "flattened": (lambda: Flat(torch.ones(2)), lambda: Flat(torch.zeros(2))),
    "subclass": (lambda: torch.ones(2).as_subclass(Shown), lambda: torch.zeros(2).as_subclass(Shown)),
    "jagged": (lambda: jagged(2, 3), lambda: jagged(3, 2), lambda: jagged(2, 3, fill=0.0)),
    "jagged with gaps": (lambda: narrowed([1, 3], 0.0), lambda: narrowed([2, 3], 0.0)),
    "nested": (lambda: nested(2, 3), lambda: nested(3, 2), lambda: nested(2, 3, fill=0.0)),
    "coo": (lambda: coo(1.0), lambda: coo(2.0), lambda: coo(1.0, twice=True), lambda: torch.zeros(3).to_sparse()),
    "csr": (lambda: torch.eye(2).to_sparse_csr(), lambda: torch.ones(2, 2).to_sparse_csr()),
    "csc": (lambda: torch.eye(2).to_sparse_csc(), lambda: torch.ones(2, 2).to_sparse_csc()),
    "bsr": (lambda: torch.eye(2).to_sparse_bsr((1, 1)), lambda: torch.eye(2).to_sparse_bsr((2, 2))),
    "onednn": (lambda: torch.ones(2).to_mkldnn(), lambda: torch.zeros(2).to_mkldnn()),
    "quantized": (lambda: quantized(0.5), lambda: quantized(1.0), lambda: quantized(0.5, 2.0)),
    "quantized by channels": (lambda: channels(0.1, 0.2), lambda: channels(0.1, 0.3)),
    "lazy": (lambda: next(nn.LazyLinear(2).parameters()), lambda: torch.zeros(0)),
    "meta": (lambda: torch.ones(2, device="meta"), lambda: torch.ones(3, device="meta")),
    "conjugate": (lambda: torch.full((2,), 1j).conj(), lambda: torch.full((2,), 1j)),
}


@pytest.mark.filterwarnings("ignore")  # that torch's sparse, nested and quantized tensors are what they are
@pytest.mark.parametrize("kind", UNEQUAL)
@pytest.mark.parametrize("digest", [digests.of_value, lambda value: digests.of_tensors([value])])
def test_tensors_of_other_kinds_are_equal_by_their_content(kind, digest):
    made = [digest(make()) for make in UNEQUAL[kind]]
    assert made == [digest(make()) for make in UNEQUAL[kind]]
    assert len(set(made)) == len(made)


@pytest.mark.filterwarnings("ignore")
def test_what_lies_between_the_rows_of_a_jagged_tensor_is_no_part_of_it():
    assert digests.of_value(narrowed([1, 3], 0.0)) == digests.of_value(narrowed([1, 3], 5.0))


def test_tensors_of_no_memory_have_a_digest_and_are_not_read():
    freed = torch.ones(4)
    freed.untyped_storage().resize_(0)
    with FakeTensorMode():
        fake = torch.ones(4)
    with FunctionalTensorMode():
        functional = FunctionalTensor.to_functional(torch.ones(4))
    for each in (freed, fake, functional):
        assert digests.of_value(each) == digests.of_value(each)
        assert digests.of_tensors([each]) != digests.of_tensors([torch.ones(4)])


def test_sparse_tensors_are_not_made_dense():
    sparse = torch.sparse_coo_tensor([[1]], torch.ones(1, 64), (1 << 40, 64))
    assert digests.of_tensors([sparse]) == digests.of_tensors([sparse.clone()])


@dataclasses.dataclass(slots=True)
class Slotted:
    x: Any
    unset: Any = dataclasses.field(init=False)


@dataclasses.dataclass
class Fields:
    x: Any


class Derived(Slotted):
    __slots__ = ("y",)


class Called:
    def __init__(self, x: Any) -> None:
        self.x = x

    def __call__(self) -> None: ...


class Listed(list):
    def __iter__(self) -> Any:
        raise AssertionError


class Broken(UserDict):
    def items(self) -> Any:
        raise OSError

    def __repr__(self) -> str:
        raise OSError


Pair = namedtuple("Pair", "x y")


def objects(*items: Any) -> Any:
    made = np.empty(len(items), object)
    made[:] = items
    return made


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


VALUES: dict[str, Callable[[Any], Any]] = {
    "slots": lambda x: Slotted(torch.tensor([x])),
    "inherited slots": lambda x: Derived(x),
    "dataclass": Fields,
    "callable": Called,
    "namespace": lambda x: types.SimpleNamespace(x=x),
    "deque": lambda x: deque([x]),
    "range": range,
    "slice": slice,
    "set": lambda x: {x, "a"},
    "frozenset": lambda x: frozenset([x]),
    "views": lambda x: ({x: 1}.keys(), {1: x}.values(), {1: x}.items()),
    "named tuple": lambda x: Pair(x, 1),
    "list of a class": lambda x: Listed([x]),
    "ordered": lambda x: OrderedDict(a=x),
    "mapping": lambda x: types.MappingProxyType({"a": x}),
    "mapping that draws": lambda x: Drawing(x),
    "user's mapping": lambda x: UserDict(a=x),
    "objects": lambda x: objects("a", x, None),
    "objects in fields": lambda x: np.array([(1, x)], [("a", "i1"), ("b", object)]),
    "fields": lambda x: np.array([(1, x)], [("a", "i1"), ("b", "f8")]),
    "long numbers": lambda x: np.array([x], np.longdouble),
    "masked": lambda x: np.ma.array([x, 7], mask=[False, True]),
    "dates": lambda x: np.array([x], "M8[s]"),
    "module": lambda x: linear(x),
    "partial": lambda x: functools.partial(max, x),
    "bytes": lambda x: (bytearray([x]), memoryview(bytes([x]))),
    "path": lambda x: pathlib.PurePath(str(x)),
    "large": lambda x: 10**5000 + x,
    "type": lambda x: [torch.float32, torch.float64][x % 2],
    "class": lambda x: [int, str][x % 2],
    "function": lambda x: [max, min][x % 2],
    "generator": seeded,
    "numpy's generator": np.random.default_rng,
    "numpy's older generator": np.random.RandomState,
    "python's generator": random.Random,
    "deep": lambda x: {"a": {"b": {"c": {"d": {"e": {"f": x}}}}}},
}


def test_what_a_users_mapping_gives_is_not_asked_for():
    torch.manual_seed(0)
    before = states.of_torch()
    digests.of_value(Drawing(1.0))
    assert states.of_torch() == before


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_every_kind_are_equal_by_their_content(kind):
    make = VALUES[kind]
    assert digests.of_value(make(3)) == digests.of_value(make(3))
    assert digests.of_value(make(3)) != digests.of_value(make(4))


class Drawing(Mapping[str, Tensor]):
    """Rows that are made when they are asked for, with noise."""

    def __init__(self, x: float) -> None:
        self.x = x

    def __getitem__(self, name: str) -> Tensor:
        return self.x + torch.randn(1)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


def linear(value: float) -> nn.Module:
    made = nn.Linear(1, 1)
    made.register_forward_hook(lambda *_: None)  # has a number of the process
    nn.init.constant_(made.weight, value)
    nn.init.zeros_(made.bias)
    return made


def test_values_whose_code_raises_are_known_by_their_class():
    assert digests.of_value([Broken(a=1), 2]) != digests.of_value([Broken(a=1), 3])


def test_images_and_tables_are_equal_by_their_content():
    image, pandas = pytest.importorskip("PIL.Image"), pytest.importorskip("pandas")
    for make in (
        lambda x: image.new("RGB", (2, 2), (x, 0, 0)),
        lambda x: image.new("P", (2, 2), x),
        lambda x: pandas.DataFrame({"a": [1, x], "b": ["c", "d"]}),
        lambda x: pandas.Series(["a", str(x)]),
    ):
        assert digests.of_value(make(3)) == digests.of_value(make(3))
        assert digests.of_value(make(3)) != digests.of_value(make(4))


def test_graphs_of_objects_that_know_each_other_are_quickly_done():
    nodes = [types.SimpleNamespace(number=number) for number in range(60)]
    for node in nodes:
        node.others = nodes
    found = digests.of_value(nodes)
    nodes[-1].number = -1
    assert digests.of_value(nodes) != found


def test_what_is_in_one_place_twice_is_equal_to_two_that_are_equal():
    once = [1, torch.ones(2)]
    assert digests.of_value([once, once]) == digests.of_value([once, [1, torch.ones(2)]])


def test_transforms_of_functions_end_nothing_and_what_they_wrap_is_looked_into():
    weights = torch.arange(6.0).reshape(2, 3).t()
    model = nn.Linear(2, 2)

    def outside() -> tuple[Any, ...]:
        return digests.of_tensors([weights]), digests.of_structure(model), states.of_generators(), generators.states()

    plain, within, wrapped = outside(), [], []

    def do(x: Tensor) -> Tensor:
        with preserved():
            within.append(outside())
        wrapped.append((digests.of_tensors([x]), digests.of_value(x)))
        return (x * x).sum()

    transforms = (torch.func.grad, torch.func.jacrev, torch.func.vmap, torch.func.functionalize)
    for transform in transforms:
        for value in (0.0, 1.0):
            transform(do)(torch.full((1, 3), value))
    assert within == [plain] * 2 * len(transforms)
    assert all(one != other for one, other in zip(wrapped[::2], wrapped[1::2], strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_modes_and_traces_of_the_users_see_nothing():
    calls = []

    class Dispatch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
            calls.append(func)
            return func(*args, **(kwargs or {}))

    class Function(TorchFunctionMode):
        def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
            calls.append(func)
            return func(*args, **(kwargs or {}))

    own, weights, sparse = nn.Linear(2, 2), torch.ones(2, 3).t(), torch.eye(2).to_sparse()

    def look() -> None:
        digests.of_tensors([*own.parameters(), weights, sparse])
        digests.of_value({"a": weights})
        states.of_generators()
        saved()()
        generators.states()

    with Dispatch(), Function():
        look()
    assert calls == []

    def traced(x: Tensor) -> Tensor:
        digests.of_tensors([x.t()])
        digests.of_value((x, weights))
        return x * 2

    graph = str(torch.jit.trace(traced, torch.ones(2, 2)).graph)
    assert "detach" not in graph
    assert "aten::mul" in graph


def test_another_bit_generator_of_numpy_has_a_digest_too():
    before = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(3))
        found, state, put_back = states.of_numpy(), generators.states(), saved()
        np.random.rand()
        assert states.of_numpy() != found
        assert generators.states() != state
        np.random.set_bit_generator(before)
        put_back()
        assert (states.of_numpy(), generators.states()) == (found, state)
    finally:
        np.random.set_bit_generator(before)
