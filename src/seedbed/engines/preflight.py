"""Try an experiment before anything is stored: what would go wrong in every run is told here, and changes nothing."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from seedbed import generators
from seedbed.building import fast_path_off, make_model
from seedbed.copying import copy_or_reason
from seedbed.devices import Device, moved
from seedbed.engines.batches import whole_tensors
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.reference import Run
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment
from seedbed.fingerprint import hash_state
from seedbed.seeds import Assignment

SCHEDULE_SECONDS = 3.0  # spent at most on the steps of a scheduler: enough for about a million


def check_runs(experiment: Experiment, data: Data, *, curves: bool) -> None:
    """Evaluate once and take a few training steps, on models that are thrown away.

    What a user's code raises here it would raise in every run.

    Raises:
        InputError: two models share memory that training changes; the schedule ends too early; or, where curves are
            asked for, an evaluation changes what follows in training.
    """
    tensors, rows = whole_tensors(data.train), len(data.train)  # type: ignore[arg-type]
    with generators.seeded(0), fast_path_off():
        shared = _SharedMemory(make_model(experiment), make_model(experiment))
        try:
            run = Run(experiment, data, tensors, Assignment.plain(0))
            shared.refuse(shared.trained_by(run.optimizer))
            Evaluator(experiment, data).examine(run.model)
            run.try_steps(0 if experiment.drop_last else rows % experiment.batch_size)
            shared.refuse(shared.changed())
        finally:
            shared.put_back()
        _check_schedule(experiment, run, rows)
        if curves:
            _check_evaluation(experiment, data)


def check_on_device(experiment: Experiment, data: Data, device: Device) -> None:
    """Take a few training steps and evaluate once on another device than the processor."""
    tensors, rows = moved(whole_tensors(data.train), device.where), len(data.train)  # type: ignore[arg-type]
    with generators.seeded(0), fast_path_off():
        run = Run(experiment, data, tensors, Assignment.plain(0), device)
        run.try_steps(0 if experiment.drop_last else rows % experiment.batch_size)
        Evaluator(experiment, data, device).examine(run.model)


class _SharedMemory:
    """What two modules of one experiment share, as it was before anything trained on it."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        others = {storage.data_ptr() for _, storage in _storages(_tensors(other))}
        self._names: dict[int, list[str]] = {}
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        for name, storage in _storages(_tensors(one)):
            address = storage.data_ptr()
            if address in others:
                self._names.setdefault(address, []).append(name)
                self._before.setdefault(address, (storage, storage.clone()))  # type: ignore[no-untyped-call]

    def trained_by(self, optimizer: torch.optim.Optimizer) -> list[int]:
        """The memory of parameters that the optimizer moves, if not in its first step then later."""
        held = (p for group in optimizer.param_groups for p in group["params"] if p.requires_grad)
        moved = {storage.data_ptr() for _, storage in _storages(("", p) for p in held)}
        return [address for address in self._before if address in moved]

    def changed(self) -> list[int]:
        """The memory that is no longer as it was, byte for byte."""
        return [a for a, (now, before) in self._before.items() if not torch.equal(_bytes(now), _bytes(before))]

    def put_back(self) -> None:
        """Make all of it as it was."""
        for now, before in self._before.values():
            now.copy_(before)

    def refuse(self, addresses: Iterable[int]) -> None:
        """An InputError that names the parameters and buffers there, if there are any."""
        names = [name for address in addresses for name in self._names[address]]
        if names:
            raise InputError(
                f"model must make a new module each time it is called, but two calls gave modules that share the "
                f"memory of {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}, which "
                f"training changes, so that each run would go on from the one before: make the module inside the "
                f"function; where it is made from a tensor of yours, clone it inside the function, as in "
                f"nn.Embedding.from_pretrained(W.clone(), freeze=False)"
            )


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _storages(tensors: Iterable[tuple[str, Tensor]]) -> Iterable[tuple[str, torch.UntypedStorage]]:
    for name, tensor in tensors:
        if is_lazy(tensor) or tensor.layout != torch.strided or not tensor.numel():
            continue
        with contextlib.suppress(RuntimeError, NotImplementedError):  # a kind of tensor that has no memory of its own
            yield name, tensor.untyped_storage()


def _bytes(storage: torch.UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _check_schedule(experiment: Experiment, run: Run, rows: int) -> None:
    """Take the scheduler of a run that is thrown away through all its steps: some end before the training does."""
    if run.scheduler is None:
        return
    batches = rows // experiment.batch_size if experiment.drop_last else math.ceil(rows / experiment.batch_size)
    by_batch = experiment.step_scheduler == "batch"
    steps = experiment.epochs * (batches if by_batch else 1)
    deadline = time.monotonic() + SCHEDULE_SECONDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again in training
        for step in range(1, steps + 1):
            try:
                run.scheduler.step()
            except Exception as error:
                each = f"{experiment.epochs} epochs of {batches} batches" if by_batch else f"{steps} epochs"
                raise InputError(
                    f"the scheduler is stepped {steps} times ({each}), and fails at step {step}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            if time.monotonic() > deadline:
                return


def _check_evaluation(experiment: Experiment, data: Data) -> None:
    """Train two steps with an evaluation between them, and without: the bits must be the same."""
    tensors, evaluator = whole_tensors(data.train), Evaluator(experiment, data)

    def trained(between: Callable[[Run], object]) -> str:
        run = Run(experiment, data, tensors, Assignment.plain(0))
        run.two_steps(lambda: between(run))
        return hash_state(run.model.state_dict())

    with_evaluation, without = trained(lambda run: evaluator.scores(run.model)), trained(lambda run: None)
    if with_evaluation != without and without == trained(lambda run: None):  # else training itself is not repeatable
        raise InputError(
            "curves cannot be kept: an evaluation between two training steps changed the weights that came of the "
            "second. Something outlives the copy of the model that is evaluated, such as a hook that counts its "
            "calls, or a data set that cannot be copied: let it be an attribute of the model, or leave curves out"
        )


def warn_of_what_is_not_copied(experiment: Experiment, data: Data) -> None:
    """One warning of all data sets, and the loss, whose state one run would leave to the next."""
    things = {"the training rows": data.train, **{f"the evaluation set {n!r}": d for n, d in data.evaluate.items()}}
    things = {what: dataset for what, dataset in things.items() if whole_tensors(dataset) is None}
    kept: dict[str, list[str]] = {}  # by class and reason
    for what, thing in (*things.items(), ("the loss", experiment.loss)):
        reason = copy_or_reason(thing)[1]
        if reason is not None:
            kept.setdefault(f"{type(thing).__name__}: {reason}", []).append(what)
    if kept:
        shown = "; ".join(f"{' and '.join(whats)} ({reason})" for reason, whats in kept.items())
        warnings.warn(
            f"what cannot be copied is used as it is, by all runs of a process: {shown}. Where using it changes it (a "
            f"generator or counter of its own), a run depends on those before it and on the number of workers. Open "
            f"files where they are read, or give its class a __deepcopy__",
            RuntimeWarning,
            stacklevel=2,
        )
