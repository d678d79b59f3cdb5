"""Which line of the user's own code runs at the moment, and not of a library's."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType

_PYTHON = os.path.dirname(os.__file__)
_HERE = os.path.dirname(__file__)
_GALLERY = os.path.join(_HERE, "gallery")  # experiments as a user would write them
_NOTEBOOK = ("<ipython", "<stdin>")


@dataclass(frozen=True)
class Line:
    """A line of source: its file, its number, and the function that it stands in."""

    file: str
    number: int
    function: str

    def __str__(self) -> str:
        return f"{_short(self.file)}:{self.number}"


@lru_cache(4096)
def is_users(file: str) -> bool:
    """Whether code of this file is the user's: neither Python's own, nor of an installed package, nor Seedbed's."""
    if file.startswith("<"):
        return file.startswith(_NOTEBOOK)
    if file.startswith(_HERE + os.sep):
        return file.startswith(_GALLERY + os.sep)
    return not is_installed(file) and not file.startswith(_PYTHON + os.sep)


def is_installed(file: str) -> bool:
    """Whether code of this file is of an installed package."""
    return "site-packages" in file or "dist-packages" in file


def is_pythons(file: str) -> bool:
    """Whether code of this file is Python's own."""
    return file.startswith(_PYTHON + os.sep) and not is_installed(file)


def users_line(frame: FrameType | None = None) -> Line | None:
    """The innermost line of the user's code on the stack, from a frame outwards; None where only libraries run.

    Args:
        frame: where to begin; the caller's where not given.
    """
    at: FrameType | None = sys._getframe(1) if frame is None else frame
    while at is not None:
        if is_users(at.f_code.co_filename):
            return Line(at.f_code.co_filename, at.f_lineno, at.f_code.co_name)
        at = at.f_back
    return None


def callers_line(*skipped: str) -> Line | None:
    """The line that called the calling function's caller, where it is the user's: not that of a library between.

    Args:
        skipped: files whose functions only hand the call on.
    """
    at: FrameType | None = sys._getframe(2)
    while at is not None and at.f_code.co_filename in skipped:
        at = at.f_back
    if at is None or not is_users(at.f_code.co_filename):
        return None
    return Line(at.f_code.co_filename, at.f_lineno, at.f_code.co_name)


@lru_cache(4096)
def _short(file: str) -> str:
    """A path as short as it can be understood here."""
    if file.startswith("<"):
        return file
    try:
        relative = os.path.relpath(file)
    except ValueError:  # on another drive
        return file
    return file if relative.startswith("..") else relative
