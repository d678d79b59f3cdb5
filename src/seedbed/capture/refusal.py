"""Why a model cannot be captured, in a sentence that names the module, attribute or operation at fault."""

from __future__ import annotations

import os
import sys
import traceback
from types import FrameType

from seedbed.errors import InputError
from seedbed.userlines import is_users

_HERE = os.path.dirname(__file__)


class Refusal(InputError):  # noqa: N818
    """The step cannot be turned into a graph that is certain to compute what PyTorch computes."""


def users_line() -> str:
    """Where the user's own code is at this moment: `` (net.py, line 12)``; nothing where only torch's code runs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if os.path.dirname(path) == _HERE and frame.f_code.co_name in _ENTRIES:
            return ""  # beyond this frame lies the code that asked for the capture
        if is_users(path):
            return f" ({path}, line {frame.f_lineno})"
        frame = frame.f_back
    return ""


_ENTRIES = ("observe", "trace")  # the functions of steps.py that call the user's code


def as_refusal(error: Exception, origin: str) -> Refusal:
    """An exception that came up while the step was run or traced, as a refusal."""
    if isinstance(error, Refusal):
        return error
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_users(f.filename)]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else text[:297] + "..."
    return Refusal(f"{origin} cannot be captured: {type(error).__name__}: {text}{place}")
