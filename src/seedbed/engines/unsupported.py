"""What a fast engine cannot run."""

from __future__ import annotations

from typing import Any

from seedbed.errors import SeedbedError


class Unsupported(SeedbedError):  # noqa: N818 - it tells of a limit, not of a mistake
    """The experiment has something that an engine cannot compute; the message names it.

    Attributes:
        node: the operation of the captured graph, where it is one.
    """

    def __init__(self, reason: str, node: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.node = reason, node
