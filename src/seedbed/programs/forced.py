"""A run's seed in the place of every seed that a Python program sets: what is put before it, and what it met.

The work is done inside the program's own process by ``forcing/sitecustomize.py``, which Python loads at its start
because its folder is the first of PYTHONPATH. Generators that a program makes for itself, such as
``numpy.random.default_rng(42)`` or ``torch.Generator().manual_seed(42)``, keep the seeds that it gives them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from seedbed.programs.program import why_not_forced

INTERCEPTED = "seedbed: took the place of the seed in "  # at the head of a run's output
FORCING = Path(__file__).with_name("forcing")
NAMES = (
    "random.seed",
    "numpy.random.seed",
    "torch.manual_seed",
    "torch.cuda.manual_seed",
    "lightning.seed_everything",
    "transformers.set_seed",
)


def environment(given: Mapping[str, str], seed: int, folder: Path) -> dict[str, str]:
    """The environment of a program that is to have a seed; what it meets is told in a folder."""
    path = os.pathsep.join(filter(None, (str(FORCING), given.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "SEEDBED_FORCE_SEED": str(seed), "SEEDBED_INTERCEPTED": str(folder)}


def met(folder: Path) -> str | None:
    """The calls whose seed was replaced, as a sentence; empty: there was none; None: nothing was put in place."""
    files = sorted((each for each in folder.iterdir() if each.name.isdigit()), key=lambda each: int(each.name))
    if not files:
        return None
    counts: dict[str, int] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            call, _, count = line.rpartition("\t")
            counts[call] = counts.get(call, 0) + int(count)
    calls = ", ".join(f"{call} ({count} {'call' if count == 1 else 'calls'})" for call, count in counts.items())
    if not calls:
        return ""
    kinds = Counter(call.partition("(")[0] for call in counts)
    several = [name for name, count in kinds.items() if count > 1]  # such as a seed for each epoch, or each repetition
    note = f"; {' and '.join(several)} had different seeds, each of which became the run's" if several else ""
    return f"{INTERCEPTED}{calls}{note}"


def refusal(told: str | None, command: Sequence[str]) -> str | None:
    """Why a run's result cannot be that of its seed, given what ``met`` told; None where it can."""
    if told is None:
        why = why_not_forced(command) or (
            "the program started Python without PYTHONPATH, with -I, -S or -E, or one older than 3.7. Give it a {seed} "
            "instead"
        )
        return f"the seed could not be put in the place of others: {why}"
    if not told:
        return (
            f"nothing that sets a seed was called ({', '.join(NAMES)}): this program's result would not depend on the "
            "seed; give it a {seed} instead"
        )
    return None
