"""What is free: of the machine, and of the control groups that hold a process to less."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from seedbed import memory
from seedbed.engines.lanes.room import NoRoom, Room

MIB = 2**20


def group(folder: Path, limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def own_groups(system: Path, line: str) -> Path:
    (system / "proc/self").mkdir(parents=True)
    (system / "proc/self/cgroup").write_text(line)
    return system / "sys/fs/cgroup"


def test_without_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert memory.available(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    own_groups(tmp_path, "4:memory:/old\n")
    assert memory.available(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@pytest.mark.parametrize(
    ("inner", "outer", "left"),
    [
        (("max", 5 * MIB, 0), (str(9 * MIB), 5 * MIB, 0), 4 * MIB),
        ((str(8 * MIB), 5 * MIB, 2 * MIB), (str(90 * MIB), 5 * MIB, 0), 5 * MIB),
        ((str(4 * MIB), 5 * MIB, 0), ("max", 5 * MIB, 0), 0),
    ],
)
def test_the_strictest_group_counts(
    inner: tuple[str, int, int], outer: tuple[str, int, int], left: int, tmp_path: Path
) -> None:
    root = own_groups(tmp_path, "0::/job/step\n")
    group(root / "job", *outer)
    group(root / "job/step", *inner)
    assert memory.available(tmp_path) == left


def test_a_block_waits_for_room_and_has_it_to_itself() -> None:
    free = 1000
    room, begun = Room(lambda: free), threading.Event()

    def second() -> None:
        with room.zeros(100, 0):
            begun.set()

    with room.zeros(100, 0) as own:
        free = 300
        assert own.shape == (100,)
        assert not own.any()
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        assert not begun.is_set()
        free = 1000
    thread.join(10)
    assert begun.is_set()
    with pytest.raises(NoRoom, match="it takes 1 MiB, and 0 MiB are free"), room.zeros(MIB // 4, 0):
        pass
