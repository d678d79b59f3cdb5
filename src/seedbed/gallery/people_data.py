"""The people data: 240 invented persons from a seeded generator; ``python -m seedbed.gallery.people_data`` writes them.

Columns: sex (-1 or 1), age (years / 100), state (one of three, one-hot), income (dollars / 100,000), and the type of
politics (0, 1 or 2) that a person leans to. No person is real. The type is drawn with probabilities that depend on the
other columns; in one state the dependence is reversed. The constants were chosen so that a 6-(10-10)-3 network is
right about four in five and its seeds differ visibly, as in the demonstration: a teaching aid, whose spread says
nothing about any other data.

Only ``Random.random`` is used, whose values Python keeps from version to version; so the same bytes come everywhere.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

SEED = 1958
ROWS = {"people_train.txt": 200, "people_test.txt": 40}
SHARPNESS = 5.0  # how strongly a person's columns decide the type


def person(rng: random.Random) -> tuple[float, float, float, float, float, float, int]:
    """One person's columns."""
    sex = -1 if rng.random() < 0.5 else 1
    age = round(18 + 50 * rng.random())
    state = int(3 * rng.random())
    spread = rng.random() + rng.random() + rng.random() - 1.5  # roughly normal
    income = round(24_000 + 700 * (age - 18) + 6_000 * state + 22_000 * (spread + 1.5) / 1.5, -2)
    old, rich = (age - 43) / 25, (income - 68_000) / 22_000
    turn = 1 if state == 1 else -1  # one state reverses everything: hard to learn, so networks differ in what they find
    leaning = (
        SHARPNESS * sex * turn * math.sin(2 * old),
        SHARPNESS * turn * math.sin(2 * rich),
        SHARPNESS * 0.6 * sex * old,
    )
    weights = [math.exp(value - max(leaning)) for value in leaning]
    place, kind = rng.random() * sum(weights), 0
    while kind < 2 and place >= weights[kind]:
        place -= weights[kind]
        kind += 1
    return sex, age / 100, float(state == 0), float(state == 1), float(state == 2), income / 100_000, kind


def text(rows: int, rng: random.Random) -> str:
    """So many persons as the text of a file."""
    people = (person(rng) for _ in range(rows))
    return "".join(f"{s}\t{a:.2f}\t{x:.0f}\t{y:.0f}\t{z:.0f}\t{i:.4f}\t{kind}\n" for s, a, x, y, z, i, kind in people)


def write(folder: Path) -> None:
    """Write both files into ``folder``."""
    rng = random.Random(SEED)
    for name, rows in ROWS.items():
        (folder / name).write_text(text(rows, rng), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
