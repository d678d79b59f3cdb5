"""How runs are computed. An engine turns an experiment into a trainer, and a trainer turns blocks of runs into results.

Engines are made by name (``make``); each passes the conformance suite in ``tests/test_engine_conformance.py``.
"""

from __future__ import annotations

from seedbed.engines.protocol import Engine, Trainer
from seedbed.engines.reference import ReferenceEngine
from seedbed.errors import InputError

ENGINES: dict[str, type[Engine]] = {"reference": ReferenceEngine}


def make(name: str) -> Engine:
    """The engine of that name; ``auto`` is the fastest that can run every experiment."""
    if name == "auto":
        return ReferenceEngine()
    if name not in ENGINES:
        raise InputError(f"engine must be one of auto, {', '.join(ENGINES)}; got {name!r}")
    return ENGINES[name]()


__all__ = ["ENGINES", "Engine", "Trainer", "make"]
