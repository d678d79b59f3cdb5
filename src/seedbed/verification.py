"""Hold a fast engine to the reference engine: one step from the same state, and whole trainings.

A fast engine starts from the same initial weights and serves the same rows and masks; what follows differs by rounding,
and training makes that larger, by how much depends on the experiment. So two gaps are measured. The *step gap*, after
one step, is rounding and no more: both engines are compared with the same step in float64. The *final gap* is set
beside what becomes, in the reference engine alone, of a nudge of one initial weight by one unit in its last place.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from seedbed import engines, environment, generators
from seedbed.agreement import Gap, Verification, predicted_otherwise
from seedbed.building import fast_path_off, make_data
from seedbed.devices import CPU, Device, moved
from seedbed.engines.batches import whole_tensors
from seedbed.engines.reference import Run
from seedbed.engines.task import TrainingTask
from seedbed.errors import StoreError, WorkerError
from seedbed.executors import Output, ProcessExecutor, Progress, why_not_sendable
from seedbed.experiments import Data, Experiment
from seedbed.records import Recording, RunResult, Status
from seedbed.seeds import Assignment
from seedbed.store import dismiss, load, recall, remember, witnesses
from seedbed.study import Study
from seedbed.torch_settings import applied, torch_settings

STEPS_VERIFIED = 4  # runs whose first step is compared
# A step of one engine may be so many times as far from the float64 step as the reference engine's own is. Sums taken in
# another order and functions that round otherwise differ by a few units in the last place; a wrong one by millions.
STEP_FACTOR = 50.0
# Rounding now and then moves a value over the kink of a relu, or makes another one the largest of a pool, and with it a
# gradient by far more than it rounds. How far, is seen in steps of the reference engine from weights shaken by one ulp;
# and it happens in few runs, so that of several one may lie beyond the bound.
SHAKEN = 4
STEP_FLOOR = 64 * 2.0**-24  # relative to the largest weight: where the reference engine's step happens to be exact

_Rows = tuple[Data, Any]  # of a split, and the whole tensors of its training rows on a device


def chosen(study: str, assignments: Sequence[Assignment], count: int = STEPS_VERIFIED) -> list[Assignment]:
    """The runs to verify: the same ones each time, and nobody's choice, by a hash of the study and their seeds."""

    def place(assignment: Assignment) -> bytes:
        return hashlib.blake2b(f"{study}\0{assignment.key}".encode(), digest_size=8).digest()

    return sorted(assignments, key=place)[:count]


def witness(
    study: str, environment: str, assignments: Sequence[Assignment], store: str | os.PathLike[str]
) -> str | None:
    """The key of the run whose weights are to be kept until the study is verified, so that it need not be trained
    again for it; None where that is done, or one is kept."""
    try:
        if recall(study, environment, store) is not None or witnesses(study, environment, store).keys:
            return None
    except StoreError:  # there is none yet, or it is told when it is opened to write
        pass
    return chosen(study, assignments, 1)[0].key


def ensure(
    experiment: Experiment,
    study: Study,
    store: str | os.PathLike[str],
    said: Callable[[str], None],
    device: Device = CPU,
    settings: Mapping[str, Any] | None = None,
) -> Verification | None:
    """What is known of how far a study's runs lie from the reference engine's; found out where it is not known yet.

    Args:
        said: told before it begins, since it takes as long as a run by the reference engine or two.
        device, settings: that compute, and torch's settings there; those of this process where not given.

    Returns:
        None for the reference engine itself, and where no run of the study has ended well.
    """
    if study.identity.engine == "reference":
        return None
    device.prepare()
    settings = torch_settings(device) if settings is None else settings
    engine = engines.make(study.identity.engine, study.identity.engine_settings, device)
    here = environment.capture(engine.environment, device, settings).hash
    known = recall(study.name, here, store)
    if known is not None:
        dismiss(study.name, store)  # what another process has kept meanwhile
        return known
    whole = load(study.name, store)
    ended = [run.assignment for run in whole.runs if run.status is Status.DONE and run.environment == here]
    if not ended:
        dismiss(study.name, store)
        return None
    if reason := why_not_sendable(replace(experiment)):  # its data and not its recipe, as it is sent below
        said(f"{study.name} is not verified, since that is done in worker processes: {reason}")
        dismiss(study.name, store)
        return None
    said(f"verifying {study.name}: a run is trained by the reference engine too, twice (--no-verify leaves it out)")
    own = _witness(whole, chosen(study.name, ended, len(ended)), here, store)
    picked, threads = chosen(study.name, ended), study.identity.threads
    if own is not None:
        picked = [own.assignment, *(each for each in picked if each != own.assignment)][:STEPS_VERIFIED]
    with applied(settings, device, threads):  # on which the engine's bits may depend
        found = verify(experiment, engine, picked, study.identity.primary, threads, device, own)
    remember(study.name, here, found, store)
    return found


