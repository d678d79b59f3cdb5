"""The training rows as whole tensors, from which the batches of many runs are taken at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from seedbed import generators, memory
from seedbed.copying import fresh_copy
from seedbed.engines.batches import split_item, whole_tensors
from seedbed.engines.unsupported import Unsupported
from seedbed.experiments import Data

MEMORY_SHARE = 0.25  # of what is free, that the items of a data set may take


def whole_rows(dataset: Dataset[Any]) -> tuple[Tensor, ...]:
    """All items of a data set, each part of them a tensor [rows, ...], the target last.

    A data set that makes its items by code of its own is read twice, the second time from its end: items must be the
    same each time they are asked for.

    Raises:
        Unsupported: items are no tensors of one shape, differ from time to time, or do not fit into memory.
    """
    tensors = whole_tensors(dataset)
    if tensors is not None:
        if len(tensors) < 2:
            raise Unsupported("the training rows have no target: a TensorDataset of one tensor")
        return tensors
    name = f"the training rows are a {type(dataset).__name__}"
    own, rows = fresh_copy(dataset), range(len(dataset))  # type: ignore[arg-type]
    _check_size(name, own, len(rows))
    with generators.preserved():
        before = generators.states()
        first = _read(name, own, rows)
        again = _read(name, own, reversed(rows))
        drawn = generators.states() != before
    if drawn:
        raise Unsupported(f"{name}, whose items are drawn at random anew each time, as augmentations are")
    if not all(_same_bytes(one, other.flip(0)) for one, other in zip(first, again, strict=True)):
        raise Unsupported(f"{name}, whose items are others each time they are asked for")
    return first


def in_memory(data: Data, train: tuple[Tensor, ...]) -> Data:
    """The same data, whose sets are whole tensors; those that cannot be are left as they are.

    Args:
        train: the training rows, read already.
    """

    def held(dataset: Dataset[Any]) -> Dataset[Any]:
        if dataset is data.train:
            return whole
        try:
            return TensorDataset(*whole_rows(dataset))
        except Unsupported:
            return dataset

    whole = TensorDataset(*train)
    return Data(train=whole, evaluate={name: held(dataset) for name, dataset in data.evaluate.items()})


def _check_size(name: str, dataset: Any, rows: int) -> None:
    with generators.preserved():
        parts = (
            [each for each in dataset[0] if isinstance(each, Tensor)] if isinstance(dataset[0], tuple | list) else []
        )
    needed, free = rows * sum(each.numel() * each.element_size() for each in parts), memory.available()
    if needed > MEMORY_SHARE * free:
        raise Unsupported(
            f"{name} of {needed / 2**20:,.0f} MiB, too much to be held in memory as one ({free / 2**20:,.0f} MiB are "
            f"free)"
        )


def _read(name: str, dataset: Any, rows: Any) -> tuple[Tensor, ...]:
    try:
        items = default_collate([dataset[row] for row in rows])
    except (RuntimeError, TypeError, ValueError) as error:
        raise Unsupported(f"{name}, whose items make no tensors ({' '.join(str(error).split())[:120]})") from error
    inputs, target = split_item(items)
    parts = (*inputs, target)
    for part in parts:
        if not isinstance(part, Tensor):
            raise Unsupported(f"{name}, in whose items there is a {type(part).__name__} and no tensor")
    return parts


def _same_bytes(one: Tensor, other: Tensor) -> bool:
    a, b = (each.contiguous().view(-1).view(torch.uint8) if each.numel() else each for each in (one, other))
    return torch.equal(a, b)
