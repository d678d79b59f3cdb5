"""What a run was seen to do that can make one seed give two results, though nothing need have come of it here."""

from __future__ import annotations

import linecache
from collections.abc import Iterator

from seedbed.auditing.lab import Observation
from seedbed.auditing.lint import Finding


def seeded_otherwise(one: Observation, other: Observation) -> list[str]:
    """Calls that seeded or made a generator in both runs, and not the same one."""
    ours, theirs = (each.notes.get("seedings", {}) for each in (one, other))
    return [
        call
        for call in ours
        if call in theirs and any(x != y for x, y in zip(ours[call]["states"], theirs[call]["states"], strict=False))
    ]


def seen(plain: Observation, again: Observation | None) -> Iterator[Finding]:
    """What the run as it is was seen to do, each with its line.

    Args:
        again: the same run once more, where there was one: what differs between them was not seeded.
    """
    for call in [] if again is None else seeded_otherwise(plain, again):
        if not plain.notes["seedings"][call]["directly"]:
            continue
        name, _, place = call.rpartition(" at ")
        file, _, line = place.rpartition(":")
        yield _finding(
            "unseeded-generator", file, int(line),
            f"{name} was seen to give another generator in each run.",
            "Give it a seed that derives from the run's seed, whether or not its numbers reach the training today.",
        )  # fmt: skip
    for file, line in plain.notes.get("unsteady_loaders", ()):
        yield _finding(
            "loader-workers", file, line,
            "A shuffled DataLoader with workers was made here, with neither generator nor worker_init_fn: what its "
            "items draw depends on how many workers there are.",
            "Give it a generator, and draw in its items from generators seeded by row and epoch.",
        )  # fmt: skip


def _finding(rule: str, file: str, line: int, message: str, remedy: str) -> Finding:
    return Finding(rule, "note", file, line, linecache.getline(file, line).strip(), message, remedy)
