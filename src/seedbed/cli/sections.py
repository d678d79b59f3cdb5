"""Help whose options stand in sections: a list of forty is not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import click


class Sectioned(click.Command):
    """A command that tells in ``sections`` which of its options belong together; others come last."""

    sections: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options section by section."""
        left = {each.name: each for each in self.get_params(ctx) if isinstance(each, click.Option)}
        for title, names in self.sections.items():
            self._write(ctx, formatter, title, [left.pop(name) for name in names])
        self._write(ctx, formatter, "Options", list(left.values()))

    @staticmethod
    def _write(ctx: click.Context, formatter: click.HelpFormatter, title: str, options: list[click.Option]) -> None:
        records = [record for each in options if (record := each.get_help_record(ctx)) is not None]
        with formatter.section(title):
            formatter.write_dl(records)
