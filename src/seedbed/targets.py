"""Find an experiment by what is typed: a ready one's name, ``file.py:name``, or ``package.module:name``.

Parameters may follow in brackets, as they do in a study's name: ``people[lr=0.02]``, ``people[hidden=4x4,lr=0.02]``.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import enum
import importlib
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from seedbed.blame import blamed
from seedbed.errors import InputError
from seedbed.experiments import Experiment, Recipe
from seedbed.gallery import EXPERIMENTS
from seedbed.trials import Trial
from seedbed.trials.definition import RECORDER

_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")  # a comma that parts two parameters
_PLACES: list[str] = []  # modules of the user's that are being loaded, the last innermost


def find(target: str) -> Callable[..., Any]:
    """The experiment function or trial that a target names.

    Raises:
        InputError: there is none; near names are told.
    """
    if target.endswith((".py", ".py:")):
        raise InputError(_without_name(Path(target.removesuffix(":"))))
    if ":" not in target:
        if target not in EXPERIMENTS:
            near = difflib.get_close_matches(target, EXPERIMENTS, 1)
            raise InputError(
                f"there is no ready experiment {target!r}"
                + (f": did you mean {near[0]!r}? " if near else ". ")
                + f"Ready ones are {', '.join(EXPERIMENTS)}; your own is written file.py:name or package.module:name"
            )
        target = EXPERIMENTS[target]
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise InputError(f"a target is file.py:name or package.module:name, got {target!r}")
    module = _load_file(Path(place)) if place.endswith(".py") else _import(place)
    factory = getattr(module, name, None)
    if factory is None:
        public = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        near = difflib.get_close_matches(name, public, 3)
        raise InputError(
            f"{place} has no {name!r}" + (f": did you mean {' or '.join(map(repr, near))}?" if near else "")
        )
    if not callable(factory):
        raise InputError(
            f"{target} must be a function that returns a seedbed.Experiment, or a trial; got {factory!r:.80}"
        )
    found: Callable[..., Any] = factory
    return found


def build(target: str, parameters: Mapping[str, str]) -> Experiment | Trial:
    """The experiment or trial that a target names, with parameters given as text and converted by its annotations.

    Args:
        target: with the parameters that are its own in brackets, or without.
        parameters: further ones, name to text.

    Raises:
        InputError: an unknown target or parameter, one that is given twice, a value of the wrong type, or a factory
            that needs more.
    """
    target, own = _without_brackets(target)
    if twice := own.keys() & parameters.keys():
        raise InputError(f"parameter {min(twice)} is given twice: in the brackets of the target, and beside it")
    parameters = {**own, **parameters}
    decorated = find(target)
    factory = decorated.function if isinstance(decorated, Trial) else inspect.unwrap(decorated)
    signature = inspect.signature(factory)
    try:
        hints = typing.get_type_hints(factory)
    except (NameError, AttributeError):  # an annotation that only a type checker can read; defaults tell the types
        hints = {}
    arguments: dict[str, Any] = {}
    given_by_seedbed = (*decorated.seeds, RECORDER) if isinstance(decorated, Trial) else ()
    known = [name for name in signature.parameters if name not in given_by_seedbed]
    for name, text in parameters.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise InputError(
                f"{target} has no parameter {name!r}"
                + (f": did you mean {near[0]!r}? " if near else ". ")
                + f"Its parameters are: {', '.join(known) or 'none'}"
            )
        default = signature.parameters[name].default
        guessed = str if default is None or default is inspect.Parameter.empty else type(default)
        arguments[name] = convert(name, text, hints.get(name, guessed))
    if isinstance(decorated, Trial):
        return decorated.with_parameters(**arguments)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        if "seed" in known and "seed" not in arguments:
            raise InputError(
                f"{target} is a function of the seed, and no trial yet: decorate it with @seedbed.trial. Or let it "
                f"return a seedbed.Experiment, which gets its seed from Seedbed"
            ) from error
        raise InputError(f"{target}: {error}; give it with -p NAME=VALUE") from error
    with blamed(f"{target} cannot be made"):
        return Recipe(factory, arguments).build()


def _without_brackets(target: str) -> tuple[str, dict[str, str]]:
    """A target's name, and the parameters in brackets behind it: name to text."""
    if not target.endswith("]") or "[" not in target:
        return target, {}
    name, _, inside = target.removesuffix("]").partition("[")
    parameters: dict[str, str] = {}
    for part in _OUTSIDE_PARENTHESES.split(inside) if inside.strip() else ():
        key, equals, text = part.strip().partition("=")
        if not equals or not key:
            raise InputError(
                f"the brackets of a target hold NAME=VALUE joined by commas, got {part!r} in {target!r}; a value that "
                f"has commas stands in parentheses"
            )
        if key in parameters:
            raise InputError(f"parameter {key} is given twice in {target!r}")
        parameters[key] = text
    return name, parameters


