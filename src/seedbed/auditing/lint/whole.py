"""Rule ``global-generator-unseeded``: a whole program draws from a global generator that nothing seeds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seedbed.auditing.lint.draws import Generator, drawn, seeded
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.reading import Source

RULE = "global-generator-unseeded"

_SEED: dict[Generator, str] = {
    "python": "random.seed(seed)",
    "numpy": "numpy.random.seed(seed)",
    "torch": "torch.manual_seed(seed)",
}
_CALLED: dict[Generator, str] = {
    "python": "Python's random module",
    "numpy": "numpy's global generator",
    "torch": "torch's global generator",
}


@dataclass(frozen=True)
class _Draw:
    source: Source
    call: ast.Call


def unseeded_globals(sources: Sequence[Source]) -> Iterator[tuple[Source, Alarm]]:
    """The first draw, in the order of the files, from each global generator that none of the files seeds."""
    first: dict[Generator, _Draw] = {}
    with_seed: set[Generator] = set()
    functions = (each for source in sources for each in source.scopes.nodes)
    defined = frozenset(each.name for each in functions if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    for source in sources:
        for call in source.calls:
            with_seed |= seeded(call, source, defined)
            generator = drawn(call, source)
            if generator is not None:
                first.setdefault(generator, _Draw(source, call))
    for generator, draw in first.items():
        if generator not in with_seed:
            where = "this program" if len(sources) > 1 else "this file"
            yield (
                draw.source,
                Alarm(
                    RULE,
                    "fault",
                    draw.call,
                    f"This draws from {_CALLED[generator]}, which nothing in {where} gives a seed: it takes one from "
                    "the operating system, another in every run.",
                    f"Call {_SEED[generator]} before the first draw.",
                ),
            )
