"""What the stacked engine cannot run."""

from __future__ import annotations

from seedbed.errors import SeedbedError


class Unsupported(SeedbedError):  # noqa: N818 - it tells of a limit, not of a mistake
    """The experiment has something that cannot be computed for several runs at once; the message names it."""
