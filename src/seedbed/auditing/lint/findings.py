"""What the reading of a program finds: a rule, a place, and words about it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

Severity = Literal["fault", "note"]

RULES = {
    "unseeded-generator": "a generator that takes its numbers from the operating system",
    "seed-from-outside": "a seed made of the time, the process or another thing that changes from run to run",
    "global-generator-unseeded": "a global generator that a whole program draws from and nothing seeds",
    "loader-workers": "a DataLoader's workers, on whose number or speed its numbers depend",
    "set-iteration": "a set whose order is used",
    "hash-order": "hash() or id() used as a number",
    "unsorted-listing": "files in the order of the file system",
    "cudnn-benchmark": "cuDNN's choice of algorithms by their speed",
    "tf32": "matrix products that some devices compute in fewer bits",
    "uninitialised-memory": "a tensor or array that holds whatever stood in memory",
}


@dataclass(frozen=True)
class Finding:
    """One place of a program that can make one seed give two results.

    Attributes:
        rule: one of ``RULES``.
        severity: ``fault`` where results differ from run to run, ``note`` where they can, under conditions that the
            message states.
        file: as it was given.
        line: counted from 1.
        code: the line itself, without the space around it.
        message: what is there, and why it can differ.
        remedy: what to do instead.
    """

    rule: str
    severity: Severity
    file: str
    line: int
    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Alarm:
    """What a rule says of a node of the tree; it becomes a finding where the source does not silence it."""

    rule: str
    severity: Severity
    node: ast.expr | ast.stmt
    message: str
    remedy: str
