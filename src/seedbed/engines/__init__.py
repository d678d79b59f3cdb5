"""How runs are computed. An engine turns an experiment into a trainer, and a trainer turns blocks of runs into results.

Engines are made by name (``make``) or chosen for an experiment (``choose``); each passes the conformance suite in
``tests/test_engine_conformance.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seedbed.engines.protocol import Engine, Trainer
from seedbed.errors import InputError
from seedbed.experiments import Data, Experiment


def _lanes() -> Engine:
    from seedbed.engines.lanes import LanesEngine  # brings a compiler, which the others do without

    return LanesEngine()


def _reference() -> Engine:
    from seedbed.engines.reference import ReferenceEngine

    return ReferenceEngine()


ENGINES: Mapping[str, Callable[[], Engine]] = {"lanes": _lanes, "reference": _reference}  # the fastest first


@dataclass(frozen=True)
class Choice:
    """The engine that runs an experiment, and why those that are faster do not.

    Attributes:
        refusals: engine to its reason, of those that were asked and cannot.
    """

    engine: Engine
    refusals: Mapping[str, str]

    @property
    def line(self) -> str | None:
        """A sentence that says what cannot run it and what does instead; None where the fastest does."""
        if not self.refusals:
            return None
        reasons = "; ".join(f"{name} cannot run it: {reason}" for name, reason in self.refusals.items())
        return f"{reasons}. The {self.engine.name} engine does"


def make(name: str) -> Engine:
    """The engine of that name."""
    if name not in ENGINES:
        raise InputError(f"engine must be one of auto, {', '.join(ENGINES)}; got {name!r}")
    return ENGINES[name]()


def choose(name: str, experiment: Experiment, data: Data, *, threads: int = 1) -> Choice:
    """The engine of that name, or for ``auto`` the fastest that can run the experiment with so many threads a run.

    Raises:
        InputError: there is no such engine, or it cannot run the experiment.
    """
    refusals: dict[str, str] = {}
    for each in ENGINES if name == "auto" else (name,):
        engine = make(each)
        if threads > 1 and engine.in_threads:
            reason: str | None = f"it trains every run on one thread, and {threads} are asked for"
        else:
            reason = engine.refusal(experiment, data)
        if reason is None:
            return Choice(engine, refusals)
        refusals[each] = reason
    raise InputError(f"the {name} engine cannot run {experiment.name}: {refusals[name]}. With engine auto another does")


__all__ = ["ENGINES", "Choice", "Engine", "Trainer", "choose", "make"]
