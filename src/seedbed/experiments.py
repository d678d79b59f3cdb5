"""What an experiment is: one training described, checked when it is made; and how a factory makes one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import numbers
import re
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from seedbed.errors import InputError
from seedbed.metrics import Metric, as_metric

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.utils.data import Dataset

P = ParamSpec("P")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Data:
    """The rows an experiment trains on, and the named sets it is evaluated on.

    Attributes:
        train: a map-style dataset whose items are tuples (input, ..., target): the model is called with all but the
            last, the loss with what the model returns and the last.
        evaluate: name to dataset of the same form, in the order to be shown. ``{"train": train}`` where nothing is
            given.
    """

    train: Dataset[Any]
    evaluate: Mapping[str, Dataset[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_dataset(self.train, "train")
        if not isinstance(self.evaluate, Mapping):
            raise InputError(f"evaluate must map names to datasets, got {type(self.evaluate).__name__}")
        sets = dict(self.evaluate) or {"train": self.train}
        for name, dataset in sets.items():
            _check_name(name, "an evaluation set's name")
            _check_dataset(dataset, f"evaluate[{name!r}]")
        object.__setattr__(self, "evaluate", MappingProxyType(sets))

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_data, (self.train, dict(self.evaluate))  # a mapping proxy cannot be pickled


def _make_data(train: Any, evaluate: dict[str, Any]) -> Data:
    return Data(train=train, evaluate=evaluate)


def _check_dataset(dataset: Any, what: str) -> None:
    if not isinstance(dataset, Sized) or not hasattr(dataset, "__getitem__"):
        raise InputError(
            f"{what} must be a map-style dataset (with __len__ and __getitem__), got {type(dataset).__name__}"
        )
    if len(dataset) == 0:
        raise InputError(f"{what} holds no rows")


def _check_name(name: Any, what: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"{what} must be letters, digits, '_', '-' and '.', got {name!r}")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One training: supervised, of one module by one optimizer. Nothing here depends on a seed.

    Attributes:
        name: short, for people and for the store.
        model: called with no argument after seeding; returns the module to train.
        data: the data, or a function of the split seed that returns it (called with all generators seeded by it).
        loss: of (output, target); a scalar tensor.
        optimizer: an optimizer class, or a ``functools.partial`` of one, is called with the model's parameters. Any
            other callable is called with the model, so that it can form parameter groups.
        scheduler: of the optimizer, or None; stepped after every "epoch" or every "batch".
        batch_size, epochs: at least 1.
        shuffle, drop_last: as of torch's DataLoader.
        clip_norm, clip_value: bound of the gradient's total norm or of each element, applied before each step.
        metrics: name to Metric or callable of (outputs, targets) of a whole evaluation set.
        primary: the score to follow, such as ``"test/accuracy"``. Where not given: the first metric (or the loss) on
            the last evaluation set.
        evaluation_batch_size: rows a forward pass of evaluation takes at a time; metrics see the whole set at once.
        result_line: a format for the line that is printed of each run; fields are ``seed`` and the names of scores.
        parameters: the factory's arguments that are not its defaults. Set by ``@seedbed.experiment``.
    """

    name: str
    model: Callable[[], nn.Module]
    data: Data | Callable[[int], Data]
    loss: Callable[[Any, Any], Tensor]
    optimizer: Callable[..., Optimizer]
    batch_size: int
    epochs: int
    scheduler: Callable[[Optimizer], Any] | None = None
    step_scheduler: Literal["epoch", "batch"] = "epoch"
    shuffle: bool = True
    drop_last: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None
    metrics: Mapping[str, Metric | Callable[[Any, Any], Any]] = field(default_factory=dict)
    primary: str | None = None
    evaluation_batch_size: int = 1000
    result_line: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # Not an argument, and so not kept by dataclasses.replace: a changed experiment is not what its recipe makes.
    recipe: Recipe | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name(self.name, "an experiment's name")
        for attribute in ("model", "loss", "optimizer"):
            if not callable(getattr(self, attribute)):
                raise InputError(f"{attribute} must be callable, got {getattr(self, attribute)!r:.80}")
        if not isinstance(self.data, Data) and not callable(self.data):
            raise InputError(f"data must be a seedbed.Data or a function of the split seed, got {self.data!r:.80}")
        if self.scheduler is not None and not callable(self.scheduler):
            raise InputError(f"scheduler must be callable with the optimizer, or None, got {self.scheduler!r:.80}")
        if self.step_scheduler not in ("epoch", "batch"):
            raise InputError(f"step_scheduler must be 'epoch' or 'batch', got {self.step_scheduler!r}")
        if self.scheduler is None and self.step_scheduler == "batch":
            raise InputError("step_scheduler has no effect without a scheduler: give one, or leave it out")
        for attribute in ("batch_size", "epochs", "evaluation_batch_size"):
            value = getattr(self, attribute)
            if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
                raise InputError(f"{attribute} must be a whole number of at least 1, got {value!r}")
            object.__setattr__(self, attribute, int(value))  # numpy's integers too
        for attribute in ("shuffle", "drop_last"):
            if not isinstance(getattr(self, attribute), bool):
                raise InputError(f"{attribute} must be True or False, got {getattr(self, attribute)!r}")
        for attribute in ("clip_norm", "clip_value"):
            bound = getattr(self, attribute)
            if bound is None:
                continue
            number = isinstance(bound, numbers.Real) and not isinstance(bound, bool)
            if not (number and math.isfinite(bound) and bound > 0):
                raise InputError(f"{attribute} must be a number above 0, or None, got {bound!r}")
            object.__setattr__(self, attribute, bound.item() if hasattr(bound, "item") else bound)  # numpy's too
        if not isinstance(self.metrics, Mapping):
            raise InputError(f"metrics must map names to callables, got {type(self.metrics).__name__}")
        metrics: dict[str, Metric] = {}
        for name, metric in self.metrics.items():
            _check_name(name, "a metric's name")
            if name == "loss":
                raise InputError("a metric cannot be called 'loss': every evaluation set has the experiment's loss")
            metrics[name] = as_metric(name, metric)
        object.__setattr__(self, "metrics", MappingProxyType(metrics))
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        if isinstance(self.data, Data):
            check_data(self, self.data)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.recipe is not None:
            return Recipe.build, (self.recipe,)  # made again where it arrives: data drawn without a seed then differ
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        values["metrics"], values["parameters"] = dict(self.metrics), dict(self.parameters)
        return _make_experiment, (values,)  # a mapping proxy cannot be pickled

    @property
    def study_name(self) -> str:
        """The experiment's name and its parameters that are not defaults: ``people[lr=0.02]``."""
        return study_name(self.name, self.parameters)

    def metric(self, name: str) -> Metric:
        """The Metric of that name."""
        metric = self.metrics[name]
        assert isinstance(metric, Metric)  # __post_init__ has seen to it
        return metric


