"""Digests of tensors, and of whatever values hold them. Quick, and the same on any number of threads.

Tensors are compared by their bytes, not by what is printed of them: 0.0 and -0.0 are two values, and so is what differs
beyond the printed digits. Whatever a digest cannot look into, such as a tensor without data, it knows by its type and
shape. To observe a run never ends it, and none of the user's modes, transforms and traces sees it.
"""

from __future__ import annotations

import array
import datetime
import decimal
import fractions
import functools
import pathlib
import random
import sys
import types
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seedbed.aside import Aside

DEEPEST = 8  # levels of values within values that are looked at
_PLAIN = (Tensor, nn.Parameter)
_ROWS = (torch.sparse_csr, torch.sparse_bsr)  # whose rows are compressed
_COLUMNS = (torch.sparse_csc, torch.sparse_bsc)


def of_tensors(tensors: Iterable[Tensor]) -> int:
    """A digest of the bytes of tensors, in their order."""
    digest = xxhash.xxh3_64()
    own = list(tensors)
    with Aside():
        for tensor in own:
            digest.update(_content(tensor))
    return int(digest.intdigest())


def content(tensor: Tensor) -> Any:
    """The bytes of a tensor, row by row, as something that can be hashed or written; of one that has several parts,
    such as a sparse one, a digest of these; of one that holds none, what is known of it."""
    with Aside():
        return _content(tensor)


def _content(tensor: Tensor) -> Any:
    try:
        if type(tensor) in _PLAIN and tensor.is_cpu and tensor.data_ptr():
            bytes_of_it = tensor.detach().numpy()
            if bytes_of_it.flags.c_contiguous:
                return bytes_of_it
    except (TypeError, RuntimeError):  # what numpy knows nothing of
        pass
    try:
        return _bytes(tensor)
    except Exception:  # without data, or of a class of the user's own
        return _named(tensor)


def _named(tensor: Tensor) -> bytes:
    return f"{type(tensor).__name__} {_shape(tensor)}".encode()


def _unwrapped(tensor: Tensor) -> Tensor:
    """What transforms of functions have wrapped, which has no memory of its own, and must not be asked for it."""
    while True:
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            tensor = torch._C._functorch.get_unwrapped(tensor)
        elif torch._is_functional_tensor(tensor):
            tensor = torch._from_functional_tensor(tensor)
        else:
            return tensor


def _bytes(tensor: Tensor) -> Any:
    inner = _unwrapped(tensor)
    if inner is not tensor:
        return _content(inner)
    if _holds_nothing(tensor):
        return _named(tensor)
    parts = _parts(tensor)
    if parts is not None:
        return _joined(_named(tensor), *parts)
    plain = tensor.detach()
    if plain.layout is not torch.strided:  # oneDNN's own
        plain = plain.to_dense()
    if not plain.is_cpu:
        plain = plain.cpu()
    if plain.is_conj() or plain.is_neg():
        plain = plain.resolve_conj().resolve_neg()
    if not plain.is_contiguous():
        plain = plain.contiguous()
    if not plain.numel():
        return b""
    if not plain.data_ptr():  # its memory was given back
        return _named(tensor)
    try:
        return plain.numpy()
    except TypeError:  # numpy has no such type
        return plain.view(-1).view(torch.uint8).numpy()


def _holds_nothing(tensor: Tensor) -> bool:
    """Whether a tensor has no numbers, or none that can be had now."""
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    return (
        is_lazy(tensor)
        or tensor.is_meta
        or (fake is not None and isinstance(tensor, fake.FakeTensor))
        or (tensor.is_cuda and is_capturing())
    )


def is_capturing() -> bool:
    """Whether a graph of CUDA is being captured: to copy anything to the processor, or to wait, would end that."""
    return bool(torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]


