"""Callbacks: who is told of each stored run of a study, to keep it elsewhere too, and can cost it none."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from seedbed.errors import InputError, first_line
from seedbed.records import RunResult
from seedbed.seeds import Assignment
from seedbed.stopped import Stopped
from seedbed.study import Study

METHODS = ("begun", "finished", "ended")


class Callback(Protocol):
    """Told of a study while its runs are computed, by the process that stores them. Write a class that inherits from
    it, with those of its methods that are of use; each does nothing unless it is written anew.

    A run is stored before it is told, and no error of a callback costs one: the error is said once, that callback is
    told nothing further, and the study goes on. What a callback takes is waited for, though worker processes compute
    meanwhile. One callback may be given to several calls, one after the other, and is told of both studies of
    ``run_until_decided`` in turns: ``study.name`` says which.
    """

    def begun(self, study: Study, pending: int) -> None:
        """The computing of a study begins.

        Args:
            study: its identity (settings, parameters, engine), and the asked runs that are stored already, of which
                nothing further is told. A trial or program that was never run has no scores yet.
            pending: runs that are to be computed: all that there may be, where a rule says when to stop.
        """
        ...

    def finished(self, study: Study, result: RunResult) -> None:
        """A run was computed, and is stored: its seeds, how it ended, scores, curves, seconds, and its error. Also one
        that was stored before, and was repeated for curves or weights.

        Args:
            study: as it was when it began.
        """
        ...

    def ended(self, study: Study, error: BaseException | None, stopped: Stopped | None) -> None:
        """The computing is over, for whatever reason. Told once of each study of which it was told that it begins.

        Args:
            study: the runs that were asked for, as they are stored: what the call returns. Where it is broken off, as
                many of them as there are.
            error: what broke it off (KeyboardInterrupt is Ctrl-C), and is raised after this.
            stopped: what became of the rule that said when to stop, where there was one.
        """
        ...


@dataclass
class _Begun:
    """A study that has begun: as it was told, every run of it that is asked for, and who has heard of it."""

    study: Study
    asked: Sequence[Assignment]
    heard: list[Callback] = field(default_factory=list)


class Callbacks:
    """The callbacks of a call, each told until it fails.

    Args:
        say: who is told of a callback that fails; without one it is a warning of Python's.

    Raises:
        InputError: one of them is no callback, or is there twice.
    """

    def __init__(self, given: Sequence[Callback], say: Callable[[str], None] | None = None) -> None:
        self._told = _checked(given)
        self._say = say or _warn
        self._begun: dict[str, _Begun] = {}
        self.stopped: Stopped | None = None  # as far as it is known

    def begun(self, study: Study, pending: int, asked: Sequence[Assignment]) -> None:
        """A study begins; said twice, it has begun already: its first run is computed apart where only that tells which
        scores there are.

        Args:
            asked: every run of the study that is asked for.
        """
        if study.name in self._begun:
            return
        begun = self._begun[study.name] = _Begun(study, asked)

        def tell(each: Callback) -> None:
            each.begun(study, pending)
            begun.heard.append(each)  # where Ctrl-C comes before that, it is not told of an end

        self._tell(tell, f"{study.name} begins", self._told)

    def finished(self, study: str, result: RunResult) -> None:
        """A run of a study that has begun is stored."""
        begun = self._begun[study]
        self._tell(
            lambda each: each.finished(begun.study, result),
            f"the run of seed {result.assignment} is stored",
            begun.heard,
        )

    def ended(self, studies: Sequence[Study]) -> None:
        """These studies, which are all that have begun, have ended well."""
        for study in studies:
            self._end(study, None)

    @contextmanager
    def told_of_errors(self, load: Callable[[str], Study]) -> Iterator[None]:
        """Tell of an error, or of Ctrl-C, to whom a study has begun and not ended.

        Args:
            load: the stored study of a name.
        """
        try:
            yield
        except BaseException as error:
            for begun in list(self._begun.values()):
                study = begun.study
                # The store may be what broke it off; who keeps runs elsewhere is to close it all the same.
                with suppress(Exception):
                    study = load(study.name).select(begun.asked)
                self._end(study, error)
            raise

    def _end(self, study: Study, error: BaseException | None) -> None:
        heard = self._begun.pop(study.name).heard
        self._tell(lambda each: each.ended(study, error, self.stopped), f"{study.name} has ended", heard)

    def _tell(self, tell: Callable[[Callback], None], what: str, whom: Sequence[Callback]) -> None:
        for each in [each for each in self._told if any(each is other for other in whom)]:
            try:
                tell(each)
            except Exception as error:
                self._told = [other for other in self._told if other is not each]
                self._say(
                    f"warning: the callback {type(each).__name__} failed when it was told that {what}, and is told "
                    f"nothing further: {type(error).__name__}: {first_line(str(error))}{_where(error)}"
                )


def _where(error: Exception) -> str:
    """The line of the callback at which it failed."""
    frames = traceback.extract_tb(error.__traceback__)[2:]  # beyond what calls it
    return f" ({frames[0].filename}, line {frames[0].lineno})" if frames else ""


def _checked(given: Any) -> list[Callback]:
    if not isinstance(given, list | tuple):
        raise InputError(f"callbacks must be a list of callbacks, got {given!r:.80}")
    for place, each in enumerate(given):
        if isinstance(each, type):
            raise InputError(f"callbacks must be objects, got the class {each.__name__}: write {each.__name__}()")
        if not all(callable(getattr(each, name, None)) for name in METHODS):
            raise InputError(f"a callback must have the methods {', '.join(METHODS)}, got {each!r:.80}: let its class "
                             f"inherit from seedbed.Callback")  # fmt: skip
        if any(each is other for other in given[:place]):
            raise InputError(f"the callback {type(each).__name__} is given twice")
    return list(given)


def _warn(text: str) -> None:
    warnings.warn(text.removeprefix("warning: "), RuntimeWarning, stacklevel=2)
