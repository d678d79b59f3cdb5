"""Lines of the user's code as they are recorded, and the first one after which two recordings part."""

from __future__ import annotations

import functools
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from seedbed.auditing import states
from seedbed.auditing.closely import LineParting, drawing_line, line_parting
from seedbed.auditing.lines import LineTrace, _may_run_users
from seedbed.auditing.modules import ModuleStack
from seedbed.auditing.operations import OperationLog


def traced(do: Callable[[], Any], folder: Path, *, evaluating: bool = False) -> Path:
    folder.mkdir()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    with ModuleStack() as modules:
        log = OperationLog(folder, modules)
        lines = LineTrace(folder, log, lambda: evaluating)
        log.start()
        lines.start()
        try:
            do()
        finally:
            lines.stop()
            log.close()
    return folder


def line_of(function: Callable[..., Any], offset: int) -> int:
    return function.__code__.co_firstlineno + offset


def parted(do: Callable[[Any], Any], one: Any, other: Any, tmp_path: Path, **options: Any) -> LineParting | None:
    given = {"a": one, "b": other}
    ours, theirs = (traced(functools.partial(do, value), tmp_path / name) for name, value in given.items())
    return line_parting(ours, theirs, **options)


def in_order(items: Any) -> list[str]:
    found = []
    for item in items:
        found.append(item)  # noqa: PERF402 - a line for each
    return found


def test_the_line_that_takes_items_in_another_order_is_named(tmp_path):
    found = parted(in_order, ["a", "b", "c"], ["a", "c", "b"], tmp_path)
    assert (found.what, found.name) == ("variable", "items")
    found = parted(lambda items: in_order(iter(items)), iter(["a", "b"]), iter(["a", "c"]), tmp_path / "2")
    assert (found.what, found.name, found.line.number) == ("variable", "item", line_of(in_order, 2))


@pytest.fixture(autouse=True)
def _folders(tmp_path):
    (tmp_path / "2").mkdir()


def test_the_order_of_a_set_is_no_part_of_its_value(tmp_path):
    one, other = {0, 8}, {8, 0}  # of one bucket: their order is that of insertion
    assert list(one) != list(other)

    def hold(items: set[int]) -> int:
        kept = items
        return len(kept)

    assert parted(hold, one, other, tmp_path) is None
    found = parted(in_order, one, other, tmp_path / "2")
    assert (found.name, found.line.number) == ("item", line_of(in_order, 2))


def draw(generator: str) -> int:
    x = 1
    if generator == "python":
        random.random()
    elif generator == "numpy":
        np.random.rand()
    elif generator == "torch":
        torch.rand(1)
    return x


@pytest.mark.parametrize(("name", "offset", "whose"), [
    ("python", 3, "Python's"), ("numpy", 5, "numpy's"), ("torch", 7, "torch's"),
])  # fmt: skip
def test_the_line_that_moves_a_generator_is_named(name, offset, whose, tmp_path):
    found = drawing_line(traced(lambda: draw(name), tmp_path / "a", evaluating=True), "evaluating")
    assert (found.what, found.name, found.line.number) == ("draws", whose, line_of(draw, offset))
    assert drawing_line(traced(lambda: draw("none"), tmp_path / "b", evaluating=True), "evaluating") is None


def twice_or_once(twice: list[int]) -> None:
    torch.rand(3)
    torch.rand(len(twice) * 400)  # more or fewer
    torch.rand(1)


def test_a_draw_of_another_length_parts_at_its_line(tmp_path):
    class Hidden:
        def __init__(self, length: int) -> None:
            self.length = length

        def __len__(self) -> int:
            return self.length

    found = parted(twice_or_once, Hidden(1), Hidden(2), tmp_path)
    assert (found.what, found.name) == ("generator", "torch's")
    assert found.line.number == line_of(twice_or_once, 2)


def branch(flag: Any) -> int:
    if bool(flag):
        return 1
    return 2


def test_another_way_through_the_code_is_named_where_it_parts(tmp_path):
    found = parted(branch, np.array(True), np.array(False), tmp_path)
    assert (found.what, found.line.number) == ("flow", line_of(branch, 1))


def timed(_: int) -> int:
    begun = time.perf_counter()
    stamp = str(time.time_ns())
    return int(begun) + len(stamp)


def test_times_are_left_out_where_equal_runs_differ_in_them_too(tmp_path):
    folders = [traced(lambda: timed(0), tmp_path / name) for name in ("a", "b", "c")]
    assert line_parting(*folders[:2]).name == "stamp"  # a float by itself is never looked at
    assert line_parting(*folders[:2], [folders[2]]) is None


def test_generators_that_nobody_seeded_are_named_where_they_are_drawn_from(tmp_path):
    def do(seed: int) -> None:
        np.random.seed(seed)  # stands for another process, in which it stands anywhere

    def drawing() -> None:
        torch.rand(1)
        np.random.rand(3)
        torch.rand(1)

    folders = []
    for name, seed in (("a", 1), ("b", 2)):
        folder = tmp_path / name
        folder.mkdir()
        torch.manual_seed(0)
        random.seed(0)
        do(seed)
        with ModuleStack() as modules:
            log = OperationLog(folder, modules)
            lines = LineTrace(folder, log, lambda: False)
            log.start()
            lines.start()
            drawing()
            lines.stop()
            log.close()
        folders.append(folder)
    found = line_parting(*folders)
    assert (found.what, found.name, found.line.number) == ("unseeded", "numpy's", line_of(drawing, 2))


