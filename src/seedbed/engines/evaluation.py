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
from seedbed.building import fast_path_off, make_model
from seedbed.copying import copy_or_reason, fresh_copy
from seedbed.devices import CPU, Device, moved
from seedbed.engines.batches import evaluation_batches, whole_tensors
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment
from seedbed.fingerprint import hash_dataset
from seedbed.metrics import Metric
from seedbed.records import EvaluationSet


@dataclass(frozen=True)
class _Set:
    dataset: Dataset[Any]
    tensors: tuple[Tensor, ...] | None


class Evaluator:
    """The evaluation sets of an experiment, made ready once and used for every run.

    Models compute on their ``device``; metrics and the loss are of what they gave, on the processor.
    """

    def __init__(self, experiment: Experiment, data: Data, device: Device = CPU) -> None:
        self._experiment, self._data, self._device = experiment, data, device
        self._sets = {name: _Set(dataset, whole_tensors(dataset)) for name, dataset in data.evaluate.items()}
        metrics = [experiment.metric(name) for name in experiment.metrics]
        self._classifier = next((metric for metric in metrics if metric.classify is not None), None)
        self._loss_is_stateless = type(experiment.loss).__module__ == "torch.nn.modules.loss"

    def scores(self, model: nn.Module) -> dict[str, float]:
        """Every metric and the loss on every evaluation set, by name; of a model that goes on in training.

        Raises:
            InputError: the model cannot be copied, so that its evaluation would change what follows.
        """
        with _undisturbed(model, goes_on=True) as own:
            return self._examined(own)[0]

    def examine(self, model: nn.Module) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
        """The scores, and what was predicted for each example of each set: classes, or values; at a training's end."""
        with _undisturbed(model) as own:
            return self._examined(own)

    def examine_in_place(self, model: nn.Module) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
        """As ``examine``, of a model that is needed no more: it may be changed, and generators are not put back."""
        model.eval()
        return self._examined(model)

    def _examined(self, own: nn.Module) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
        scores: dict[str, float] = {}
        predictions: dict[str, NDArray[Any]] = {}
        with torch.no_grad():
            for name in self._sets:
                outputs, targets = self._outputs(own, name)
                for metric in self._experiment.metrics:
                    scores[f"{name}/{metric}"] = self._experiment.metric(metric)(_own(outputs), _own(targets))
                scores[f"{name}/loss"] = self._loss(_own(outputs), _own(targets))
                recorded = self._recorded(name, outputs, targets)
                if recorded is not None:
                    predictions[name] = recorded
        return scores, predictions

    def describe(self, model: nn.Module) -> tuple[EvaluationSet, ...]:
        """What a study stores of each evaluation set. ``model`` is any model of the experiment."""
        described = []
        train_hash = hash_dataset(self._data.train)
        with _undisturbed(model) as own, torch.no_grad():
            for name, each in self._sets.items():
                outputs, targets = self._outputs(own, name)
                recorded = isinstance(targets, Tensor) and self._recorded(name, outputs, targets) is not None
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
            if self._device.is_processor:
                outputs.append(_own(model(*inputs)))  # a model may write every batch into the same tensor
            else:
                outputs.append(moved(model(*moved(inputs, self._device.where)), CPU.where))
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
        own = self._experiment.loss if self._loss_is_stateless else fresh_copy(self._experiment.loss)
        loss = own(outputs, targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shown = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise InputError(f"loss must return a tensor of one element, got {shown}")
        return float(loss.item())

    def _classes(self, outputs: Any, targets: Any) -> int | None:
        if self._classifier is not None:
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
            and not (outputs.is_complex() or targets.is_floating_point() or targets.is_complex())
        )

    def _recorded(self, name: str, outputs: Any, targets: Any) -> NDArray[Any] | None:
        if self._classifier is not None:
            return self._classified(self._classifier, name, outputs, targets)
        if self._are_classes(outputs, targets):
            return np.asarray(outputs.argmax(1).cpu().numpy())
        if isinstance(outputs, Tensor) and not outputs.is_complex():
            return np.asarray(outputs.float().cpu().numpy())
        return None

    def _classified(self, metric: Metric, name: str, outputs: Any, targets: Any) -> NDArray[Any]:
        assert metric.classify is not None
        classes, count = metric.classify(_own(outputs)), self._classes(outputs, targets)
        if not isinstance(classes, Tensor) or classes.is_floating_point() or classes.is_complex():
            came = classes.dtype if isinstance(classes, Tensor) else type(classes).__name__
            raise InputError(f"classify of metric {metric.name!r} must return a tensor of whole numbers, got {came}")
        found = np.asarray(classes.cpu().numpy())
        for extreme in (int(found.min()), int(found.max())) if found.size else ():
            if count is not None and not 0 <= extreme < count:
                raise InputError(
                    f"classify of metric {metric.name!r} must return classes from 0 to {count - 1}, as many as the "
                    f"model has outputs, but gave {extreme} for an example of {name!r}"
                )
        return found


def evaluation_draws(experiment: Experiment, data: Data) -> bool:
    """Whether evaluating a model, or a metric or the loss, draws from global generators on CPU."""
    with generators.seeded(0), fast_path_off():
        model = make_model(experiment)
        before = generators.states()
        Evaluator(experiment, data).examine_in_place(model)
        return generators.states() != before


def _as_array(targets: Tensor) -> NDArray[Any]:
    plain = targets.cpu().resolve_conj().resolve_neg()
    return plain.float().numpy() if plain.dtype in (torch.bfloat16, torch.float16) else plain.numpy()


def _own(value: Any) -> Any:
    """Outputs or targets for one callable alone, so that what it changes in place no other sees.

    A tensor that takes part in a gradient is handed on as it is: a copy would not lead back to it.
    """
    if isinstance(value, Tensor):
        return value if value.requires_grad and not isinstance(value, nn.Parameter) else value.detach().clone()
    if type(value) in (tuple, list):
        return type(value)(map(_own, value))
    if type(value) is dict:
        return {key: _own(each) for key, each in value.items()}
    return fresh_copy(value)


@contextlib.contextmanager
def _undisturbed(model: nn.Module, *, goes_on: bool = False) -> Iterator[nn.Module]:
    """A model to evaluate: a copy, so that no counter or buffer of the one in training moves; generators put back.

    A model that cannot be copied is evaluated itself, with its modes and buffers put back afterwards; not where its
    training ``goes_on``.
    """
    own, reason = copy_or_reason(model)
    if goes_on and reason is not None:
        raise InputError(
            f"curves cannot be kept: the model cannot be copied ({reason}), and evaluating itself would change its "
            f"training. Let it hold no such thing, give it a __deepcopy__, or leave curves out: it is then evaluated "
            f"at its end alone"
        )
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
