"""How many runs are stacked: as many as memory holds and the device gains from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, fx

from seedbed.capture import CapturedGraph
from seedbed.devices import Device

MEMORY_SHARE = 0.6  # of what is free; the rest is for evaluation, libraries and others
# More runs at once gain nothing: on a processor their numbers leave its cache, on a GPU it is busy by then.
MOST = {"cpu": 16, "cuda": 256}
LEAST = 4  # where memory holds them: a study of few runs may be extended, and keeps to this number
STATE_COPIES = (
    6  # of each parameter, beside the model: itself, its gradient, the optimizer's state and what it computes
)


def proposed(graphs: Iterable[CapturedGraph], device: Device, rows: int, runs: int, workers: int) -> int:
    """The number of runs to stack where a study begins with so many ``runs`` in so many ``workers``.

    Args:
        rows: bytes of the training rows, which lie on the device beside the runs.
    """
    most = MOST.get(device.kind, MOST["cpu"])
    free = device.free_memory() / workers - (0 if device.is_processor else rows)
    fitting = int(MEMORY_SHARE * free / max(map(bytes_of_run, graphs)))
    most = max(1, min(most, fitting))
    rounds = math.ceil(runs / (workers * most))
    return min(most, max(LEAST, math.ceil(runs / (workers * rounds))))  # blocks that are all about full


def bytes_of_run(graph: CapturedGraph) -> int:
    """About what one run takes while it is trained: its state, and the most that a step holds at a time."""
    state = sum(
        math.prod(each.shape) * each.dtype.itemsize * STATE_COPIES
        for each in graph.inputs
        if each.kind in ("parameter", "buffer")
    )
    return state + _most_alive(graph)


def _most_alive(graph: CapturedGraph) -> int:
    """The most bytes that the values of a step take at a time. Views count as what they look at, and so twice."""
    nodes = list(graph.module.graph.nodes)
    last: dict[fx.Node, int] = {}
    for number, node in enumerate(nodes):
        last |= dict.fromkeys(node.all_input_nodes, number)
    ending: Mapping[int, list[fx.Node]] = {number: [] for number in range(len(nodes))}
    for node, number in last.items():
        ending[number].append(node)
    alive = most = 0
    for number, node in enumerate(nodes):
        alive += _bytes(node)
        most = max(most, alive)
        alive -= sum(map(_bytes, ending[number]))
    return most


def _bytes(node: fx.Node) -> int:
    if node.op in ("output", "get_attr"):
        return 0
    value: Any = node.meta.get("val")
    if not isinstance(value, Tensor):  # its parts are counted where they are taken from it
        return 0
    return value.numel() * value.element_size()
