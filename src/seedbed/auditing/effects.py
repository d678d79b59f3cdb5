"""What an operation of torch reads and writes: as its schema says, and where that says too much.

An operation may be given a tensor and look at its shape alone, overwrite it, or hand back scratch space that is in part
never written to: what such memory holds is none of the operation's doing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_Values = Mapping[str, Any]  # name of an argument to its value
_When = Callable[[_Values], bool]


def _always(_: _Values) -> bool:
    return True


def _no_dropout(given: _Values) -> bool:
    return given.get("dropout_p") == 0


# Results that are scratch space, by their number, and arguments that are: some of it is never written to.
_SCRATCH_RESULTS = {
    "mkldnn_rnn_layer": {3},
    "_cudnn_rnn": {3, 4},
    "_cudnn_rnn_flatten_weight": {0},
    "miopen_rnn": {3, 4},
    "cudnn_batch_norm": {3},
    "_batch_norm_with_update": {3},
    "_ctc_loss": {1},
}
_SCRATCH_ARGUMENTS: dict[str, _When] = {
    **dict.fromkeys(("workspace", "reserve", "reserveSpace", "weight_buf", "log_alpha"), _always),
    # Of attention: a place in a sequence of random numbers, of which none are drawn.
    **dict.fromkeys(("philox_seed", "philox_offset", "rng_state", "unused"), _no_dropout),
    "noise": lambda given: not given.get("training", True),
}

# Operations that give memory as it was found.
ALLOCATING = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted"}
# Operations that give a copy of it: to copy what was never written to does no harm, to look at the copy does.
COPYING = {"clone", "_to_copy"}
# Operations in place that look at nothing of what they overwrite.
_OVERWRITING = {
    "copy_", "fill_", "zero_", "normal_", "uniform_", "bernoulli_", "random_", "exponential_", "cauchy_", "log_normal_",
    "geometric_", "_foreach_copy_", "_foreach_zero_", "eye_", "_philox_normal_", "_philox_uniform_",
    "_fill_mem_eff_dropout_mask_",
}  # fmt: skip
# Operations in place that overwrite a part, and when they do: where nothing was written before, the rest is not looked
# at either.
_OVERWRITING_PARTS: dict[str, _When] = {
    **dict.fromkeys(("masked_fill_", "index_fill_", "index_copy_", "masked_scatter_", "fill_diagonal_"), _always),
    **dict.fromkeys(("index_put_", "_index_put_impl_", "put_"), lambda given: not given.get("accumulate")),
    **dict.fromkeys(("scatter_reduce_", "index_reduce_"), lambda given: not given.get("include_self", True)),
    "scatter_": lambda given: given.get("reduce") is None,
}
# Arguments whose values an operation does not look at, and when.
_UNREAD: dict[tuple[str, str], _When] = {
    ("rrelu_with_noise", "noise"): _always,
    ("rrelu_with_noise_", "noise"): _always,
    ("_fused_sgd_", "momentum_buffer_list"): lambda given: bool(given.get("is_first_step")),
    ("resize_as_", "the_template"): _always,
    ("set_", "source"): _always,
    **{
        (name + end, "self"): lambda given: isinstance(given.get("beta"), int | float) and given["beta"] == 0
        for name in ("addmm", "addmv", "addbmm", "baddbmm", "addr", "_addmm_activation", "sspaddmm")
        for end in ("", "_")
    },
}


@dataclass(frozen=True)
class Argument:
    """A tensor that an operation was given."""

    tensor: Tensor
    is_written: bool
    is_read: bool


@dataclass(frozen=True)
class Call:
    """An operation that is about to run."""

    func: Any
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    given: _Values
    arguments: list[Argument]
    overwrites_part: bool

    @property
    def is_view(self) -> bool:
        """Whether it changes shape or memory of a tensor, and no values."""
        return torch.Tag.inplace_view in getattr(self.func, "tags", ())


def call_of(func: Any, args: Any, kwargs: Any) -> Call:
    """What an operation is about to do with its arguments."""
    packet = getattr(func, "overloadpacket", func)
    name = packet.__name__
    schema = getattr(func, "_schema", None)
    given: dict[str, Any] = {}
    if schema is not None:
        given = {each.name: each.default_value for each in schema.arguments if each.has_default_value()}
        given |= {each.name: value for each, value in zip(schema.arguments, args, strict=False)}
        given |= kwargs
    part = _OVERWRITING_PARTS.get(name)
    call = Call(func, name, args, kwargs, given, [], part is not None and part(given))
    call.arguments.extend(_arguments(call))
    return call


def _arguments(call: Call) -> Iterator[Argument]:
    schema = getattr(call.func, "_schema", None)
    if schema is None:  # an operation on functions
        yield from (Argument(each, False, True) for each in tensors([call.args, call.kwargs]))
        return
    shapes_only = call.func.namespace == "aten" and (call.name.endswith("_like") or call.name.startswith("new_"))
    for argument in schema.arguments:
        if _is_scratch(argument.name, call.given):
            continue
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        is_viewed = argument.alias_info is not None and not is_written  # what comes back is the same memory
        is_overwritten = argument.is_out or (is_written and (call.name in _OVERWRITING or call.is_view))
        unread = _UNREAD.get((call.name, argument.name))
        is_unread = shapes_only or is_viewed or is_overwritten or (unread is not None and unread(call.given))
        for tensor in tensors(call.given.get(argument.name)):
            yield Argument(tensor, is_written, not is_unread)


def _is_scratch(name: str, given: _Values) -> bool:
    when = _SCRATCH_ARGUMENTS.get(name)
    return when is not None and when(given)


def results(call: Call, result: Any) -> Iterator[Tensor]:
    """The tensors that an operation wrote: those that it was given to change, and new ones; no views, no empty ones."""
    if not call.is_view:
        yield from (each.tensor for each in call.arguments if each.is_written)
    if call.name in ALLOCATING:
        return
    schema = getattr(call.func, "_schema", None)
    if schema is None:
        own = {id(each.tensor) for each in call.arguments}
        yield from (each for each in tensors(result) if id(each) not in own)
        return
    returns = schema.returns
    values = result if isinstance(result, tuple | list) and len(returns) > 1 else [result]
    scratch = _SCRATCH_RESULTS.get(call.name, ())
    for number, (described, value) in enumerate(zip(returns, values, strict=False)):
        if described.alias_info is None and number not in scratch and not _is_scratch(described.name, call.given):
            yield from tensors(value)


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in an argument or a result."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
