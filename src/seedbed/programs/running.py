"""One run of a program, from its start to the end of every process of it."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.programs.output import Transcript

SUPERVISOR = Path(__file__).with_name("supervisor.py")
CHUNK = 65536
_SIGNALS = {  # what often sends them
    signal.SIGKILL: "often: out of memory",
    signal.SIGXCPU: "its limit of processor time, ulimit -t",
    signal.SIGXFSZ: "its limit of file size, ulimit -f",
}


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        cause: why it failed, in plain words; None where its exit status is 0.
        left: how many processes of it could not be ended, because they hang in the kernel or are another user's.
    """

    cause: str | None
    left: int = 0


class Running:
    """A program that was started under a supervisor (``supervisor.py``)."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], timeout: float | None) -> None:
        control, self._control = os.pipe()
        self._report, report = os.pipe()
        self._lock = threading.Lock()
        self._timeout = timeout
        self._reported = b""
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), str(control), str(report), str(os.getpid()),
                 str(timeout or 0), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(control, report),
                env=dict(environment),
                start_new_session=True,  # Ctrl-C in a terminal is for Seedbed alone, which then ends its programs
            )  # fmt: skip
        except BaseException:
            os.close(self._report)
            self.stop()
            raise
        finally:
            os.close(control)
            os.close(report)

    def stop(self) -> None:
        """End the program and all it has started, soon. From any thread, and more than once."""
        with self._lock:
            if self._control >= 0:
                os.close(self._control)
                self._control = -1

    def follow(self, transcript: Transcript) -> Ended:
        """Take what is printed until every process of the program has ended."""
        try:
            with self._supervisor:  # closes its pipes, and waits for it
                try:
                    self._read(transcript)
                finally:
                    self.stop()
        finally:
            os.close(self._report)
        transcript.end()
        return self._ended()

    def _read(self, transcript: Transcript) -> None:
        assert self._supervisor.stdout is not None
        assert self._supervisor.stderr is not None
        standard, error = self._supervisor.stdout.fileno(), self._supervisor.stderr.fileno()
        with selectors.DefaultSelector() as selector:
            for descriptor in (standard, error, self._report):
                selector.register(descriptor, selectors.EVENT_READ)
            over = False
            while selector.get_map():
                ready = selector.select(0 if over else None)
                if over and not ready:
                    return  # a process that could not be ended holds a pipe open: what has come is all
                for key, _ in ready:
                    data = os.read(key.fd, CHUNK)
                    if not data:
                        selector.unregister(key.fd)
                        over |= key.fd == self._report
                    elif key.fd == self._report:
                        self._reported += data
                    else:
                        transcript.add(data, standard=key.fd == standard)

    def _ended(self) -> Ended:
        lines = self._reported.decode(errors="replace").splitlines()
        told = {word.partition(" ")[0]: word.partition(" ")[2] for word in lines}
        if "error" in told:
            return Ended(f"could not be started: {told['error']}")
        if not lines or not lines[-1].startswith("code="):
            if "pid" in told:
                with contextlib.suppress(OSError):  # it was the leader of its group
                    os.killpg(int(told["pid"]), signal.SIGKILL)
            return Ended(f"the process that watches over it ended, {_status(self._supervisor.returncode)}")
        found = {name: int(value) for name, value in (word.split("=") for word in lines[-1].split())}
        return Ended(self._cause(**{name: found[name] for name in ("code", "late", "memory", "told")}), found["left"])

    def _cause(self, code: int, late: int, memory: int, told: int) -> str | None:
        if late:
            return f"timed out after {self._timeout:g} s"
        if told:
            return f"was told to end from outside, by signal {told}"
        if memory and code == -signal.SIGKILL:
            return "killed by signal 9: out of memory"
        meanwhile = "; meanwhile the system killed a process for want of memory" if memory else ""
        return f"{_status(code)}{meanwhile}" if code else None


def _status(code: int) -> str:
    if code < 0:
        return f"killed by signal {_signal(-code)}"
    if 128 < code < 128 + signal.NSIG:  # as a shell tells of its last command
        return f"exit status {code}, which is often signal {_signal(code - 128)}"
    return f"exit status {code}"


def _signal(number: int) -> str:
    try:
        known = signal.Signals(number)
    except ValueError:
        return str(number)
    said = _SIGNALS.get(known, known.name)
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if known in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS) and space != resource.RLIM_INFINITY:
        said += f", perhaps out of memory: ulimit -v is {space // 2**20:,} MiB"
    return f"{number} ({said})"
