"""What became of a rule that said when to stop: what a study keeps of it, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from seedbed.errors import StoreError
from seedbed.stats import Interval, Scope
from seedbed.stopping import Decided, FixedWidth, Stein

AnyRule = FixedWidth | Stein | Decided
RULES: Mapping[str, type[AnyRule]] = {each.kind: each for each in (FixedWidth, Stein, Decided)}


@dataclass(frozen=True)
class Stopped:
    """What became of a rule, as a study keeps it.

    Attributes:
        rule: which one, with its parameters.
        studies: the name of the study; for two experiments both, in the order of the difference.
        start, split: the seeds were start, start + 1, ..., of this split.
        done: whether it held.
        n: runs (pairs) looked at: where it held, the first n at which it did.
        left_out: of them, those that diverged.
        interval: of the n runs; None where it says nothing.
        why: where it did not hold, why it ended; empty where it was interrupted.
        better: of two experiments, the name of the one that scores better; empty otherwise.
        beyond: runs that were computed beyond the n-th. They are stored, and have no part in the interval; how many
            they are depends on the workers, and is not kept.
    """

    rule: AnyRule
    studies: tuple[str, ...]
    start: int = 0
    split: int = 0
    done: bool = False
    n: int = 0
    left_out: int = 0
    interval: Interval | None = None
    why: str = ""
    better: str = ""
    beyond: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """Canonical text of what was asked: the same rule of the same seeds has one answer."""
        rule = {"kind": self.rule.kind, **asdict(self.rule)}
        asked = {"rule": rule, "studies": list(self.studies), "start": self.start, "split": self.split}
        return json.dumps(asked, sort_keys=True)

    def as_json(self) -> dict[str, Any]:
        """As JSON values: ``rule`` and what belongs to it, and what was found."""
        found = {"done": self.done, "n": self.n, "left_out": self.left_out, "why": self.why, "better": self.better}
        return {**json.loads(self.key), **found, "interval": None if self.interval is None else asdict(self.interval)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What ``as_json`` gave.

        Raises:
            StoreError: of a rule that is not known here.
        """
        kind = values["rule"]["kind"]
        if kind not in RULES:
            raise StoreError(f"a study was stopped by a newer Seedbed's rule, {kind!r}: upgrade to read it")
        given = {name: value for name, value in values["rule"].items() if name != "kind"}
        if given.get("bounds") is not None:
            given["bounds"] = tuple(given["bounds"])
        interval = values["interval"]
        if interval is not None:
            scope = Scope(*(tuple(interval["scope"][name]) for name in ("resampled", "fixed")))
            interval = Interval(**{**interval, "scope": scope})
        rest = {name: values[name] for name in ("start", "split", "done", "n", "left_out", "why", "better")}
        return cls(rule=RULES[kind](**given), studies=tuple(values["studies"]), interval=interval, **rest)
