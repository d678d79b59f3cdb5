"""What a trial is: a function of the seed, or of a seed for each role, that returns its scores."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, overload

from seedbed.errors import InputError
from seedbed.experiments import not_defaults, study_name
from seedbed.seeds import ROLES, Assignment
from seedbed.trials.recorder import Recorder

RECORDER = "trial"  # the parameter that gets the Recorder


@dataclass(frozen=True)
class Trial:
    """A function that is run once for each assignment of seeds. Made by ``seedbed.trial``; may be called as it is.

    Attributes:
        function: takes ``seed``, or one or more of ``init``, ``order`` and ``noise``, with ``split`` where it makes a
            split of its own; ``trial``, where it keeps curves or predictions; and any parameters. Returns score to
            number.
        name: of its studies.
        parameters: given ones.
        larger_is_better: score to its direction; guessed from the name where it is not said.
        primary: the score to follow; the first one returned where it is not said.
    """

    function: Callable[..., Any]
    name: str
    parameters: Mapping[str, Any]
    larger_is_better: Mapping[str, bool]
    primary: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"a trial is a function of the seed, got {self.function!r:.80}")
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise InputError(f"a trial's name must be printable and not empty, got {self.name!r}")
        if not all(isinstance(value, bool) for value in self.larger_is_better.values()):
            raise InputError(f"larger_is_better must map scores to True or False, got {dict(self.larger_is_better)!r}")
        parameters = inspect.signature(self.function).parameters
        for each in parameters.values():
            if each.kind in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL):
                raise InputError(f"every parameter of a trial must be one that can be given by name, got {each}")
        if "seed" in parameters and (both := [role for role in ROLES[:3] if role in parameters]):
            raise InputError(f"{self.name} takes seed and {both[0]}: a seed decides all roles, so give it either")
        if not any(name in parameters for name in ("seed", *ROLES[:3])):
            raise InputError(
                f"{self.name} takes no seed: every run would be the same. Give it a parameter seed, or init, order, "
                f"noise for a seed of each role"
            )
        for told in ("__doc__", "__name__", "__qualname__"):  # help() and a notebook show the function's own
            if (value := getattr(self.function, told, None)) is not None:
                object.__setattr__(self, told, value)
        object.__setattr__(self, "__wrapped__", self.function)

    def __reduce__(self) -> tuple[Any, ...]:
        values = (self.function, self.name, dict(self.parameters), dict(self.larger_is_better), self.primary)
        return Trial, values

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, with the given parameters; curves and predictions go nowhere."""
        given = {**self.parameters, **kwargs}
        if self.keeps_more:
            given.setdefault(RECORDER, Recorder())
        return self.function(*args, **given)

    def with_parameters(self, **parameters: Any) -> Trial:
        """The same trial with these parameters: a study of its own, named ``my_training[lr=0.1]``."""
        signature = inspect.signature(self.function)
        for name in parameters:
            if name in ("seed", *ROLES, RECORDER):
                raise InputError(f"{name} is given by Seedbed: it is no parameter of {self.name}")
            known = [each for each in signature.parameters if each not in ("seed", *ROLES, RECORDER)]
            if name not in known and not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
                raise InputError(
                    f"{self.name} has no parameter {name!r}; its parameters are: {', '.join(known) or 'none'}"
                )
        return replace(self, parameters={**self.parameters, **parameters})

    @property
    def keeps_more(self) -> bool:
        """Whether the function takes a Recorder."""
        return RECORDER in inspect.signature(self.function).parameters

    @property
    def seeds(self) -> tuple[str, ...]:
        """The seeds that it takes: ``seed``, or roles."""
        parameters = inspect.signature(self.function).parameters
        return tuple(name for name in ("seed", *ROLES) if name in parameters)

    @property
    def differing(self) -> dict[str, Any]:
        """The given parameters that are not the function's defaults."""
        return not_defaults(self.function, self.parameters)

    @property
    def study_name(self) -> str:
        """The trial's name and its parameters that are not defaults: ``my_training[lr=0.1]``."""
        return study_name(self.name, self.differing)

    def arguments(self, assignment: Assignment) -> dict[str, Any]:
        """What the function is called with in a run, its Recorder aside."""
        values = {name: getattr(assignment, name) for name in self.seeds}
        return {**self.parameters, **values}

    def check(self, assignments: Sequence[Assignment]) -> None:
        """Raise an InputError where these runs would not differ, or lack a parameter."""
        by_roles = [each for each in assignments if not each.is_plain]
        if "seed" in self.seeds and by_roles:
            raise InputError(
                f"{self.name} takes one seed, and these are seeds for roles ({by_roles[0]}): give it parameters init, "
                f"order, noise in the place of seed to vary them apart"
            )
        for role in ROLES:
            given = by_roles if role != "split" else assignments
            if role not in self.seeds and {getattr(each, role) for each in given} - {0}:
                raise InputError(f"{self.name} takes no {role} seed, so that runs would be the same for every {role}")
        try:
            inspect.signature(self.function).bind(**self.arguments(assignments[0]), **self._recorder())
        except TypeError as error:
            raise InputError(f"{self.name}: {error}; the command gives it with -p NAME=VALUE") from error

    def _recorder(self) -> dict[str, Recorder]:
        return {RECORDER: Recorder()} if self.keeps_more else {}


@overload
def trial(function: Callable[..., Any]) -> Trial: ...


@overload
def trial(
    *, name: str | None = None, larger_is_better: Mapping[str, bool] | None = None, primary: str | None = None
) -> Callable[[Callable[..., Any]], Trial]: ...


def trial(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    larger_is_better: Mapping[str, bool] | None = None,
    primary: str | None = None,
) -> Trial | Callable[[Callable[..., Any]], Trial]:
    """Decorate a function of the seed that trains anything and returns its scores, so that Seedbed can run it.

    ::

        @seedbed.trial
        def my_training(seed: int, lr: float = 0.1) -> dict[str, float]: ...

        study = seedbed.run(my_training, seeds=range(20))
        other = seedbed.run(my_training.with_parameters(lr=0.2), seeds=range(20))

    In place of ``seed`` it may take ``init``, ``order``, ``noise`` (crossed designs then work), and ``split`` beside
    either. Before each call Python's generator, and numpy's and torch's where they are loaded, are seeded with
    ``seed`` or ``init``, so that a draw from them is no accident. With a parameter ``trial`` it gets a
    ``seedbed.Recorder``: ``trial.log(step, loss=0.3)`` keeps curves, ``trial.predictions("test", predicted,
    targets)`` what was predicted for each example.

    Args:
        name: of its studies; the function's where not given.
        larger_is_better: score to its direction; guessed from the name where not given.
        primary: the score to follow; the first one that is returned where not given.

    Raises:
        InputError: the function takes no seed, or arguments without a name.
    """
    if function is None:
        return functools.partial(_made, name=name, larger_is_better=larger_is_better, primary=primary)
    return _made(function, name, larger_is_better, primary)


def _made(
    function: Callable[..., Any], name: str | None, larger_is_better: Mapping[str, bool] | None, primary: str | None
) -> Trial:
    if not callable(function) or inspect.isclass(function):
        raise InputError(f"a trial is a function of the seed, got {function!r:.80}")
    called = name if name is not None else getattr(function, "__name__", type(function).__name__)
    return Trial(function, called, MappingProxyType({}), MappingProxyType(dict(larger_is_better or {})), primary)
