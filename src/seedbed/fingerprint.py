"""What makes an experiment the same experiment: its settings, the hash of its data, its parameters' shapes, its source.

The first three must agree for runs to stand in one study; a difference in source is told, not refused, because a
comment changes it too.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seedbed.copying import fresh_copy
from seedbed.experiments import Data, Experiment, score_names

if TYPE_CHECKING:
    from torch import Tensor, nn

SCHEDULER_STATE = frozenset({"_last_lr", "_step_count", "_get_lr_called_within_step", "_is_initial"})  # no options


@dataclass(frozen=True)
class Fingerprint:
    """The identity of an experiment.

    Attributes:
        settings: batch size, epochs, loss, optimizer with its options, ... as JSON values.
        shapes: parameter and buffer to its type and shape, as text, and whether it is frozen.
        source: role and name, such as ``model Net``, to the text of every class and function of the user's that takes
            part.
    """

    settings: Mapping[str, Any]
    shapes: Mapping[str, str]
    source: Mapping[str, str]

    def differences(self, now: Fingerprint) -> list[str]:
        """What differs in settings and shapes, a line each, with both sides; this one is the stored side."""
        lines = _differences(self.settings, now.settings)
        return lines + [f"parameter {line}" for line in _differences(self.shapes, now.shapes)]

    def changed_source(self, now: Fingerprint) -> list[str]:
        """Names of the classes and functions whose text differs."""
        names = sorted({*self.source, *now.source})
        return [name for name in names if self.source.get(name) != now.source.get(name)]


def _differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    absent = "absent"
    return [
        f"{name}: {stored.get(name, absent)} stored, {now.get(name, absent)} now"
        for name in sorted({*stored, *now})
        if stored.get(name, absent) != now.get(name, absent)
    ]


def take(experiment: Experiment, data: Data, model: nn.Module, optimizer: Any, scheduler: Any) -> Fingerprint:
    """The fingerprint of an experiment, of which one model, optimizer and scheduler have been made."""
    settings = {
        "batch_size": experiment.batch_size,
        "epochs": experiment.epochs,
        "shuffle": experiment.shuffle,
        "drop_last": experiment.drop_last,
        "clip_norm": experiment.clip_norm,
        "clip_value": experiment.clip_value,
        "model": describe(experiment.model),
        "loss": describe(experiment.loss),
        "optimizer": _optimizer(model, optimizer),
        "scheduler": None if scheduler is None else f"{describe(scheduler)} by {experiment.step_scheduler}",
        "scores": list(score_names(experiment, data)),
        "evaluation_batch_size": experiment.evaluation_batch_size,
        "own_split": not isinstance(experiment.data, Data),
        **{f"module {name or 'itself'}": _module(module) for name, module in model.named_modules()},
        # A file may be moved: what it holds is known by the hash of the data.
        **{f"parameter {n}": describe(v) for n, v in experiment.parameters.items() if not isinstance(v, os.PathLike)},
    }
    frozen = {n for n, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    shapes = {
        name: f"{str(value.dtype).removeprefix('torch.')}{_shape(value)}{' frozen' if name in frozen else ''}"
        for name, value in model.state_dict().items()
        if hasattr(value, "dtype")
    }
    return Fingerprint(settings, shapes, _source(experiment, data, model))


def _shape(value: Tensor) -> str:
    from torch.nn.parameter import is_lazy

    return "[not known yet]" if is_lazy(value) else str(list(value.shape))


def _optimizer(model: nn.Module, optimizer: Any) -> str:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        options = ", ".join(f"{k}={v}" for k, v in sorted(group.items()) if k != "params")
        mine = [names.get(id(parameter), "?") for parameter in group["params"]]
        held = "" if set(mine) == set(names.values()) else f" of {', '.join(mine)}"
        groups.append(f"({options}){held}")
    return type(optimizer).__name__ + "; ".join(groups)


def _module(module: nn.Module) -> str:
    """A module's class and options, such as a dropout's share, without what its parameters hold."""
    from torch import Tensor

    options = {
        name: f"tensor{list(value.shape)}" if isinstance(value, Tensor) else describe(value)
        for name, value in vars(module).items()
        if name != "training" and _is_option(module, name, value)
    }
    shown = ", ".join(f"{name}={value}" for name, value in sorted(options.items()))
    return f"{type(module).__qualname__}({shown})"


def _is_option(thing: Any, name: str, value: Any) -> bool:
    """Whether an attribute belongs to an object's description: public, or of a user's class, private and plain."""
    if not name.startswith("_"):
        return True
    from torch import nn

    of_torch = (type(thing).__module__ or "").partition(".")[0] == "torch"
    plain = value is None or isinstance(value, bool | int | float | str | tuple)
    return plain and not of_torch and not name.startswith("__") and name not in vars(nn.Module())


def _closure(function: Any) -> str:
    """The simple values that a function was made with, such as the gamma of ``lambda epoch: gamma ** epoch``."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    held: dict[str, Any] = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            held[name] = cell.cell_contents
    simple = {n: v for n, v in held.items() if isinstance(v, bool | int | float | str | tuple) or v is None}
    return "{" + ", ".join(f"{n}={describe(v)}" for n, v in simple.items()) + "}" if simple else ""


