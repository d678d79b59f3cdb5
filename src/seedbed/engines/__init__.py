"""How runs are computed. An engine turns an experiment into a trainer, and a trainer turns blocks of runs into results.

Engines are made by name (``make``) or chosen for an experiment (``choose``); each passes the conformance suite in
``tests/test_engine_conformance.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seedbed.devices import CPU, Device
from seedbed.engines.protocol import Engine, Trainer
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment


def _lanes(settings: Mapping[str, Any], device: Device) -> Engine:
    from seedbed.engines.lanes import LanesEngine  # brings a compiler, which the others do without

    return LanesEngine(**settings, device=device)


def _reference(settings: Mapping[str, Any], device: Device) -> Engine:
    from seedbed.engines.reference import ReferenceEngine

    return ReferenceEngine(**settings, device=device)


def _stacked(settings: Mapping[str, Any], device: Device) -> Engine:
    from seedbed.engines.stacked import StackedEngine

    return StackedEngine(**settings, device=device)


ENGINES: Mapping[str, Callable[[Mapping[str, Any], Device], Engine]] = {
    "lanes": _lanes,
    "stacked": _stacked,
    "reference": _reference,
}  # the fastest first


@dataclass(frozen=True)
class Choice:
    """The engine that runs an experiment, and why those that are faster do not.

    Attributes:
        refusals: engine to its reason, of those that were asked and cannot.
        proposed: whether the engine's settings were not given, but found to suit.
    """

    engine: Engine
    refusals: Mapping[str, str]
    proposed: bool = False

    @property
    def line(self) -> str | None:
        """What is to be told: what cannot run it and what does instead, and settings that were proposed; None where
        there is nothing."""
        settings = ", ".join(f"{name} {value}" for name, value in self.engine.settings.items())
        fixed = f"{settings}, which the study keeps" if self.proposed and settings else ""
        if not self.refusals:
            return f"the {self.engine.name} engine trains with {fixed}" if fixed else None
        of_reason: dict[str, list[str]] = {}
        for name, reason in self.refusals.items():
            of_reason.setdefault(reason, []).append(name)
        reasons = "; ".join(f"{' and '.join(names)} cannot run it: {reason}" for reason, names in of_reason.items())
        return f"{reasons}. The {self.engine.name} engine does{f', with {fixed}' if fixed else ''}"


def make(name: str, settings: Mapping[str, Any] | None = None, device: Device = CPU) -> Engine:
    """The engine of that name, with its ``settings`` as a study keeps them; where not given, its usual ones."""
    if name not in ENGINES:
        raise InputError(f"engine must be one of auto, {', '.join(ENGINES)}; got {name!r}")
    return ENGINES[name](settings or {}, device)


def choose(
    name: str,
    experiment: Experiment,
    data: Data,
    *,
    device: Device = CPU,
    threads: int = 1,
    settings: Mapping[str, Any] | None = None,
    runs: int = 1,
    workers: int = 1,
) -> Choice:
    """The engine of that name, or for ``auto`` the fastest that can run the experiment with so many threads a run, on
    that device.

    Args:
        settings: of the engine; where not given, those that suit a study that begins with so many ``runs``, in so many
            ``workers`` at a time.

    Raises:
        InputError: there is no such engine, or it cannot run the experiment.
    """
    refusals: dict[str, str] = {}
    for each in ENGINES if name == "auto" else (name,):
        engine = make(each, settings, device)
        if threads > 1 and engine.in_threads:
            reason: str | None = f"it trains every run on one thread, and {threads} are asked for"
        else:
            reason = engine.refusal(experiment, data)
        if reason is None:
            if settings is not None:
                return Choice(engine, refusals)
            return Choice(engine.fitted(experiment, data, runs=runs, workers=workers), refusals, proposed=True)
        refusals[each] = reason
    raise InputError(f"the {name} engine cannot run {experiment.name}: {refusals[name]}. With engine auto another does")


__all__ = ["ENGINES", "Choice", "Engine", "Trainer", "choose", "make"]