def _parts(tensor: Any) -> list[Any] | None:
    """Of a tensor that consists of others their bytes, and what else it is; None of a plain one."""
    if tensor.layout is torch.jagged:
        return _jagged_parts(tensor)
    if torch._C._dispatch_keys(tensor).has(torch._C.DispatchKey.Python):
        return _wrapped_parts(tensor)
    plain = tensor.detach()
    if plain.is_nested:
        return [_content(part) for part in plain.unbind()]
    if plain.layout is torch.sparse_coo:  # as it is: neither made dense nor coalesced, which takes memory and rounds
        return [b"coalesced" if plain.is_coalesced() else b"", _content(plain._indices()), _content(plain._values())]
    if plain.layout in (*_ROWS, *_COLUMNS):
        by_rows = plain.layout in _ROWS
        places = (plain.crow_indices(), plain.col_indices()) if by_rows else (plain.ccol_indices(), plain.row_indices())
        values = plain.values()
        return [f"{plain.layout} {list(values.shape)}".encode(), *map(_content, (*places, values))]
    if plain.is_quantized:
        scheme = plain.qscheme()
        if scheme in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            scale: Any = [plain.q_scale(), plain.q_zero_point()]
        else:
            scale = [plain.q_per_channel_axis(), plain.q_per_channel_scales(), plain.q_per_channel_zero_points()]
        return [f"{scheme}".encode(), _Values().digest(scale), _content(plain.int_repr())]
    return None


def numbers(tensor: Any) -> list[Tensor]:
    """The floating-point numbers of a tensor, flat, complex ones as pairs, in one or more tensors on its device: none
    of one that has none, or of which they cannot be had."""
    try:
        with Aside():
            return list(_numbers(tensor))
    except Exception:  # of a class of the user's own
        return []


def _numbers(tensor: Any) -> Iterator[Tensor]:
    tensor = _unwrapped(tensor)
    if _holds_nothing(tensor):
        return
    if tensor.layout is torch.jagged:
        yield from _numbers(tensor._values)
    elif torch._C._dispatch_keys(tensor).has(torch._C.DispatchKey.Python) and (held := _held(tensor)):
        for _, each in held:
            if isinstance(each, Tensor):
                yield from _numbers(each)
    else:
        yield from _plain_numbers(tensor.detach())


def _plain_numbers(plain: Tensor) -> Iterator[Tensor]:
    if plain.is_nested:
        for part in plain.unbind():
            yield from _plain_numbers(part)
        return
    if plain.layout is torch.sparse_coo:
        plain = plain._values()
    elif plain.layout in (*_ROWS, *_COLUMNS):
        plain = plain.values()
    elif plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.is_complex():
        plain = torch.view_as_real(plain.resolve_conj())
    has_memory = not plain.numel() or plain.data_ptr()
    if plain.is_floating_point() and has_memory:
        flat = plain.reshape(-1)
        flat[:1].to(torch.float32)  # raises where these are numbers in name only
        yield flat


def _held(tensor: Any) -> list[tuple[str, Any]]:
    """What a subclass that computes by itself wraps, name to value."""
    if hasattr(type(tensor), "__tensor_flatten__"):
        return [(name, getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0]]
    return list(_attributes(tensor))


def _jagged_parts(tensor: Any) -> list[Any]:
    values, offsets, lengths, ragged = tensor._values, tensor._offsets, tensor._lengths, tensor._ragged_idx
    if lengths is None:
        return [f"{ragged}".encode(), _content(offsets), _content(values)]
    places = zip(offsets.tolist(), lengths.tolist(), strict=False)  # between its rows there are numbers of others
    rows = (values.detach().narrow(ragged - 1, begin, length) for begin, length in places)
    return [f"{ragged}".encode(), _content(lengths), *map(_content, rows)]


def _wrapped_parts(tensor: Any) -> list[Any] | None:
    """Of a subclass that computes by itself: the tensors that it wraps; None where it wraps none."""
    held = _held(tensor)
    context = tensor.__tensor_flatten__()[1] if hasattr(type(tensor), "__tensor_flatten__") else None
    return [_Values().digest([held, _plain_only(context)])] if held else None


def _plain_only(value: Any) -> Any:
    """What a subclass keeps beside its tensors, without objects: such as a mesh of devices, which knows its process."""
    if isinstance(value, tuple | list):
        return [_plain_only(each) for each in value]
    if isinstance(value, dict):
        return [(_plain_only(name), _plain_only(each)) for name, each in value.items()]
    return value if _leaf(value) is not None else type(value).__qualname__


def _joined(*pieces: Any) -> bytes:
    digest = xxhash.xxh3_128()
    for piece in pieces:
        digest.update(xxhash.xxh3_128_digest(piece))
    return digest.digest()


