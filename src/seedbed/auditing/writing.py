"""Whether a training writes files of its own: two runs that write to the same ones must not be trained side by side."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT


class Writes:
    """What was written within the block.

    Attributes:
        any: whether a file was opened to be written to.
    """

    def __init__(self, but: Path) -> None:
        self.any, self._but, self.is_over = False, os.fspath(but.resolve()) + os.sep, False

    def saw(self, path: Any) -> None:
        """A file of this path is written to; None: to what is no file of a path."""
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, os.PathLike):
            path = os.fspath(path)
        if self.is_over or not isinstance(path, str):
            return
        whole = os.path.abspath(path)
        is_pythons = whole.endswith(".pyc") or "__pycache__" in whole
        if not (whole.startswith(("/dev/", "/proc/", self._but)) or is_pythons):
            self.any = True


@contextlib.contextmanager
def watched(but: Path) -> Iterator[Writes]:
    """Watch for files that are written to within the block: by Python's own functions, and by ``torch.save``.

    Args:
        but: a folder that does not count.
    """
    writes = Writes(but)
    tempfile.gettempdir()  # which tries, the first time, whether files can be written: no doing of the training

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or writes.is_over:
            return
        path, mode, flags = arguments
        by_mode = isinstance(mode, str) and bool(set(mode) & set("wax+"))
        if by_mode or (mode is None and isinstance(flags, int) and flags & _WRITING):
            writes.saw(path)

    sys.addaudithook(hook)  # which stays, and does nothing once it is over
    original = torch.save

    @functools.wraps(original)
    def saving(obj: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
        writes.saw(f)  # it opens the file by itself, unseen
        return original(obj, f, *args, **kwargs)

    torch.save = saving
    try:
        yield writes
    finally:
        torch.save = original
        writes.is_over = True
