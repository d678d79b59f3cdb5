"""Variance components: crossed tables and groups with known effects."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from seedbed import stats
from simulation.rows import SHAPES, Figure, Row, Shape, coverage

INIT, ORDER, INTERACTION, NOISE = 1.0, 0.25, 0.25, 0.25  # variances
BETWEEN, WITHIN = 0.5, 1.0
EFFECTS = (0.0, 0.0), (0.25, 0.25), (1.0, 0.0), (4.0, 1.0)  # of init and order, in crossed means


def _table(shape: Shape, a: int, replicates: int, order: float, draws: int, rng: Generator) -> dict[str, Figure]:
    rest = INTERACTION + (0.0 if replicates > 1 else NOISE)
    true = {"init": INIT, "order": order, "interaction": INTERACTION, "residual": NOISE if replicates > 1 else rest}
    whole = INTERACTION + NOISE
    spreads = {"init varies": INIT + whole, "order varies": order + whole, "both vary": INIT + order + whole}
    held: dict[str, list[bool]] = {name: [] for name in (*true, *spreads)}
    for _ in range(draws):
        cells = (
            math.sqrt(INIT) * shape.draw(rng, a, 1)
            + math.sqrt(order) * shape.draw(rng, 1, a)
            + math.sqrt(rest) * shape.draw(rng, a, a)
        )
        table = cells
        if replicates > 1:
            table = cells[:, :, None] + math.sqrt(NOISE) * shape.draw(rng, a, a, replicates)
        found, spread = stats.variance_components(table), stats.isolate(table)
        for name, variance in true.items():
            part = getattr(found, name)
            if part is not None:
                held[name].append(part.low <= variance <= part.high)
        for name, interval in zip(spreads, (spread.init_varies, spread.order_varies, spread.both_vary), strict=True):
            held[name].append(math.sqrt(spreads[name]) in interval)
    return {name: coverage(each) if each else Figure(None, "coverage", draws) for name, each in held.items()}


def _factors(shape: Shape, levels: tuple[int, int, int], split: float, draws: int, rng: Generator) -> dict[str, Figure]:
    roles = ("init", "order", "split")
    true = {
        "init": INIT,
        "order": ORDER,
        "split": split,
        "init x order": INTERACTION,
        "init x split": INTERACTION,
        "order x split": INTERACTION,
        "residual": NOISE,
    }
    held: dict[str, list[bool]] = {name: [] for name in true}
    for _ in range(draws):
        table = math.sqrt(NOISE) * shape.draw(rng, *levels)
        for name, variance in list(true.items())[:-1]:
            size = [n if role in name.split(" x ") else 1 for role, n in zip(roles, levels, strict=True)]
            table = table + math.sqrt(variance) * shape.draw(rng, *size)
        for name, part in stats.crossed_components(table, roles).components.items():
            held[name].append(part.low <= true[name] <= part.high)
    return {name: coverage(each) for name, each in held.items()}


def _factors_row(shape: Shape, levels: tuple[int, int, int], split: float) -> Row:
    label = f"{' × '.join(map(str, levels))}, {shape.name}" + ("" if split else ", split adds nothing")
    return Row("factors", label, lambda draws, rng: _factors(shape, levels, split, draws, rng), every=4)


def _groups(shape: Shape, sizes: tuple[int, ...], draws: int, rng: Generator) -> dict[str, Figure]:
    held: dict[str, list[bool]] = {"between": [], "within": []}
    ends = np.cumsum(sizes)[:-1]
    for _ in range(draws):
        effects = math.sqrt(BETWEEN) * shape.draw(rng, len(sizes))
        scores = np.repeat(effects, sizes) + math.sqrt(WITHIN) * shape.draw(rng, sum(sizes))
        found = stats.one_way(np.split(scores, ends))
        held["between"].append(found.between.low <= BETWEEN <= found.between.high)
        held["within"].append(found.within.low <= WITHIN <= found.within.high)
    return {name: coverage(each) for name, each in held.items()}


def _crossed(a: int, init: float, order: float, draws: int, rng: Generator) -> dict[str, Figure]:
    found = {}
    for shape in SHAPES:
        held, student = [], []
        for _ in range(draws):
            table = (
                math.sqrt(init) * shape.draw(rng, a, 1)
                + math.sqrt(order) * shape.draw(rng, 1, a)
                + shape.draw(rng, a, a)
            )
            held.append(0.0 in stats.crossed_mean_interval(table))
            if shape is SHAPES[0]:
                student.append(0.0 in stats.mean_interval(table.ravel()))
        found[shape.name] = coverage(held)
        if student:
            found["Student t, normal"] = coverage(student)
    return found


def _crossed_row(a: int, init: float, order: float) -> Row:
    label = f"{a} × {a}, init {init:g}, order {order:g}"
    return Row("crossed", label, lambda draws, rng: _crossed(a, init, order, draws, rng))


def _table_row(shape: Shape, a: int, replicates: int, order: float) -> Row:
    form = f"{a} × {a}" + (f" × {replicates}" if replicates > 1 else "")
    label = f"{form}, {shape.name}" + ("" if order else ", order adds nothing")
    return Row("components", label, lambda draws, rng: _table(shape, a, replicates, order, draws, rng))


def _groups_row(shape: Shape, sizes: tuple[int, ...], form: str) -> Row:
    return Row("one_way", f"{form}, {shape.name}", lambda draws, rng: _groups(shape, sizes, draws, rng))


ROWS = [
    *(
        _crossed_row(a, *effects)
        for a in (3, 5, 10, 40)
        for effects in ((0.0, 0.0), (0.25, 0.25), (1.0, 0.0), (4.0, 1.0))
    ),
    *(
        _table_row(shape, a, replicates, ORDER)
        for a, replicates in ((5, 1), (5, 3), (10, 1), (40, 1))
        for shape in SHAPES
    ),
    _table_row(SHAPES[0], 10, 1, 0.0),
    *(_factors_row(shape, levels, INIT) for levels in ((3, 3, 3), (5, 5, 4), (10, 10, 10)) for shape in SHAPES),
    _factors_row(SHAPES[0], (5, 5, 4), 0.0),
    *(
        _groups_row(shape, sizes, form)
        for sizes, form in (
            ((5,) * 5, "5 groups of 5"),
            ((2, 3, 5, 7, 8), "5 groups of 2, 3, 5, 7, 8"),
            ((5,) * 10, "10 groups of 5"),
            ((3,) * 40, "40 groups of 3"),
        )
        for shape in SHAPES
    ),
]