def describe(thing: Any, within: tuple[int, ...] = ()) -> str:
    """Text for an object, equal in every process for equal objects: no addresses, tensors and arrays as hashes.

    ``within`` are the ids of the objects that hold this one: an object that holds itself is described once.
    """
    import numpy as np
    from torch import Tensor

    if isinstance(thing, np.generic):
        thing = thing.item()  # a number, however it was made
    if isinstance(thing, Tensor | np.ndarray):
        kind = "tensor" if isinstance(thing, Tensor) else "array"
        return f"{kind}{list(thing.shape)}:{hash_items([thing])[:8]}"
    if thing is None or isinstance(thing, bool | int | float | str):
        return repr(thing)
    if id(thing) in within:
        return f"{type(thing).__qualname__}(...)"
    inner = functools.partial(describe, within=(*within, id(thing)))
    if isinstance(thing, functools.partial):
        given = [inner(a) for a in thing.args] + [f"{k}={inner(v)}" for k, v in sorted(thing.keywords.items())]
        return f"{inner(thing.func)}({', '.join(given)})"
    if isinstance(thing, tuple | list):
        return f"[{', '.join(map(inner, thing))}]"
    if isinstance(thing, set | frozenset):
        return "{" + ", ".join(sorted(map(inner, thing))) + "}"
    if isinstance(thing, Mapping):
        return "{" + ", ".join(f"{inner(k)}: {inner(v)}" for k, v in thing.items()) + "}"
    if inspect.isclass(thing) or inspect.isroutine(thing):
        return str(getattr(thing, "__qualname__", thing.__class__.__qualname__)) + _closure(thing)
    if not hasattr(thing, "__dict__"):  # such as a dtype, a range or a date: its own text says what it is
        text = repr(thing)
        return type(thing).__qualname__ if " at 0x" in text or isinstance(thing, os.PathLike) else text
    parts = _held(thing)
    parts |= {name: value for name, value in vars(thing).items() if _is_option(thing, name, value)}
    shown = ", ".join(
        f"{name}={inner(value)}"
        for name, value in sorted(parts.items())
        if not (inspect.isroutine(value) or hasattr(value, "param_groups"))  # a scheduler holds its optimizer
    )
    return f"{type(thing).__qualname__}({shown})"


def _held(thing: Any) -> dict[str, Any]:
    """What torch's own objects hold in private attributes and is part of what they are.

    The parts of an nn.Module, such as a loss with class weights; the phases of a scheduler, and the schedulers in it.
    """
    from torch.optim.lr_scheduler import LRScheduler

    values = vars(thing)
    if isinstance(thing, LRScheduler):
        return {name: value for name, value in values.items() if name not in SCHEDULER_STATE}
    parts: dict[str, Any] = {}
    for inner in ("_parameters", "_buffers", "_modules"):
        parts |= values.get(inner) or {}
    return parts