def test_draws_of_evaluation_are_told_from_others(tmp_path):
    folder = traced(lambda: draw("torch"), tmp_path / "a")
    assert drawing_line(folder, "evaluating") is None
    assert drawing_line(traced(lambda: draw("torch"), tmp_path / "b", evaluating=True), "evaluating") is not None


class Jittered(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, row: int) -> float:
        return float(row) + random.random()


def collated(rows: list[float]) -> list[float]:
    return [each + float(np.random.rand()) for each in rows]


def load_and_draw(loads: bool) -> None:
    if loads:
        for _ in DataLoader(Jittered(), batch_size=4, collate_fn=collated):
            pass
    for _ in range(9):
        torch.rand(2)


def test_draws_where_rows_are_loaded_are_told_from_others(tmp_path):
    found = drawing_line(traced(lambda: load_and_draw(True), tmp_path / "a"), "loading")
    assert (found.name, found.line.function) in (("Python's", "__getitem__"), ("numpy's", "<listcomp>"))
    assert drawing_line(traced(lambda: load_and_draw(False), tmp_path / "b"), "loading") is None


def test_what_moves_a_generator_after_the_users_code_has_returned_is_not_charged_to_it(tmp_path):
    """An experiment is made by a function of the user's; then Seedbed seeds generators, to read its data."""

    def written(name: str, drawn: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        stands = [[0, 0, 0, 0], [drawn, 0, 0, 0]]
        lines = [
            ["a.py", 1, "made", "line", 0, stands[0], {}, True, None, True],
            ["a.py", 1, "made", "return", 0, stands[0], {}, True, None, True],
            ["a.py", 9, "__getitem__", "line", 0, stands[1], {}, True, None, True],
        ]
        (folder / "lines").write_text("".join(json.dumps(each) + "\n" for each in lines))
        return folder

    one, other = written("a", 1), written("b", 2)
    assert line_parting(one, other) is None
    assert drawing_line(one, "loading") is None


def test_tracing_stops_and_leaves_no_trace(tmp_path):
    before = sys.gettrace()
    traced(lambda: draw("torch"), tmp_path / "a")
    assert sys.gettrace() is before
    size = (tmp_path / "a" / "lines").stat().st_size
    draw("torch")
    assert (tmp_path / "a" / "lines").stat().st_size == size


def lines_of_its_own() -> int:
    x = 1
    return -x


def test_what_another_thread_writes_to_a_shared_variable_is_kept(tmp_path, monkeypatch):
    looks, left, kept = states.of_python, [0], []
    step, done = threading.Semaphore(0), threading.Semaphore(0)

    def look() -> int:  # while a line is recorded, the other thread goes on
        if left[0]:
            left[0] -= 1
            step.release()
            done.acquire(timeout=5.0)
        return looks()

    def train() -> None:
        count = 0

        def work() -> None:
            nonlocal count
            for _ in range(5):
                step.acquire(timeout=5.0)
                count += 1
                done.release()

        thread = threading.Thread(target=work)
        thread.start()
        left[0] = 5
        for _ in range(5):
            lines_of_its_own()
        thread.join()
        kept.append(count)

    monkeypatch.setattr("seedbed.auditing.states.of_python", look)
    folder = traced(train, tmp_path / "a")
    assert kept == [5]
    assert '"lines_of_its_own", "return"' in (folder / "lines").read_text()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="variables of a traced frame are written through")
def test_a_thread_that_runs_already_is_known_too(tmp_path):
    ends = threading.Event()
    thread = threading.Thread(target=lambda: ends.wait(5.0))

    def share() -> int:
        x = 1
        return (lambda: x)()

    thread.start()
    try:
        folder = traced(share, tmp_path / "a")
    finally:
        ends.set()
        thread.join()
    assert '"share"' not in (folder / "lines").read_text()
    assert '"share"' in (traced(share, tmp_path / "b") / "lines").read_text()


def test_threads_of_libraries_run_none_of_the_users_code():
    own = {}
    exec(compile("def run(): pass", "/x/site-packages/bar.py", "exec"), own)
    assert not _may_run_users(threading.Thread(target=own["run"]))
    assert _may_run_users(threading.Thread(target=lines_of_its_own))
    assert _may_run_users(threading.Thread(target=functools.partial(lines_of_its_own)))
    assert _may_run_users(threading.Timer(1.0, lines_of_its_own))


def test_of_variables_those_are_named_that_differ_before_an_operation_does(tmp_path):
    def written(name: str, values: list[int]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        lines = [["net.py", 1, "train", "line", 0, [0, 0, 0, 0], {}, False, None, False]]
        for number, value in enumerate(values, 2):
            lines.append(
                ["net.py", number, "train", "line", number - 2, [0] * 4, {f"v{number}": value}, False, None, False]
            )
        (folder / "lines").write_text("".join(json.dumps(each) + "\n" for each in lines))
        return folder

    one, other = written("a", [1] * 8), written("b", [2] * 8)
    found = line_parting(one, other, variables_last=True, until=3)
    assert (found.line.number, found.name) == (1, "v2")
    assert [(line.number, name) for line, name in found.others] == [(2, "v3"), (3, "v4"), (4, "v5")]
    whole = line_parting(one, other, variables_last=True)
    assert [name for _, name in whole.others] == ["v7", "v8", "v9"]
    assert line_parting(one, other).others == ()
