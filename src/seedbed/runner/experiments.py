"""The plan of an experiment's runs: whether it can be trained, by which engine, as which study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from seedbed import devices, engines, environment, fingerprint, generators, verification
from seedbed.blame import blamed
from seedbed.building import make_data, make_model, make_optimizer, make_scheduler
from seedbed.devices import Device
from seedbed.engines.evaluation import Evaluator
from seedbed.engines.preflight import check_on_device, check_runs, warn_of_what_is_not_copied
from seedbed.engines.task import TrainingTask
from seedbed.errors import IdentityError, InputError
from seedbed.executors import check_sendable
from seedbed.experiments import Data, Experiment, larger_is_better, primary_score, score_names, written
from seedbed.records import SplitData
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.seeds import Assignment
from seedbed.store import Wanted, stored_engine
from seedbed.study import StudyIdentity
from seedbed.torch_settings import applied, settings_for


def prepare_experiment(experiment: Experiment, assignments: tuple[Assignment, ...], options: Options) -> Plan:
    """Decide how these runs of an experiment are computed, and find out whether they can be.

    Raises:
        InputError: the experiment cannot be used.
        IdentityError: its data are others each time they are made.
    """
    engine, settings, device = _asked(options, options.name or experiment.study_name)
    device.check()
    if options.on is None:
        device = device.settled()
    device.prepare()
    recording, threads = options.recording, options.threads
    splits: dict[int, SplitData] = {}
    with blamed(f"{experiment.name} cannot be trained"), generators.seeded(0):
        first: Data | None = None
        again = experiment if experiment.recipe is None else experiment.recipe.build()
        for split in dict.fromkeys(assignment.split for assignment in assignments):
            data = make_data(experiment, split)
            first = first or data
            if list(data.evaluate) != list(first.evaluate):
                raise InputError(
                    f"every split must have the same evaluation sets; split {split} has {', '.join(data.evaluate)}, "
                    f"another {', '.join(first.evaluate)}"
                )
            evaluator = Evaluator(experiment, data)
            data_hash = fingerprint.hash_data(data)
            if again.data is not data:  # they can be made a second time
                _check_repeatable(experiment, data_hash, fingerprint.hash_data(make_data(again, split)))
            splits[split] = SplitData(data_hash, evaluator.describe(make_model(experiment)))
        assert first is not None  # there is at least one assignment
        warn_of_what_is_not_copied(experiment, first)
        model = make_model(experiment)
        optimizer = make_optimizer(experiment, model)
        taken = fingerprint.take(experiment, first, model, optimizer, make_scheduler(experiment, optimizer))
        check_runs(experiment, first, curves=recording.curve_stride is not None)
    torch_settings = settings_for(device, determined=options.deterministic)
    if not device.is_processor:
        _check_on_device(experiment, first, device, torch_settings)
    runs, workers = options.portion(len(assignments), device)
    with applied(torch_settings, device):
        choice = engines.choose(
            engine, experiment, first, device=device, threads=threads, settings=settings, runs=runs, workers=workers
        )
    chosen = choice.engine
    if options.on is not None or (options.workers != 0 and not chosen.in_threads):
        check_sendable(experiment.name, experiment)
    identity = StudyIdentity(
        name=options.name or experiment.study_name,
        experiment=experiment.name,
        parameters={key: written(value) for key, value in experiment.parameters.items()},
        fingerprint=taken,
        engine=chosen.name,
        engine_settings=dict(chosen.settings),
        threads=threads,
        device=device.kind,
        primary=primary_score(experiment, first),
        larger_is_better={score: larger_is_better(experiment, score) for score in score_names(experiment, first)},
        result_line=experiment.result_line,
    )
    here = environment.capture(chosen.environment, device, torch_settings)
    if options.verify and options.examples and identity.engine != "reference" and options.keep_weights == "none":
        among = assignments if options.expected is None else assignments[: verification.STEPS_VERIFIED]
        recording = replace(recording, witness=verification.witness(identity.name, here.hash, among, options.store))
    task = TrainingTask(
        experiment,
        identity.engine,
        identity.engine_settings,
        recording,
        threads,
        {split: each.data_hash for split, each in splits.items()},
        torch_settings,
        device.name,
    )
    wanted = Wanted(
        curve_epochs=recording.curve_epochs(experiment.epochs),
        examples=recording.examples and any(each.targets.size for split in splits.values() for each in split.sets),
        weights=options.keep_weights == "all",
    )
    return Plan(
        assignments=assignments,
        task=task,
        block_size=chosen.block_size,
        in_threads=chosen.in_threads,
        identity=identity,
        environment=here,
        splits=splits,
        wanted=wanted,
        keep_weights=options.keep_weights,
        notice=choice.line,
        on_cores=device.is_processor,
    )


def _asked(options: Options, study: str) -> tuple[str, Mapping[str, Any] | None, Device]:
    """The engine that is asked for, its settings where they are given, and the device: a study goes on by those it
    began with."""
    begun = stored_engine(study, options.store)
    if begun is not None and begun.engine not in engines.ENGINES:  # of a trial, which is told when it is opened
        begun = None
    engine = options.engine
    device = devices.parse(options.device or (begun.device if begun is not None else "cpu"))
    _check_device(options, device)
    if options.stack is not None:
        if engine not in ("auto", "stacked"):
            raise InputError(f"stack is a setting of the stacked engine, and the {engine} engine is asked for")
        return "stacked", {"stack": options.stack}, device
    if begun is not None and engine in ("auto", begun.engine):
        return begun.engine, begun.settings, device
    return engine, None, device


def _check_device(options: Options, device: Device) -> None:
    """Raise an InputError where a device and what else is asked for do not go together."""
    if device.is_processor:
        if not options.deterministic:
            raise InputError(
                "deterministic=False is for GPUs: on a processor torch is taken as this process has set it"
            )
        return
    if options.on is not None and device.index is not None:
        raise InputError(f"a cluster chooses the GPU: give device {device.kind}, not {device.name}")
    if options.on is not None and not options.gpus_per_task:
        raise InputError(
            f"device {device.name} is asked for, and a cluster gives its processes no GPU unless it is told how many "
            f"each takes: give gpus_per_task (--gpus-per-task 1)"
        )
    if options.largest_part is not None and options.stack is None and options.engine != "reference":
        raise InputError("how many runs a GPU holds is another number on each: give stack (--stack) with a shard")


def _check_on_device(experiment: Experiment, data: Data, device: Device, settings: Mapping[str, Any]) -> None:
    """Take a few steps there, under the settings that runs will have."""
    with applied(settings, device), blamed(f"{experiment.name} cannot be trained on {device.name}"):
        try:
            check_on_device(experiment, data, device)
        except RuntimeError as error:
            if "deterministic" in str(error) and settings["deterministic_algorithms"] == "error":
                raise _undetermined(error) from error
            raise
        finally:
            device.release()


def _undetermined(error: RuntimeError) -> InputError:
    """That an operation may give other bits each time, and the way out."""
    if "CUBLAS_WORKSPACE_CONFIG" in str(error):
        return InputError(
            "cuBLAS was used in this process before it was told to give the same bits each time: set "
            "CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment before Python is started"
        )
    return InputError(
        f"{str(error).partition('. ')[0]}; --nondeterministic (deterministic=False) lets it, and a run may then end "
        f"otherwise each time"
    )


def _check_repeatable(experiment: Experiment, first: str, second: str) -> None:
    if first != second:
        raise IdentityError(
            f"the data of {experiment.name} differ each time they are made (hash {first}, then {second}): something "
            f"draws them without a seed, such as a numpy.random.default_rng() without an argument. Give it one"
        )
