"""Batches as torch's DataLoader serves them, bit for bit, and faster where the data set is made of whole tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from seedbed.errors import InputError

Batch = tuple[tuple[Any, ...], Any]  # (inputs, target)


def whole_tensors(dataset: Dataset[Any]) -> tuple[Tensor, ...] | None:
    """The tensors whose rows are the items of ``dataset``; None where items are made by code of their own."""
    if type(dataset) is TensorDataset:  # a subclass may have its own __getitem__
        return dataset.tensors
    if type(dataset) is Subset:
        inner = whole_tensors(dataset.dataset)
        rows = torch.as_tensor(list(dataset.indices), dtype=torch.int64)
        return None if inner is None else tuple(tensor[rows] for tensor in inner)
    return None


class Batches:
    """The training batches of every epoch of one run.

    Draws exactly what ``DataLoader(dataset, batch_size, shuffle, drop_last, generator)`` draws, from the same
    generators: the loader's base seed, then the order of the rows. Whole tensors may lie on any device, where their
    batches are then taken.

    Args:
        workers: processes of the loader that make the items, where there are no whole tensors; none: this one does.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        tensors: tuple[Tensor, ...] | None,
        *,
        batch_size: int,
        shuffle: bool,
        drop_last: bool,
        generator: torch.Generator | None,
        workers: int = 0,
    ) -> None:
        self._dataset, self._tensors, self._generator, self._workers = dataset, tensors, generator, workers
        self._batch_size, self._shuffle, self._drop_last = batch_size, shuffle, drop_last

    def epoch(self) -> Iterator[Batch]:
        """The batches of one more epoch."""
        if self._tensors is None:
            loader = DataLoader(
                self._dataset,
                self._batch_size,
                self._shuffle,
                drop_last=self._drop_last,
                generator=self._generator,
                num_workers=self._workers,
            )
            for items in loader:
                yield split_item(items)
            return
        rows = len(self._tensors[0])
        torch.empty((), dtype=torch.int64).random_(generator=self._generator)  # the loader's base seed, unused
        order = (self._order(rows) if self._shuffle else torch.arange(rows)).to(self._tensors[0].device)
        # Indexing per batch, rather than slicing rows permuted once, keeps every batch at an aligned address: where a
        # tensor starts can change which path a matrix product takes, and so its last bit.
        for chosen in torch.split(order, self._batch_size):
            if self._drop_last and len(chosen) < self._batch_size:
                break
            items = [tensor.index_select(0, chosen) for tensor in self._tensors]
            yield tuple(items[:-1]), items[-1]
        if self._shuffle and self._generator is not None:
            torch.randperm(rows, generator=self._generator)  # the sampler draws one more, and discards it

    def _order(self, rows: int) -> Tensor:
        if self._generator is not None:
            return torch.randperm(rows, generator=self._generator)
        seed = int(torch.empty((), dtype=torch.int64).random_().item())
        return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


def evaluation_batches(dataset: Dataset[Any], tensors: tuple[Tensor, ...] | None, size: int) -> Iterator[Batch]:
    """Every item once, in order, ``size`` rows at a time; copies, as a DataLoader's batches are.

    A model or loss that changes its input in place so never changes the data set.
    """
    if tensors is None:
        for items in DataLoader(dataset, size):
            yield split_item(items)
        return
    for parts in zip(*(torch.split(tensor, size) for tensor in tensors), strict=True):
        *inputs, target = (part.clone() for part in parts)
        yield tuple(inputs), target


def split_item(items: Any) -> Batch:
    """A batch as (inputs, target): the target is the last of the tuple."""
    if not isinstance(items, tuple | list) or len(items) < 2:
        raise InputError(
            f"a dataset's items must be tuples (input, ..., target), got {type(items).__name__}"
            + (f" of {len(items)}" if isinstance(items, tuple | list) else "")
            + ": wrap the dataset so that they are"
        )
    return tuple(items[:-1]), items[-1]
