"""Tell an exception that a user's own code raised: what it was, and on which of the user's lines."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator

from seedbed.errors import InputError, SeedbedError

_HERE = os.path.dirname(__file__)


@contextlib.contextmanager
def blamed(what: str) -> Iterator[None]:
    """Turn what the block raises into an InputError that begins with ``what`` and names the user's line.

    Seedbed's own errors and Ctrl-C pass; ``sys.exit`` in a user's file does not.
    """
    try:
        yield
    except (SeedbedError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "site-packages" not in f.filename and not f.filename.startswith((_HERE, "<frozen"))]
        place = (own or frames)[-1]  # the user's own line, rather than where in torch it came out
        raise InputError(
            f"{what}: {type(error).__name__}: {error} (raised in {place.filename}, line {place.lineno})"
        ) from error
