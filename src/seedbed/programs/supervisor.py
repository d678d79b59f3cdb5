"""The process between Seedbed and a program: whatever happens to Seedbed, it leaves no process of the program behind.

It is started by its path, with ``python -I -S``, and imports the standard library only, so that it is there in some
20 ms. Its arguments are the descriptors of two pipes, Seedbed's process id, the timeout in seconds (0: none), and the
command. The program inherits standard output and error.

- The first pipe comes from Seedbed: when it is closed, by Seedbed or by its death, everything is ended.
- The second goes to Seedbed: a line ``pid N`` when the program has been started, and one line at the end.

On Linux, what the program has started comes to this process when its parent has ended (a "child subreaper"), wherever
it put itself by ``setsid``, and is found among this process's children. Elsewhere only the program's process group is
ended.
"""

# ruff: noqa: SIM105 - contextlib would take a while to load

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import sys
import time

GRACE = 5.0  # seconds between the friendly and the deadly signal, when the time is up
SWEEP = 10.0  # seconds that killed processes may take to be gone; one that hangs in the kernel is not waited for
LOOK = 1.0  # seconds between two looks at whether Seedbed is there: another process may hold its end of the pipe open
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
ON_LINUX = sys.platform == "linux"


def main(control: int, report: int, seedbed: int, timeout: float, command: list[str]) -> None:
    """Run the command to its end, or to that of Seedbed or of its time."""
    for descriptor in (control, report):
        os.set_inheritable(descriptor, False)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    killed_before = _kills_for_memory()
    waking, wake = os.pipe()
    for descriptor in (waking, wake):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _note)
    me = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(command, report, me)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # the pipes from the program end with the program
        os.dup2(nothing, descriptor)
    _tell(report, f"pid {pid}")
    late = _wait(pid, control, waking, seedbed, timeout)
    code = _end(pid)
    memory = not late and _kills_for_memory() > killed_before
    left = _sweep()
    _tell(report, f"code={code} late={int(late)} memory={int(memory)} left={left} told={_told()}")
    os._exit(0)  # Seedbed waits for this process: Python's own end would take a while


_heard: set[int] = set()


def _note(number: int, frame: object) -> None:
    _heard.add(number)


def _told() -> int:
    """The signal by which this process was told to end; 0: none."""
    return next((number for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if number in _heard), 0)


def _become(command: list[str], report: int, supervisor: int) -> None:
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # should the supervisor itself be killed
        if os.getppid() != supervisor:
            os._exit(127)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and they would stay ignored
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as error:
        _tell(report, f"error {error.strerror}: {command[0]}{_why_not(error, command[0])}")
    finally:
        os._exit(127)


def _why_not(error: OSError, program: str) -> str:
    if error.errno == errno.ENOENT and "/" in program and os.path.exists(program):
        return " is there, but not the program that its first line names"
    return ", a script without a first line such as #!/bin/sh" if error.errno == errno.ENOEXEC else ""


def _wait(pid: int, control: int, waking: int, seedbed: int, timeout: float) -> bool:
    """Return when the program has ended or is to be ended; whether its time was up."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(waking, select.POLLIN)
    deadline = time.monotonic() + timeout if timeout else None
    late = False
    while not _reap(pid):
        if deadline is not None and time.monotonic() >= deadline:
            if late:
                return True
            late, deadline = True, time.monotonic() + GRACE
            _kill_group(pid, signal.SIGTERM)
        left = LOOK if deadline is None else min(LOOK, max(0.0, deadline - time.monotonic()))
        ready = dict(poll.poll(left * 1000 + 1))
        if waking in ready:
            os.read(waking, 4096)
        if control in ready or os.getppid() != seedbed or _told():
            return late
    return late


def _reap(pid: int) -> bool:
    """Whether the program has ended. Others that came to this process and ended are taken away; the program itself
    stays, so that its number, which is its group's, is given to no other."""
    while hasattr(os, "waitid"):
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        if ended is None:
            return False
        if ended.si_pid == pid:
            return True
        os.waitpid(ended.si_pid, 0)
    return _has_ended(pid)


_codes: dict[int, int] = {}


def _has_ended(pid: int) -> bool:
    if pid not in _codes:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            _codes[pid] = os.waitstatus_to_exitcode(status)
    return pid in _codes


def _end(pid: int) -> int:
    """Kill the program and its group; how the program ended: its exit status, or a signal's number below 0."""
    _kill_group(pid, signal.SIGKILL)
    if pid not in _codes:
        try:
            os.kill(pid, signal.SIGKILL)  # where it has only just been forked, it leads no group yet
        except OSError:
            pass  # another user's by now
    limit = time.monotonic() + SWEEP
    while not _has_ended(pid) and time.monotonic() < limit:
        time.sleep(0.002)
    return _codes.get(pid, -signal.SIGKILL)


def _kill_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except OSError:
        pass  # no one there, or no longer ours


def _sweep() -> int:
    """Kill whatever else the program has started, until there is none; how many could not be killed."""
    limit = time.monotonic() + SWEEP
    pause = 0.001
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return 0
        children = _children()
        if time.monotonic() > limit:
            return len(children)
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)


def _children() -> list[int]:
    me = os.getpid()
    try:
        with open(f"/proc/self/task/{me}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        pass  # the kernel may be built without it
    found: list[int] = []
    for name in os.listdir("/proc") if ON_LINUX else ():
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if name.isdigit() and int(fields[1]) == me:
            found.append(int(name))
    return found


def _prctl(option: int, value: int) -> None:
    if ON_LINUX:
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _kills_for_memory(mine: str = "/proc/self/cgroup", all_groups: str = "/sys/fs/cgroup") -> int:
    """How many processes the kernel has killed for memory in this control group; 0 where it is not told."""
    try:
        with open(mine) as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return 0
    count = 0
    for _, controllers, path in groups:
        if not controllers:
            places = [f"{all_groups}{path}/memory.events"]
        elif "memory" in controllers.split(","):
            places = [f"{all_groups}/memory{path}/memory.oom_control", f"{all_groups}/memory/memory.oom_control"]
        else:
            continue
        for place in places:
            try:
                with open(place) as file:
                    count += sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
                break
            except (OSError, ValueError):
                continue
    return count


def _tell(report: int, line: str) -> None:
    try:
        os.write(report, line.encode(errors="surrogateescape") + b"\n")
    except OSError:
        pass  # Seedbed has gone


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