def _witness(
    study: Study, ordered: Sequence[Assignment], environment: str, store: str | os.PathLike[str]
) -> RunResult | None:
    """A run as it is stored, with its weights and predictions, where these were kept; the first of them in order."""
    stored = witnesses(study.name, environment, store)
    first = next((each for each in ordered if each.key in stored.keys), None)
    weights = None if first is None else stored.weights(first.key)
    if first is None or weights is None:
        return None
    run = study.run(first)
    predictions = {}
    for each in study.archive.evaluation_sets(study.name, first.split):
        values = study.archive.predictions(study.name, each.name, first.key).get(first.key)
        if values is not None:
            predictions[each.name] = values
    return RunResult(first, run.status, scores=run.scores, predictions=predictions, weights=weights)


def verify(
    experiment: Experiment,
    engine: engines.Engine,
    assignments: Sequence[Assignment],
    primary: str,
    threads: int = 1,
    device: Device = CPU,
    own: RunResult | None = None,
) -> Verification:
    """Compare an engine with the reference engine on these runs: a step of each, and the first one trained whole.

    Both compute on the same device, as torch is set in this process.

    Args:
        own: the first run as the engine has trained it; where not given it is trained now.
    """
    trainer = engine.trainer(experiment, Recording(weights=True))
    after = trainer.weights_after_one_step(assignments)
    steps, step_reference, scale = [], 0.0, 0.0
    rows: dict[int, _Rows] = {}
    for assignment, found in zip(assignments, after, strict=True):
        if assignment.split not in rows:
            data = make_data(experiment, assignment.split)
            rows = {assignment.split: (data, moved(whole_tensors(data.train), device.where))}  # one at a time
        on = rows[assignment.split]
        reference = _one_step(experiment, assignment, torch.float32, device, on)
        exact = _one_step(experiment, assignment, torch.float64, device, on)
        truth = exact if exact is not None else reference
        assert reference is not None
        assert truth is not None
        steps.append(_difference(found, truth))
        shaken = replace(experiment, model=Shaken(experiment.model))
        others = [_one_step(shaken, assignment, torch.float32, device, on) for _ in range(SHAKEN)]
        for each in (reference, *others):
            assert each is not None
            step_reference = max(step_reference, _difference(each, truth))
        scale = max(scale, max((float(v.abs().max()) for v in truth.values() if v.numel()), default=0.0))
    # Of several runs one may lie further off: see SHAKEN.
    step = sorted(steps)[-2] if len(steps) > 2 else max(steps)
    bound = max(STEP_FACTOR * step_reference, STEP_FLOOR * scale)
    first = assignments[0]
    rows.clear()
    device.release()
    plain, nudged = _trained_by_reference(experiment, first, threads, device)
    if own is None or own.predictions.keys() != plain.predictions.keys():
        (own,) = trainer.train([first])
    final = _gap(own, plain, primary)
    return Verification(
        engine=engine.name,
        seeds=tuple(each.label for each in assignments),
        step=step,
        step_reference=step_reference,
        step_bound=bound,
        final=final,
        one_ulp=_gap(nudged, plain, primary),
        examples=sum(len(each) for each in plain.predictions.values()),
        primary=primary,
    )


