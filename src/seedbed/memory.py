"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path


def available(system: Path = Path("/")) -> int:
    """Bytes that can be taken without swapping: of the machine, and of the control groups (containers, batch jobs) that
    hold the process to less.

    Args:
        system: where the files of the system lie.
    """
    import psutil

    free = [int(psutil.virtual_memory().available)]
    free += [left for group in _groups(system) if (left := _left(group)) is not None]
    return max(0, min(free))


def has_run_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory: torch's allocator for the processor says so in words alone."""
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _groups(system: Path) -> list[Path]:
    """Folders of the control groups (version 2) that the process is in, the innermost first."""
    root = system / "sys/fs/cgroup"
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    innermost = root / own.lstrip("/")
    return [innermost, *(each for each in innermost.parents if each == root or root in each.parents)]


def _left(group: Path) -> int | None:
    """Bytes up to a group's limit, with what the system would give up of cached files; None where it has no limit."""
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((group / "memory.current").read_text())
        fields = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(limit) - used + int(fields.get("inactive_file", 0))
    except (OSError, ValueError):  # the root group has none of these files
        return None