def convert(name: str, text: str, kind: Any) -> Any:
    """``text`` as a value of an annotation: int, float, bool, str, Path, Literal, Enum, Optional, tuple or list.

    Numbers of a tuple or list are joined by commas, or by x as in a study's name.
    """
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if type(None) in get_args(kind) and text.lower() == "none":
            return None
        return _first_that_fits(name, text, [each for each in get_args(kind) if each is not type(None)])
    if origin is Literal:
        for allowed in get_args(kind):
            if str(allowed) == text:
                return allowed
        raise InputError(f"parameter {name} must be one of {', '.join(map(str, get_args(kind)))}; got {text!r}")
    if origin in (tuple, list) or kind in (tuple, list):
        inner = get_args(kind) or (str, ...)
        comma = "," if not set(inner) <= {int, float, ...} or "," in text else "x"
        parts = [part.strip() for part in text.strip("()[]").split(comma) if part.strip()]
        if origin is tuple and inner[-1] is not ...:
            if len(parts) != len(inner):
                raise InputError(f"parameter {name} must be {len(inner)} values joined by commas, got {text!r}")
            return tuple(convert(name, part, each) for part, each in zip(parts, inner, strict=True))
        values = [convert(name, part, inner[0]) for part in parts]
        return values if list in (origin, kind) else tuple(values)
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise InputError(f"parameter {name} must be true or false, got {text!r}")
        return words[text.lower()]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        if text not in kind.__members__:
            raise InputError(f"parameter {name} must be one of {', '.join(kind.__members__)}; got {text!r}")
        return kind[text]
    if kind is Any:
        return text
    if kind in (int, float, str, Path):
        try:
            return kind(text)
        except ValueError:
            what = {int: "a whole number", float: "a number"}[kind]
            raise InputError(f"parameter {name} must be {what}, got {text!r}") from None
    raise InputError(f"parameter {name} is a {kind}, which cannot be given on a command line")


def _without_name(path: Path) -> str:
    """What to say of a file without a function's name; the file is read, not run."""
    if not path.is_file():
        return f"there is no file {path}; an experiment in a file is written file.py:name"
    names = []
    with contextlib.suppress(SyntaxError, ValueError, OSError):
        body = ast.parse(path.read_bytes()).body
        names = [each.name for each in body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    known = f"; its functions are {', '.join(names)}" if names else ""
    return f"which experiment of {path}? Write {path}:{names[0] if len(names) == 1 else 'NAME'}{known}"


def _first_that_fits(name: str, text: str, kinds: list[Any]) -> Any:
    for kind in kinds[:-1]:
        try:
            return convert(name, text, kind)
        except InputError:
            continue
    return convert(name, text, kinds[-1])


@contextlib.contextmanager
def _loading(place: str | Path) -> Iterator[None]:
    """Tell in plain words why a user's module cannot be loaded."""
    _PLACES.append(str(place))
    try:
        with blamed(f"{place} cannot be loaded"):
            yield
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError):
            if f"{place}.".startswith(f"{cause.name}."):
                raise InputError(f"there is no module {str(place)!r}; a file is written {place}.py:name") from cause
            raise InputError(f"{place} needs a module that is not installed: {cause.name}") from cause
        if isinstance(cause, SyntaxError):
            line = f", line {cause.lineno}" if cause.lineno else ""
            raise InputError(f"{cause.filename or place} is no valid Python{line}: {cause.msg}") from cause
        raise
    finally:
        _PLACES.pop()


def being_loaded() -> str | None:
    """The user's module that is being loaded at this moment, if any."""
    return _PLACES[-1] if _PLACES else None


def _import(place: str) -> types.ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` finds modules of the folder it is called in
    with _loading(place):
        return importlib.import_module(place)


def _load_file(path: Path) -> types.ModuleType:
    import cloudpickle

    if not path.is_file():
        raise InputError(f"there is no file {path}")
    name = f"seedbed_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a script, so that its neighbours can be imported
    with _loading(path):
        spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)  # a worker process cannot import it by this name
    return module
