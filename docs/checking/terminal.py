"""Commands in a terminal of a fixed width that knows no colours: what a person would see of them."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

COLUMNS, LINES = 88, 40


def environment() -> dict[str, str]:
    """This process's environment with such a terminal, and this interpreter's programs found first."""
    return {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "LINES": str(LINES),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUTF8": "1",
        "TERM": "dumb",
    }


def run(command: Sequence[str], folder: Path, limit: float) -> tuple[int | None, list[str]]:
    """Run a command to its end.

    Args:
        folder: where it is run.
        limit: seconds after which it is ended, with all that it started.

    Returns:
        Its exit status, None where it was ended; and the lines that it printed, errors among them.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    child = subprocess.Popen(
        command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    printed, until = bytearray(), time.monotonic() + limit
    while select.select([ours], [], [], max(0.0, until - time.monotonic()))[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # what Linux tells in the place of an end
            part = b""
        if not part:
            break
        printed += part
    ended = time.monotonic() < until
    if not ended:
        os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    os.close(ours)
    return (status if ended else None), printed.decode(errors="replace").replace("\r\n", "\n").splitlines()