def _one_step(
    experiment: Experiment, assignment: Assignment, dtype: torch.dtype, device: Device, rows: _Rows
) -> dict[str, Tensor] | None:
    """The reference engine's weights and buffers after one step; None where the model has no step in float64."""
    data, tensors = rows
    with generators.preserved(), fast_path_off():
        run = Run(experiment, data, tensors, assignment, device)
        if dtype is torch.float64:
            try:
                run.widen()
                run.one_step()
            except RuntimeError:  # something in it is of 32 bits by its own choice
                return None
        else:
            run.one_step()
        return {name: value.detach().double() for name, value in run.model.state_dict().items()}


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    worst = 0.0
    for name, value in one.items():
        a, b = (torch.as_tensor(each).cpu().double() for each in (value, other[name]))
        same = (a == b) | (a.isnan() & b.isnan())
        gap = torch.where(same, 0.0, (a - b).abs())
        worst = max(worst, float(gap.nan_to_num(nan=math.inf).max()) if gap.numel() else 0.0)
    return worst


@dataclass(frozen=True)
class Nudged:
    """A model maker of whose first parameter the largest weight is one unit in the last place larger.

    The largest, because the ulp of a small weight may be lost in the first sum it is part of.
    """

    model: Callable[[], nn.Module]

    def __call__(self) -> nn.Module:
        """The model, nudged."""
        made = self.model()
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.requires_grad and parameter.numel():
                    flat = parameter.view(-1)
                    place = int(flat.abs().argmax())
                    flat[place] = torch.nextafter(flat[place], torch.full_like(flat[place], math.inf))
                    break
        return made


class Shaken:
    """A model maker whose models have every weight moved by one unit in the last place up, down or not at all; each
    model otherwise, from a generator of its own."""

    def __init__(self, model: Callable[[], nn.Module]) -> None:
        self._model, self._generator = model, torch.Generator().manual_seed(0)

    def __call__(self) -> nn.Module:
        """The model, shaken."""
        made = self._model()
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.is_floating_point():
                    towards = torch.randint(-1, 2, parameter.shape, generator=self._generator) * math.inf
                    moved = torch.nextafter(parameter, towards.to(parameter.dtype))
                    parameter.copy_(torch.where(towards.isnan(), parameter, moved))
        return made


def _trained_by_reference(
    experiment: Experiment, assignment: Assignment, threads: int, device: Device
) -> tuple[RunResult, RunResult]:
    """The run trained by the reference engine as it is, and nudged; side by side in two processes."""
    found: dict[int, RunResult | BaseException] = {}
    settings = torch_settings(device)

    def train(position: int, what: Experiment) -> None:
        from seedbed import fingerprint

        task = TrainingTask(
            what,
            "reference",
            {},
            Recording(weights=True),
            threads,
            {assignment.split: fingerprint.hash_data(make_data(what, assignment.split))},
            settings,
            device.name,
        )
        try:
            with closing(ProcessExecutor(1).run(task, iter([[assignment]]))) as results:  # type: ignore[type-var]
                for each in results:
                    if not isinstance(each, Output | Progress):
                        (found[position],) = each
        except BaseException as error:
            found[position] = error

    both = (experiment, replace(experiment, model=Nudged(experiment.model)))
    with generators.preserved():
        running = [threading.Thread(target=train, args=each) for each in enumerate(both)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    results = []
    for position in range(2):
        result = found[position]
        if isinstance(result, BaseException):
            raise result
        if result.status is Status.FAILED:
            raise WorkerError(f"seed {assignment} could not be trained by the reference engine: {result.error}")
        results.append(result)
    return results[0], results[1]


def _gap(one: RunResult, other: RunResult, primary: str) -> Gap | None:
    from safetensors.torch import load

    if Status.DONE not in (one.status, other.status) or one.status is not other.status:
        return None
    assert one.weights is not None
    assert other.weights is not None
    return Gap(
        weights=_difference(load(one.weights), load(other.weights)),
        predictions=sum(
            predicted_otherwise(one.predictions[name], other.predictions[name]) for name in one.predictions
        ),
        score=abs(one.scores[primary] - other.scores[primary]),
    )
