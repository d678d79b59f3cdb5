"""Train one run of an experiment under a setting, observed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Subset

from seedbed import engines, fingerprint, generators
from seedbed.auditing.observing import Enough, Observer, save_snapshot
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind
from seedbed.building import fast_path_off, make_data, make_model
from seedbed.copying import fresh_copy
from seedbed.devices import moved, parse
from seedbed.engines.batches import whole_tensors
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.reference import Run
from seedbed.engines.results import failed, finished
from seedbed.experiments import Data, Experiment
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from seedbed.tasks import Telling

ROWS_SEEN = 64  # of sets that are made row by row, where a few steps are asked for only


def train_by_reference(
    experiment: Experiment,
    assignment: Assignment,
    setting: Setting,
    observer: Observer,
    told: Telling,
    rows_seen: int | None = None,
) -> tuple[RunResult, dict[str, Any]]:
    """Train by the reference engine, every step observed. What the user's code raises is a failed result.

    Args:
        rows_seen: of sets that are made row by row; None: all.
    """
    since = time.perf_counter()
    device = parse(setting.device)
    notes: dict[str, Any] = {}
    try:
        data = make_data(experiment, assignment.split)
        _see_data(data, observer, rows_seen)
        tensors = moved(whole_tensors(data.train), device.where)
        notes["loads_items"] = tensors is None
        evaluator = Evaluator(experiment, data, device)
        with generators.preserved(), fast_path_off():
            run = Run(experiment, data, tensors, assignment, device, setting.workers or 0)
            observer.made(run.model)
            narrow = {name: value.dtype for name, value in run.model.state_dict().items()}
            if setting.wide:
                run.widen()
            try:
                for epoch in range(1, experiment.epochs + 1):
                    run.train_epoch(observer)
                    if setting.evaluation:
                        evaluator.scores(run.model)
                    told(epoch / experiment.epochs)
            except Enough:
                pass
            model: nn.Module = _narrowed(run.model, narrow) if setting.wide else run.model
            result = finished(
                assignment, model, evaluator, Recording(), never_finite=run.never_finite, curves={}, curve_epochs=(),
                since=since,
            )  # fmt: skip
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        return failed(assignment, error, since=since), notes
    return result, notes


def _narrowed(model: nn.Module, types: Mapping[str, torch.dtype]) -> nn.Module:
    """A copy of a model with its parameters and buffers of the types that they had."""
    own: nn.Module = fresh_copy(model)
    for name, value in [*own.named_parameters(), *own.named_buffers()]:
        if name in types:
            value.data = value.data.to(types[name])
    return own


def _see_data(data: Data, observer: Observer, rows: int | None) -> None:
    """Every item of every set; of sets whose items are made one by one so many, where rows are given."""
    with generators.seeded(0):
        for name, dataset in (("training rows", data.train), *data.evaluate.items()):
            seen: Any = dataset
            if rows is not None and whole_tensors(dataset) is None:
                seen = Subset(fresh_copy(dataset), range(min(rows, len(dataset))))  # type: ignore[arg-type]
            observer.add(Kind.DATA, name, int(fingerprint.hash_dataset(seen)[:16], 16))


def train_by_engine(
    experiment: Experiment, assignment: Assignment, setting: Setting, folder: Path, limit: int | None
) -> RunResult:
    """Train by another engine: its weights after one step, and at the end, are kept as snapshots.

    With a limit it takes the first step only.
    """
    since = time.perf_counter()
    try:
        data = make_data(experiment, assignment.split)
        device = parse(setting.device)
        engine = engines.choose(setting.engine, experiment, data, device=device, threads=setting.threads).engine
        with generators.seeded(0):
            names = [name for name, _ in make_model(experiment).named_parameters()]
        trainer = engine.trainer(experiment, Recording(weights=True))
        (after,) = trainer.weights_after_one_step([assignment])
        save_snapshot(folder, 1, [after[name] for name in names])
        if limit is not None:
            return RunResult(assignment, Status.DONE)
        (result,) = trainer.train([assignment])
        if result.weights is not None:
            from safetensors.torch import load

            weights = load(result.weights)
            steps = experiment.epochs * steps_per_epoch(experiment, data)
            save_snapshot(folder, steps, [weights[name] for name in names])
    except (Exception, SystemExit) as error:
        return failed(assignment, error, since=since)
    return result


def steps_per_epoch(experiment: Experiment, data: Data) -> int:
    """Steps that an epoch of an experiment takes."""
    rows = len(data.train)  # type: ignore[arg-type]
    return rows // experiment.batch_size + (0 if experiment.drop_last or not rows % experiment.batch_size else 1)
