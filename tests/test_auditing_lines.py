"""Lines of the user's code as they are recorded, and the first one after which two recordings part."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seedbed.auditing.closely import LineParting, drawing_line, line_parting
from seedbed.auditing.lines import LineTrace
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
    found = drawing_line(traced(lambda: draw(name), tmp_path / "a"))
    assert (found.what, found.name, found.line.number) == ("draws", whose, line_of(draw, offset))
    assert drawing_line(traced(lambda: draw("none"), tmp_path / "b")) is None


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
    assert drawing_line(folder, evaluating=True) is None
    assert drawing_line(traced(lambda: draw("torch"), tmp_path / "b", evaluating=True), evaluating=True) is not None


def test_tracing_stops_and_leaves_no_trace(tmp_path):
    import sys

    before = sys.gettrace()
    traced(lambda: draw("torch"), tmp_path / "a")
    assert sys.gettrace() is before
    size = (tmp_path / "a" / "lines").stat().st_size
    draw("torch")
    assert (tmp_path / "a" / "lines").stat().st_size == size