def _make_experiment(values: dict[str, Any]) -> Experiment:
    return Experiment(**values)


def study_name(name: str, parameters: Mapping[str, Any]) -> str:
    """A name with its parameters that are not defaults: ``people[lr=0.02]``."""
    given = ",".join(f"{key}={written(value)}" for key, value in sorted(parameters.items()))
    return f"{name}[{given}]" if given else name


def written(value: Any) -> str:
    """A parameter's value in a study's name: the same text in every process."""
    if isinstance(value, tuple | list):
        return "x".join(map(written, value))
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if isinstance(name, str):
        return name
    text = str(value)
    return type(value).__qualname__ if " at 0x" in text else text


def check_data(experiment: Experiment, data: Any) -> Data:
    """``data`` if the experiment can be trained and evaluated on it, or an InputError."""
    if not isinstance(data, Data):
        raise InputError(f"the data function must return a seedbed.Data, got {type(data).__name__}")
    rows = len(data.train)  # type: ignore[arg-type]
    if experiment.drop_last and rows < experiment.batch_size:
        raise InputError(
            f"drop_last with batch_size {experiment.batch_size} leaves no batch of {rows} training rows: "
            f"choose a smaller batch_size, or drop_last=False"
        )
    names = score_names(experiment, data)
    if experiment.primary is not None and experiment.primary not in names:
        raise InputError(f"primary must be one of {', '.join(names)}; got {experiment.primary!r}")
    if experiment.result_line is not None:
        try:
            experiment.result_line.format_map({"seed": "0", **dict.fromkeys(names, 0.0)})
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise InputError(
                f"result_line {experiment.result_line!r} cannot be filled in ({type(error).__name__}: {error}); its "
                f"fields are seed, {', '.join(names)}"
            ) from error
    return data


def score_names(experiment: Experiment, data: Data) -> tuple[str, ...]:
    """The names of what each run reports: ``test/accuracy``, ..., ``test/loss`` for each evaluation set."""
    return tuple(f"{where}/{what}" for where in data.evaluate for what in (*experiment.metrics, "loss"))


def primary_score(experiment: Experiment, data: Data) -> str:
    """The score to follow: as given, or the first metric (or the loss) on the last evaluation set."""
    if experiment.primary is not None:
        return experiment.primary
    return f"{list(data.evaluate)[-1]}/{next(iter(experiment.metrics), 'loss')}"


def larger_is_better(experiment: Experiment, score: str) -> bool:
    """Which way the score called ``set/metric`` is better; a loss is better when smaller."""
    what = score.rpartition("/")[2]
    return what != "loss" and experiment.metric(what).larger_is_better


def not_defaults(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments that differ from the function's defaults."""
    defaults = {n: p.default for n, p in inspect.signature(function).parameters.items()}
    return {n: v for n, v in arguments.items() if n not in defaults or _differ(defaults[n], v)}


def _differ(one: Any, other: Any) -> bool:
    try:
        return bool(one != other)
    except (ValueError, RuntimeError):  # arrays and tensors are equal element by element
        return True


@dataclass(frozen=True)
class Recipe:
    """How an experiment was made, so that another process can make it again: a factory and its arguments."""

    factory: Callable[..., Experiment]
    arguments: Mapping[str, Any]

    def build(self) -> Experiment:
        """Call the factory with every global generator seeded with 0, and put them back.

        A factory that draws without a seed of its own (a bare ``random_split``) then draws the same in every process;
        one that seeds from the clock gives other data each time, which the hash of the data shows.
        """
        from seedbed import generators

        with generators.seeded(0):
            made: Any = self.factory(**self.arguments)
        if not isinstance(made, Experiment):
            name = getattr(self.factory, "__name__", "the factory")
            raise InputError(f"{name} must return a seedbed.Experiment, got {type(made).__name__}")
        experiment = dataclasses.replace(made, parameters=not_defaults(self.factory, self.arguments))
        object.__setattr__(experiment, "recipe", self)
        return experiment


def experiment(factory: Callable[P, Experiment]) -> Callable[P, Experiment]:
    """Decorate a function that returns an Experiment, so that Seedbed knows its parameters and can call it again.

    The study's name then holds the parameters that differ from their defaults (``people[lr=0.02]``), the function is
    called under a fixed seed, and worker processes call it again and compare its data.
    """
    signature = inspect.signature(factory)
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise InputError(f"every parameter of an experiment must be one that can be given by name, got {parameter}")

    @functools.wraps(factory)
    def build(*args: P.args, **kwargs: P.kwargs) -> Experiment:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(parameter.name, {})
        return Recipe(factory, arguments).build()

    return build
