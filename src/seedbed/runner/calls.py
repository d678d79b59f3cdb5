"""Run an experiment under many seeds: plan, engine, executor, store. Under seeds that are given, or as many as a rule
asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Literal, Unpack

from seedbed import devices
from seedbed.agreement import Verification
from seedbed.blame import blamed
from seedbed.errors import InputError
from seedbed.executors.places import Slurm
from seedbed.experiments import Experiment
from seedbed.runner.callbacks import Callback, Callbacks
from seedbed.runner.options import KeepWeights, Options, RunOptions
from seedbed.runner.preparing import Subject, check_caller, check_watcher, prepare
from seedbed.runner.session import Session, Silent, Watcher, opened
from seedbed.runner.until import LookingWatcher, Still, until_it_holds
from seedbed.seeds import Assignment, SeedsLike, as_assignments, check_seed
from seedbed.stats.checks import count
from seedbed.stopped import Stopped
from seedbed.stopping import Decided, FixedWidth, Stein, parse_until
from seedbed.store import DEFAULT, load
from seedbed.study import Study
from seedbed.torch_settings import settings_for

MOST = 10_000  # seeds that a rule may take unless told otherwise
EXPECTED = 64  # that it is expected to take, where settings are proposed from their number


def run(
    experiment: Subject,
    seeds: SeedsLike,
    *,
    split: int = 0,
    engine: str = "auto",
    store: str | os.PathLike[str] = DEFAULT,
    name: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    stack: int | None = None,
    device: str | None = None,
    deterministic: bool = True,
    curves: int | None = None,
    keep_weights: KeepWeights = "none",
    examples: bool = True,
    mixed: bool = False,
    verify: bool | Literal["later"] = True,
    retries: int = 0,
    on: str | None = None,
    cpus_per_task: int | None = None,
    gpus_per_task: int | None = None,
    slurm: Slurm | None = None,
    largest_part: int | None = None,
    watcher: Watcher | None = None,
    callbacks: Sequence[Callback] = (),
) -> Study:
    """Run an experiment, trial or program under many seeds and return the study of these runs, in their order.

    Runs that are stored already are not computed again; each new one (of lanes: each block) is committed as it
    finishes, so an interrupted call goes on where it stopped when it is made again.

    Args:
        experiment: what to run: an Experiment, a function decorated with ``seedbed.trial``, or a ``Program``.
        seeds: ``range(1000)``, a list, text such as ``"0:10,3407"``, assignments, or a ``grid``.
        split: the split seed of plain seeds.
        engine: ``auto`` or an engine's name.
        store: a SQLite file, or a database URL.
        name: of the study; where not given, the experiment's name with its parameters that are not defaults.
        workers: processes, where not given as many as there are cores for (cores / threads); for the lanes engine
            threads, where not given two more than cores. On a GPU one, where not given. 0 computes in this process and
            thread.
        threads: torch's threads in each run; fixed at the study's first run.
        stack: how many runs the stacked engine trains as one, fixed at the study's first run: a run's bits depend on
            it. Where not given, as many as memory holds and the machine gains from, in blocks that are about full.
        device: ``cpu``, ``cuda``, or one of several GPUs as in ``cuda:1``; fixed in its kind at the study's first run,
            and ``cpu`` where nothing is given.
        deterministic: on a GPU, hold torch to algorithms that give the same bits each time.
        curves: keep every score after every so many epochs.
        keep_weights: whose final weights are kept: of ``all`` these runs, or of the ``best`` or ``worst`` run of the
            whole study by the primary score.
        examples: keep what each run predicted for each example.
        mixed: add runs of another environment to the study, marked.
        verify: hold a fast engine's runs to the reference engine's, once for a study in an environment: it takes as
            long as a run by the reference engine or two. A step that differs by more than rounding is a warning.
            ``"later"`` is for the command, which does so when it has shown the results: what it takes is kept.
        retries: how often a run of a trial or program that failed is tried again.
        on: a cluster that computes instead of this machine's processes. ``ray``: the Ray cluster that this process is
            connected to, that RAY_ADDRESS names or that runs on this machine, or one that is started for this call;
            ``ray:host:port`` or ``ray://host:port`` (its client server): the one there. ``slurm``: jobs of Slurm.
        cpus_per_task: cores that are set aside there for each block of runs; where not given ``threads``.
        gpus_per_task: the same of GPUs; none where not given.
        slurm: what is asked for each job of Slurm: ``sb.Slurm(partition="cpu", time="2:00:00", memory="4G", jobs=10)``.
        largest_part: where parts of a study are computed apart, to be merged: how many runs the largest of them has.
            Settings that are proposed are then the same in each of them.
        watcher: told how it goes.
        callbacks: told of each stored run, to keep it elsewhere too: ``seedbed.Callback`` says what, and
            ``sb.MLflowCallback()`` is one.

    Raises:
        InputError: the experiment or an argument cannot be used; nothing is stored then.
        IdentityError: the study of that name is of another experiment, data or environment.
        StoreError: the store cannot be used; what was committed stays.
        WorkerError: a worker process could not be made ready, a cluster does not answer, or a stored run could not be
            repeated.
    """
    check_caller(experiment)
    options = Options(
        engine=engine,
        store=store,
        name=name,
        workers=workers,
        threads=threads,
        stack=stack,
        device=device,
        deterministic=deterministic,
        curves=curves,
        keep_weights=keep_weights,
        examples=examples,
        mixed=mixed,
        verify=verify,
        retries=retries,
        on=on,
        cpus_per_task=cpus_per_task,
        gpus_per_task=gpus_per_task,
        slurm=slurm,
        largest_part=largest_part,
    )
    check_watcher(watcher)
    told = Callbacks(callbacks, None if watcher is None else watcher.said)
    watcher = watcher or Silent()
    plan = prepare(experiment, as_assignments(seeds, split), options)
    with told.told_of_errors(lambda name: load(name, store)):
        with closing(opened(plan, options, watcher)) as writer:
            Session(plan, writer, store, watcher, told, workers, place=options.place).compute()
        study = load(plan.identity.name, store).select(plan.assignments)
        told.ended([study])
    if verify is True:
        check(experiment, study, store, watcher, device=device, deterministic=deterministic)
    return study


def run_until(
    experiment: Subject,
    rule: FixedWidth | Stein | str,
    *,
    start: int = 0,
    split: int = 0,
    most: int = MOST,
    watcher: LookingWatcher | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Unpack[RunOptions],
) -> tuple[Study, Stopped]:
    """Train an experiment under the seeds start, start + 1, ... until a rule says that there are runs enough.

    The rule looks at the runs in the order of their seeds, and what it finds depends on nothing else: not on how many
    are computed at a time, nor on which were stored before. When it holds, runs that are being computed are given up;
    those that were finished beyond are kept in the study. The rule, its parameters and what it found are stored too.
    Made again, the call goes on where it stopped, or finds the same at once.

    Args:
        experiment: what to train.
        rule: ``FixedWidth``, ``Stein``, or text such as ``"accuracy ± 0.002"`` for ``FixedWidth``.
        start: the first seed.
        split: the split seed.
        most: runs that there may be. A rule that was not reached by then is told as that.
        watcher: told how it goes.
        callbacks: told of each stored run, those beyond the last one looked at included.
        options: those of ``seedbed.run``.

    Returns:
        The study of the runs looked at, in the order of their seeds; and what became of the rule.

    Raises:
        InputError, IdentityError, StoreError, WorkerError: as ``seedbed.run``; no such score.
    """
    if isinstance(rule, str):
        rule = parse_until(rule)
    if not isinstance(rule, FixedWidth | Stein):
        raise InputError(f"rule must be a FixedWidth, a Stein, or text such as 'accuracy ± 0.002'; got {rule!r:.80}")
    studies, stopped = _run_until([experiment], rule, start, split, most, watcher, callbacks, Options(**options))
    return studies[0], stopped


def run_until_decided(
    a: Subject,
    b: Subject,
    rule: Decided,
    *,
    start: int = 0,
    split: int = 0,
    most: int = MOST,
    watcher: LookingWatcher | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Unpack[RunOptions],
) -> tuple[tuple[Study, Study], Stopped]:
    """Train two experiments under the same seeds until it is plain which of them scores higher.

    As ``run_until``, of the differences a - b of each seed. A pair of which either run diverged is left out, and
    counted.

    Returns:
        Both studies, of the runs looked at; and what became of the rule, whose interval is of the mean of a - b.

    Raises:
        InputError, IdentityError, StoreError, WorkerError: as ``run_until``; both are one study, or a score lies out of
            the rule's bounds.
    """
    if not isinstance(rule, Decided):
        raise InputError(f"rule must be a Decided, got {rule!r:.80}")
    made = Options(**options)
    if made.name is not None:
        raise InputError("two studies cannot have one name: leave name out")
    studies, stopped = _run_until([a, b], rule, start, split, most, watcher, callbacks, made)
    return (studies[0], studies[1]), stopped


def _run_until(
    experiments: Sequence[Subject],
    rule: FixedWidth | Stein | Decided,
    start: int,
    split: int,
    most: int,
    watcher: LookingWatcher | None,
    callbacks: Sequence[Callback],
    options: Options,
) -> tuple[list[Study], Stopped]:
    for experiment in experiments:
        check_caller(experiment)
    check_watcher(watcher, "asked", "looked")
    told = Callbacks(callbacks, None if watcher is None else watcher.said)
    watcher = watcher or Still()
    start = check_seed(start, "start")
    if count(most, "most") < rule.least:
        raise InputError(f"most must be at least the {rule.least} runs that the rule takes, got {most}")
    check_seed(start + most - 1, "start + most - 1")
    assignments = tuple(Assignment.plain(start + place, split) for place in range(most))
    options = replace(options, expected=EXPECTED, beside=len(experiments))
    with told.told_of_errors(lambda name: load(name, options.store)):
        studies, stopped = until_it_holds(experiments, rule, assignments, watcher, told, options)
        told.stopped = stopped
        told.ended(studies)
    if options.verify is True:
        for experiment, study in zip(experiments, studies, strict=True):
            check(experiment, study, options.store, watcher, device=options.device, deterministic=options.deterministic)
    return studies, stopped


def check(
    experiment: Subject,
    study: Study,
    store: str | os.PathLike[str],
    watcher: Watcher,
    *,
    device: str | None = None,
    deterministic: bool = True,
) -> Verification | None:
    """Hold a fast engine's runs to the reference engine's, where that has not been done in this environment; a gap that
    rounding does not explain is told to the watcher.

    Args:
        device, deterministic: as of ``run``, for these runs.
    """
    if not isinstance(experiment, Experiment):
        return None
    from seedbed import verification  # brings torch

    with blamed(f"{experiment.name} cannot be verified"):
        where = devices.parse(device or study.identity.device).settled()
        settings = settings_for(where, determined=deterministic)
        found = verification.ensure(experiment, study, store, watcher.said, where, settings)
    if found is not None and found.warning is not None:
        watcher.said(f"warning: {found.warning}")
    return found
