"""Questions about a program that lead to others of their kind, each answered once."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from seedbed.auditing.lint.reading import Source

Question = TypeVar("Question", bound=Callable[[Any, Source], Any])

DEEP = 40  # how many questions lead to one another; code that is written by hand needs fewer


def remembered(otherwise: object) -> Callable[[Question], Question]:
    """Let a question about a node be answered once.

    Args:
        otherwise: the answer within a question that leads back to itself, and where too many lead to one another.
    """

    def decorate(question: Question) -> Question:
        @functools.wraps(question)
        def asked(node: ast.AST, source: Source) -> object:
            memory = source.memory
            key = (question, node)
            if key in memory.answers:
                return memory.answers[key]
            if memory.depth >= DEEP:
                return otherwise
            memory.answers[key] = otherwise
            memory.depth += 1
            try:
                memory.answers[key] = question(node, source)
            finally:
                memory.depth -= 1
            return memory.answers[key]

        return cast(Question, asked)

    return decorate
