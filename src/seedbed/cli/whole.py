"""Options that take a whole number, and say in words of their own what else was typed."""

from __future__ import annotations

from typing import Any

import click


class WholeNumber(click.ParamType[int]):
    """A whole number.

    Args:
        name: of what it is, for the help.
        refusal: of anything else, with ``{!r}`` for what was typed.
    """

    def __init__(self, name: str, refusal: str) -> None:
        self.name, self._refusal = name, refusal

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or an error of click's."""
        try:
            return int(value)
        except ValueError:
            self.fail(self._refusal.format(value))
