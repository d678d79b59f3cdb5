"""Evaluate a model on every set of an experiment without changing one bit of its training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from seedbed import generators
from seedbed.engines.batches import evaluation_batches, whole_tensors
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment, fresh_copy
from seedbed.fingerprint import hash_dataset
from seedbed.records import EvaluationSet


@dataclass(frozen=True)
class _Set:
    dataset: Dataset[Any]
    tensors: tuple[Tensor, ...] | None


class Evaluator:
    """The evaluation sets of an experiment, made ready once and used for every run."""

    def __init__(self, experiment: Experiment, data: Data) -> None:
        self._experiment, self._data = experiment, data
        self._sets = {name: _Set(dataset, whole_tensors(dataset)) for name, dataset in data.evaluate.items()}
        self._classify = next(
            (c for name in experiment.metrics if (c := experiment.metric(name).classify) is not None), None
        )

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Every metric and the loss on every evaluation set, by name."""
        return self.examine(model)[0]

    def examine(self, model: nn.Module) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
        """The scores, and what was predicted for each example of each set: classes, or values."""
        scores: dict[str, float] = {}
        predictions: dict[str, NDArray[Any]] = {}
        with _undisturbed(model) as own, torch.no_grad():
            for name in self._sets:
                outputs, targets = self._outputs(own, name)
                for metric in self._experiment.metrics:
                    scores[f"{name}/{metric}"] = self._experiment.metric(metric)(outputs, targets)
                scores[f"{name}/loss"] = self._loss(outputs, targets)
                recorded = self._recorded(outputs, targets)
                if recorded is not None:
                    predictions[name] = recorded.cpu().numpy()
        return scores, predictions

    def describe(self, model: nn.Module) -> tuple[EvaluationSet, ...]:
        """What a study stores of each evaluation set. ``model`` is any model of the experiment."""
        described = []
        train_hash = hash_dataset(self._data.train)
        with _undisturbed(model) as own, torch.no_grad():
            for name, each in self._sets.items():
                outputs, targets = self._outputs(own, name)
                recorded = isinstance(targets, Tensor) and self._recorded(outputs, targets) is not None
                is_train = each.dataset is self._data.train or hash_dataset(each.dataset) == train_hash
                described.append(
                    EvaluationSet(
                        name=name,
                        examples=len(each.dataset),  # type: ignore[arg-type]
                        held_out=not is_train,
                        classes=self._classes(outputs, targets),
                        targets=_as_array(targets) if recorded else np.zeros(0),
                    )
                )
        return tuple(described)

    def _outputs(self, model: nn.Module, name: str) -> tuple[Any, Any]:
        each, outputs, targets = self._sets[name], [], []
        dataset = each.dataset if each.tensors is not None else fresh_copy(each.dataset)
        for inputs, target in evaluation_batches(dataset, each.tensors, self._experiment.evaluation_batch_size):
            outputs.append(model(*inputs))
            targets.append(target)
        if len(outputs) == 1:
            return outputs[0], targets[0]
        if not all(isinstance(part, Tensor) for part in (*outputs, *targets)):
            raise InputError(
                f"evaluation set {name!r} is larger than evaluation_batch_size, and outputs or targets that are no "
                f"tensors cannot be joined: raise evaluation_batch_size to at least its size"
            )
        return torch.cat(outputs), torch.cat(targets)

    def _loss(self, outputs: Any, targets: Any) -> float:
        loss = fresh_copy(self._experiment.loss)(outputs, targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shown = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise InputError(f"loss must return a tensor of one element, got {shown}")
        return float(loss.item())

    def _classes(self, outputs: Any, targets: Any) -> int | None:
        if self._classify is not None:
            return outputs.shape[1] if outputs.ndim > 1 and targets.ndim < outputs.ndim else 2
        if self._are_classes(outputs, targets):
            return int(outputs.shape[1])
        return None

    @staticmethod
    def _are_classes(outputs: Any, targets: Any) -> bool:
        return (
            isinstance(outputs, Tensor)
            and isinstance(targets, Tensor)
            and outputs.ndim == targets.ndim + 1
            and not (targets.is_floating_point() or targets.is_complex())
        )

    def _recorded(self, outputs: Any, targets: Any) -> Any:
        if self._classify is not None:
            return self._classify(outputs)
        if self._are_classes(outputs, targets):
            return outputs.argmax(1)
        return outputs.float() if isinstance(outputs, Tensor) else None


def _as_array(targets: Tensor) -> NDArray[Any]:
    plain = targets.cpu()
    return plain.float().numpy() if plain.dtype in (torch.bfloat16, torch.float16) else plain.numpy()


@contextlib.contextmanager
def _undisturbed(model: nn.Module) -> Iterator[nn.Module]:
    """A model to evaluate: a copy, so that no counter or buffer of the one in training moves; generators put back.

    A model that cannot be copied is evaluated itself, with its modes and buffers put back afterwards.
    """
    own = fresh_copy(model)
    modes = {module: module.training for module in own.modules()}  # each its own: parts may be frozen
    buffers: Mapping[str, Tensor] = {} if own is not model else {n: b.clone() for n, b in own.named_buffers()}
    with generators.preserved():
        try:
            own.eval()
            yield own
        finally:
            for module, training in modes.items():
                module.training = training
            for name, before in buffers.items():
                own.get_buffer(name).copy_(before)
