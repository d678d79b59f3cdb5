"""The computing of as many runs as a rule asks for, of one experiment or of two in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Protocol

from seedbed.errors import InputError
from seedbed.runner.callbacks import Callbacks
from seedbed.runner.following import Following
from seedbed.runner.options import Options
from seedbed.runner.plan import Plan
from seedbed.runner.preparing import Subject, prepare
from seedbed.runner.session import Session, Silent, Watcher, opened
from seedbed.seeds import Assignment
from seedbed.stopped import Stopped
from seedbed.stopping import Decided, FixedWidth, Look, Stein, resolve
from seedbed.store import load, note_stopping
from seedbed.study import Study

_OVER = object()


class LookingWatcher(Watcher, Protocol):
    """A watcher that is told what a rule says, too."""

    def asked(self, stopped: Stopped) -> None:
        """What is asked, before anything of it is known: rule, studies and first seed."""
        ...

    def looked(self, look: Look, needed: int | None) -> None:
        """The rule has looked at more runs; about how many are needed in all, where that can be said."""
        ...


class Still(Silent):
    def asked(self, stopped: Stopped) -> None:
        pass

    def looked(self, look: Look, needed: int | None) -> None:
        pass


class _Saying(Silent):
    """Hands on what is said, and nothing else."""

    def __init__(self, watcher: Watcher) -> None:
        self.said = watcher.said  # type: ignore[method-assign]


def until_it_holds(
    experiments: Sequence[Subject],
    rule: FixedWidth | Stein | Decided,
    assignments: tuple[Assignment, ...],
    watcher: LookingWatcher,
    callbacks: Callbacks,
    options: Options,
) -> tuple[list[Study], Stopped]:
    """The studies of the runs looked at, once the rule has ended, and what became of it."""
    plans = [_with_scores(experiment, assignments, options, watcher, callbacks) for experiment in experiments]
    rule = replace(rule, score=_score(rule.score, plans))
    first = assignments[0]
    asked = Stopped(rule, tuple(plan.identity.name for plan in plans), first.init, first.split)
    following = Following(rule, assignments)
    with ExitStack() as stack:
        sessions = []
        for plan in plans:
            writer = stack.enter_context(closing(opened(plan, options, watcher)))
            session = Session(
                plan, writer, options.store, watcher, callbacks, options.workers, len(plans), options.place
            )
            sessions.append(session)
        note_stopping(asked, options.store, begun=True)
        callbacks.stopped = asked
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
    return [load(plan.identity.name, options.store).select(assignments[: look.n]) for plan in plans], stopped


def _with_scores(
    experiment: Subject,
    assignments: tuple[Assignment, ...],
    options: Options,
    watcher: Watcher,
    callbacks: Callbacks,
) -> Plan:
    """The plan, with the scores that there are: where runs tell them and none has, the first one is computed for it."""
    plan = prepare(experiment, assignments, options)
    if plan.identity.told_by_runs and not plan.identity.larger_is_better:
        with closing(opened(plan, options, watcher)) as writer:
            told = _Saying(watcher)
            session = Session(plan, writer, options.store, told, callbacks, options.workers, place=options.place)
            pending, _ = session.begin()
            for _ in session.steps([each for each in pending if each == assignments[0]]):
                pass
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
