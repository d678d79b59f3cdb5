"""What went wrong while a study is watched, for its page: the watching goes on."""

from __future__ import annotations

import sys
import traceback

from seedbed.errors import SeedbedError


def told(what: str, error: Exception, before: str) -> str:
    """The error in a sentence. One that nobody foresaw is shown on standard error, once.

    Args:
        what: came to nothing.
        before: what was told the last time.
    """
    foreseen = isinstance(error, SeedbedError)
    sentence = f"{what}: {error if foreseen else f'{type(error).__name__}: {error}'}."
    if not foreseen and sentence != before:
        traceback.print_exception(error, file=sys.stderr)
    return sentence
