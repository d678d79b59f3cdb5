"""Run an experiment under many seeds: plan, engine, executor, store. Under seeds that are given, or as many as a rule
asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Literal, Protocol, Unpack

from seedbed import devices
from seedbed.agreement import Verification
from seedbed.blame import blamed
from seedbed.errors import InputError
from seedbed.executors.places import Slurm
from seedbed.experiments import Experiment
from seedbed.runner.following import Following
from seedbed.runner.options import KeepWeights, Options, RunOptions
from seedbed.runner.plan import Plan
from seedbed.runner.preparing import Subject, check_caller, check_watcher, prepare
from seedbed.runner.session import Session, Silent, Watcher
from seedbed.seeds import Assignment, SeedsLike, as_assignments, check_seed
from seedbed.stats.checks import count
from seedbed.stopped import Stopped
from seedbed.stopping import Decided, FixedWidth, Look, Stein, parse_until, resolve
from seedbed.store import DEFAULT, StudyWriter, load, note_stopping
from seedbed.study import Study
from seedbed.torch_settings import settings_for

MOST = 10_000  # seeds that a rule may take unless told otherwise
EXPECTED = 64  # that it is expected to take, where settings are proposed from their number
_OVER = object()


class LookingWatcher(Watcher, Protocol):
    """A watcher that is told what a rule says, too."""

    def asked(self, stopped: Stopped) -> None:
        """What is asked, before anything of it is known: rule, studies and first seed."""
        ...

    def looked(self, look: Look, needed: int | None) -> None:
        """The rule has looked at more runs; about how many are needed in all, where that can be said."""
        ...


class _Still(Silent):
    def asked(self, stopped: Stopped) -> None:
        pass

    def looked(self, look: Look, needed: int | None) -> None:
        pass


class _Saying(Silent):
    """Hands on what is said, and nothing else."""

    def __init__(self, watcher: Watcher) -> None:
        self.said = watcher.said  # type: ignore[method-assign]


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
    watcher = watcher or Silent()
    plan = prepare(experiment, as_assignments(seeds, split), options)
    with closing(_opened(plan, options, watcher)) as writer:
        Session(plan, writer, store, watcher, workers, place=options.place).compute()
    study = load(plan.identity.name, store).select(plan.assignments)
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
    studies, stopped = _run_until([experiment], rule, start, split, most, watcher, Options(**options))
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
    studies, stopped = _run_until([a, b], rule, start, split, most, watcher, made)
    return (studies[0], studies[1]), stopped


def _run_until(
    experiments: Sequence[Subject],
    rule: FixedWidth | Stein | Decided,
    start: int,
    split: int,
    most: int,
    watcher: LookingWatcher | None,
    options: Options,
) -> tuple[list[Study], Stopped]:
    for experiment in experiments:
        check_caller(experiment)
    check_watcher(watcher, "asked", "looked")
    watcher = watcher or _Still()
    start = check_seed(start, "start")
    if count(most, "most") < rule.least:
        raise InputError(f"most must be at least the {rule.least} runs that the rule takes, got {most}")
    check_seed(start + most - 1, "start + most - 1")
    assignments = tuple(Assignment.plain(start + place, split) for place in range(most))
    options = replace(options, expected=EXPECTED, beside=len(experiments))
    plans = [_with_scores(experiment, assignments, options, watcher) for experiment in experiments]
    rule = replace(rule, score=_score(rule.score, plans))
    asked = Stopped(rule, tuple(plan.identity.name for plan in plans), start, split)
    following = Following(rule, assignments)
    with ExitStack() as stack:
        sessions = []
        for plan in plans:
            writer = stack.enter_context(closing(_opened(plan, options, watcher)))
            sessions.append(Session(plan, writer, options.store, watcher, options.workers, len(plans), options.place))
        note_stopping(asked, options.store, begun=True)
        watcher.asked(asked)
        _follow(sessions, following, watcher)
    look = following.look
    stopped = replace(
        asked,
        done=look.done,
        n=look.n,
        left_out=look.left_out,
        interval=look.interval,
        why=following.why,
        better=_better(look, rule.score, plans) if len(plans) == 2 else "",
        beyond=following.beyond(),
    )
    note_stopping(stopped, options.store)
    studies = [load(plan.identity.name, options.store).select(assignments[: look.n]) for plan in plans]
    if options.verify is True:
        for experiment, study in zip(experiments, studies, strict=True):
            check(experiment, study, options.store, watcher, device=options.device, deterministic=options.deterministic)
    return studies, stopped


def _with_scores(experiment: Subject, assignments: tuple[Assignment, ...], options: Options, watcher: Watcher) -> Plan:
    """The plan, with the scores that there are: where runs tell them and none has, the first one is computed for it."""
    plan = prepare(experiment, assignments, options)
    if plan.identity.told_by_runs and not plan.identity.larger_is_better:
        first = replace(plan, assignments=assignments[:1])
        with closing(_opened(first, options, watcher)) as writer:
            Session(first, writer, options.store, _Saying(watcher), options.workers, place=options.place).compute()
        plan = prepare(experiment, assignments, options)
        if not plan.identity.larger_is_better:
            error = load(plan.identity.name, options.store).run(assignments[0]).error or "no reason given"
            raise InputError(f"the first run, seed {assignments[0]}, failed, so that no score is known: {error}")
    return plan


def _score(asked: str, plans: Sequence[Plan]) -> str:
    """The score that is meant, the same in all plans."""
    names = [plan.identity.name for plan in plans]
    if len(set(names)) < len(names):
        raise InputError(f"both are the study {names[0]!r}: give two experiments, or other parameters to one of them")
    found = [resolve(asked, tuple(plan.identity.larger_is_better), plan.identity.primary) for plan in plans]
    if len(set(found)) > 1:
        raise InputError(f"which {asked}? It is {' in one experiment and '.join(found)} in the other")
    if len({plan.identity.larger_is_better[found[0]] for plan in plans}) > 1:
        raise InputError(f"a larger {found[0]} is better in one of {' and '.join(names)}, and worse in the other")
    return found[0]


def _follow(sessions: Sequence[Session], following: Following, watcher: LookingWatcher) -> None:
    """Compute runs until the rule ends; of two experiments in turn, the one that has fewer."""
    sides = following.sides()
    pending = []
    for session, side in zip(sessions, sides, strict=True):
        todo, stored = session.begin()
        pending.append(todo)
        for run in stored.runs:
            side.learn(run)
    following.advance()
    watcher.looked(following.look, following.needed())
    while not following.ended:
        with ExitStack() as stack:
            # Two executors at a time: the one that ends first would set torch back under the other.
            stack.enter_context(sessions[0].ready())
            streams = [
                stack.enter_context(closing(session.steps([each for each in todo if not side.knows(each)], side)))
                for session, side, todo in zip(sessions, sides, pending, strict=True)
            ]
            going = list(zip(sides, streams, strict=True))
            while going and not following.ended:
                side, stream = turn = min(going, key=lambda each: each[0].length)
                if next(stream, _OVER) is _OVER:
                    going.remove(turn)
                elif following.advance():
                    watcher.looked(following.look, following.needed())
            for stream in streams:
                for _ in stream:  # what is left of a block whose first runs are told already
                    pass
    for session in sessions:
        session.finish()


def _better(look: Look, score: str, plans: Sequence[Plan]) -> str:
    """The name of the study that scores better; empty where that was not decided."""
    if not look.done or look.interval is None or look.interval.low is None:
        return ""
    first = (look.interval.low > 0) == plans[0].identity.larger_is_better[score]
    return plans[0 if first else 1].identity.name


def _opened(plan: Plan, options: Options, watcher: Watcher) -> StudyWriter:
    """The study, open for writing; what is to be known of it is told."""
    if plan.notice is not None:
        watcher.said(plan.notice)
    writer = StudyWriter(options.store, plan.identity, plan.environment, plan.splits, mixed=options.mixed)
    for text in writer.warnings:
        watcher.said(text)
    return writer


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