def _source(experiment: Experiment, data: Data, model: nn.Module) -> dict[str, str]:
    things: list[tuple[str, Any]] = [
        ("model", experiment.model),
        ("loss", experiment.loss),
        ("optimizer", experiment.optimizer),
        ("scheduler", experiment.scheduler),
        *(("module", type(module)) for module in model.modules()),
        *((f"metric {name}", experiment.metric(name).compute) for name in experiment.metrics),
        *((f"classify of metric {name}", experiment.metric(name).classify) for name in experiment.metrics),
        *(("data set", type(dataset)) for dataset in (data.train, *data.evaluate.values())),
        ("data", None if isinstance(experiment.data, Data) else experiment.data),
        ("experiment", None if experiment.recipe is None else experiment.recipe.factory),
    ]
    found: dict[str, str] = {}
    for role, given in things:
        thing = given
        while isinstance(thing, functools.partial):
            thing = thing.func
        if thing is None:
            continue
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            thing = type(thing)
        if (getattr(thing, "__module__", None) or "").partition(".")[0] in ("torch", "builtins", "functools"):
            continue
        try:
            text = inspect.getsource(thing)
        except (OSError, TypeError):
            text = "source not available"
        name = f"{role} {thing.__qualname__}"
        if text not in found.setdefault(name, text):
            found[name] += text  # two classes of one name
    return found


def hash_data(data: Data) -> str:
    """A hash of every item of the training and evaluation sets, read under fixed generators.

    A dataset that augments at random is so hashed with the same augmentation each time; one that draws from the clock
    gives another hash each time, and is found out.
    """
    digest = hashlib.blake2b(digest_size=16)
    from seedbed import generators

    with generators.seeded(0):
        for name, dataset in (("training rows", data.train), *data.evaluate.items()):
            digest.update(f"{name}:{len(dataset)}:".encode())  # type: ignore[arg-type]
            digest.update(hash_dataset(dataset).encode())
    return digest.hexdigest()


def hash_dataset(dataset: Any) -> str:
    """A hash of every item of a map-style dataset, in order."""
    from torch.utils.data import TensorDataset

    if type(dataset) is TensorDataset:  # the usual case, without reading row by row
        return hash_items(dataset.tensors)
    own = fresh_copy(dataset)  # reading may change it: training begins from what was made
    return hash_items(own[row] for row in range(len(own)))


def hash_items(items: Iterable[Any]) -> str:
    """A hash of nested tuples, lists and mappings of tensors, arrays, numbers and text: types, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for item in items:
        _update(digest, item)
    return digest.hexdigest()


def hash_state(state: Mapping[str, Tensor]) -> str:
    """The hash of weights: names, types, shapes and bytes of all parameters and buffers, in the module's order."""
    return hash_items(state.items())


def _update(digest: Any, item: Any) -> None:
    import numpy as np
    from torch import Tensor

    if isinstance(item, Tensor):
        plain = item.detach().cpu()
        dense = (plain.to_dense() if plain.is_sparse else plain.resolve_conj().resolve_neg()).contiguous()
        digest.update(f"tensor {dense.dtype} {list(dense.shape)}".encode())
        digest.update(dense.view(-1).view(_bytes_type()).numpy().data if dense.numel() else b"")
    elif isinstance(item, np.ndarray) and item.dtype != object:
        digest.update(f"array {item.dtype} {list(item.shape)}".encode())
        digest.update(np.ascontiguousarray(item).tobytes())
    elif isinstance(item, tuple | list):
        digest.update(f"{len(item)} items".encode())
        for each in item:
            _update(digest, each)
    elif isinstance(item, Mapping):
        digest.update(f"{len(item)} pairs".encode())
        for key, value in item.items():
            _update(digest, (key, value))
    elif item is None or isinstance(item, bool | int | float | str | bytes):
        digest.update(f"{type(item).__name__} {item!r}".encode())
    else:
        digest.update(pickle.dumps(item, protocol=5))


def _bytes_type() -> Any:
    import torch

    return torch.uint8