def _shape(tensor: Any) -> str:
    if is_lazy(tensor):
        return "of no shape yet"
    try:
        if tensor.is_nested and tensor.layout is torch.strided:
            return f"{tensor.dtype} nested {tensor._nested_tensor_size().tolist()}"
        sizes = ", ".join(str(each) if isinstance(each, int) else "ragged" for each in tensor.shape)
    except Exception:  # of a class of the user's own
        sizes = "of unknown size"
    return f"{tensor.dtype} [{sizes}]"


def of_value(value: Any) -> int:
    """A digest of tensors, arrays, numbers and text, nested in tuples, lists, sets, mappings and objects of any class;
    what is none of these, and functions, are known by their name or class."""
    with Aside():
        return int.from_bytes(_Values().digest(value), "big")


#: Whose repr is all that they are.
_TOLD = (
    np.generic, np.dtype, torch.dtype, torch.device, torch.layout, torch.memory_format, range, types.EllipsisType,
    datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID,
)  # fmt: skip
_BASES: tuple[Any, ...] = (float, complex, str, bytes)
_BUFFERS = (bytearray, memoryview, array.array)
_WHOLE = (Tensor, np.ndarray)
_SEQUENCES: tuple[Any, ...] = (tuple, list, deque)
_VIEWS: tuple[Any, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_CODE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


def _leaf(value: Any) -> bytes | None:
    """All of a value in which there is no other; None where it is none such."""
    if value is None:
        return b"None"
    name = type(value).__name__
    if isinstance(value, int):
        return f"{name} {int.__format__(value, 'x')}".encode()  # any number of digits, which decimals have not
    for base in _BASES:
        if isinstance(value, base):  # and not the repr of a subclass, which may be the user's
            return f"{name} {base.__repr__(value)}".encode(errors="surrogatepass")
    if isinstance(value, _TOLD):
        return f"{name} {value!r}".encode(errors="surrogatepass")
    if isinstance(value, pathlib.PurePath):
        return f"{name} {value!s}".encode(errors="surrogatepass")
    if isinstance(value, _BUFFERS):
        return f"{name} ".encode() + bytes(value)
    return value.__qualname__.encode() if isinstance(value, _CODE) else None


class _Values:
    """Digests of values in one another. What is met again at its level is not looked at again: a graph of objects is
    as quick as its objects are many."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Any, bytes]] = {}  # the values too, so that no other gets their id

    def digest(self, value: Any, depth: int = 0) -> bytes:
        """Eight bytes."""
        kind = type(value)
        is_whole = kind in _PLAIN or isinstance(value, _WHOLE)
        if not is_whole and kind not in _SEQUENCES and kind is not dict:
            try:
                leaf = _leaf(value)
            except Exception:  # of a class of the user's own
                leaf = kind.__qualname__.encode()
            if leaf is not None:
                return xxhash.xxh3_64_digest(leaf)
        if depth == DEEPEST and not is_whole:
            return xxhash.xxh3_64_digest(kind.__qualname__.encode())
        key = id(value), 0 if is_whole else depth
        known = self._known.get(key)
        if known is not None:
            return known[1]
        found = xxhash.xxh3_64()
        try:
            for piece in self._pieces(value, depth + 1):
                found.update(piece)
        except Exception:  # what its own code raises
            found = xxhash.xxh3_64(kind.__qualname__.encode())
        made = found.digest()
        self._known[key] = value, made
        return made

    def _pieces(self, value: Any, depth: int) -> Iterator[Any]:
        if isinstance(value, Tensor):
            yield f"tensor {_shape(value)}".encode()
            yield _content(value)
            return
        kind = type(value)
        yield kind.__qualname__.encode()
        if isinstance(value, np.ndarray):
            yield from self._of_array(value, depth)
        elif isinstance(value, nn.Module):  # its hooks have numbers of the process
            yield of_structure(value).to_bytes(8, "big")
            yield of_tensors(state_of(value)).to_bytes(8, "big")
        elif isinstance(value, set | frozenset):
            yield from sorted(self.digest(each, depth) for each in value)
        elif isinstance(value, _VIEWS):
            yield from self._all(value, depth)
        elif isinstance(value, _SEQUENCES):
            (base,) = (each for each in _SEQUENCES if isinstance(value, each))
            yield from self._all(base.__iter__(value), depth)
            if kind is not base:
                yield from self._named(_attributes(value), depth)
        elif isinstance(value, dict):
            own: Any = OrderedDict if isinstance(value, OrderedDict) else dict
            yield from self._named(own.items(value), depth)
            if kind is not dict and getattr(value, "__dict__", None) is not value:
                yield from self._named(_attributes(value), depth)
        elif isinstance(value, types.MappingProxyType):
            yield from self._named(value.items(), depth)
        else:
            yield from self._of_object(value, depth)

    def _all(self, values: Iterable[Any], depth: int) -> Iterator[bytes]:
        count = 0
        for count, each in enumerate(values, 1):  # noqa: B007
            yield self.digest(each, depth)
        yield b"%d" % count

    def _named(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> Iterator[bytes]:
        return self._all((each for pair in pairs for each in pair), depth)

    def _of_array(self, value: Any, depth: int) -> Iterator[Any]:
        yield f"{value.dtype} {list(value.shape)}".encode()
        if isinstance(value, np.ma.MaskedArray):  # what is masked holds anything
            mask = np.ma.getmaskarray(value)
            seen = [mask, np.asarray(value)[~mask]] if value.dtype.names is None else value.tolist()
            yield from self._all(seen, depth)
        elif value.dtype.names is not None:  # between its fields there may be gaps
            yield from self._all([value[name] for name in value.dtype.names], depth)
        elif value.dtype.hasobject or value.dtype.char in "gG":  # numbers of 80 bits lie in 128
            yield from self._all(np.asarray(value).ravel().tolist(), depth)
        else:
            yield np.ascontiguousarray(value).tobytes()

    def _of_object(self, value: Any, depth: int) -> Iterator[bytes]:
        pandas = sys.modules.get("pandas")
        if isinstance(value, torch.Generator):
            capturing = value.device.type == "cuda" and is_capturing()
            yield b"" if capturing else _content(value.get_state())
        elif isinstance(value, random.Random):
            yield self.digest(value.getstate(), depth)
        elif isinstance(value, np.random.Generator):
            yield self.digest(value.bit_generator.state, depth)
        elif isinstance(value, np.random.RandomState):
            yield self.digest(value.get_state(legacy=False), depth)
        elif isinstance(value, slice):
            yield from self._all((value.start, value.stop, value.step), depth)
        elif isinstance(value, functools.partial):
            yield from self._all((value.func, value.args, value.keywords), depth)
        elif any(each.__module__.startswith("PIL.") for each in type(value).__mro__) and hasattr(value, "getpalette"):
            yield from self._all((value.mode, value.getpalette(), np.asarray(value)), depth)
        elif pandas is not None and isinstance(value, pandas.DataFrame):
            columns = [value.iloc[:, place].to_numpy() for place in range(value.shape[1])]
            yield from self._all([value.columns.to_numpy(), value.index.to_numpy(), *columns], depth)
        elif pandas is not None and isinstance(value, pandas.Series):
            yield from self._all((value.index.to_numpy(), value.to_numpy()), depth)
        elif not isinstance(value, types.ModuleType):
            if hasattr(type(value), "__array_interface__"):
                yield self.digest(np.asarray(value), depth)
            yield from self._named(_attributes(value), depth)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, name to value: in its ``__dict__``, and in its ``__slots__``."""
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        yield from sorted(own.items(), key=lambda pair: str(pair[0]))
    for kind in type(value).__mro__:
        if "__slots__" in vars(kind):
            for name, member in vars(kind).items():
                if isinstance(member, types.MemberDescriptorType):
                    try:
                        yield name, member.__get__(value)
                    except AttributeError:  # not set
                        continue


def of_text(text: str) -> int:
    """A digest of a text."""
    return int(xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass")))


def state_of(model: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of a model, each once, in its own order."""
    # Not by its own methods of these names, which may be of the user's, and another thing.
    yield from (each for _, each in nn.Module.named_parameters(model))
    yield from buffers_of(model)


def buffers_of(model: nn.Module) -> Iterator[Tensor]:
    """The buffers of a model, each once, in its own order."""
    yield from (each for _, each in nn.Module.named_buffers(model))


def of_structure(model: nn.Module) -> int:
    """A digest of the names, types and shapes of a model's parameters and buffers."""
    return of_text("; ".join(f"{name} {shape}" for name, shape in structure(model).items()))


def structure(model: nn.Module) -> dict[str, str]:
    """Parameter or buffer to its type and shape, as text."""
    named = [*nn.Module.named_parameters(model), *nn.Module.named_buffers(model)]
    with Aside():
        return {name: _shape(value) for name, value in named}
