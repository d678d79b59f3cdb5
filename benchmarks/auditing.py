"""What it costs to observe every step of a training, as an audit does: time with fingerprints over time without.

    python benchmarks/auditing.py [--trainings people,mnist,names] [--rounds 7] [--steps 60]

Both ways train the same steps of the reference engine in one process, in turn; a round is the time of one over the time
of the other. Printed is the median of the rounds, with the least and greatest. *Closely* is the same with every
operation and line recorded, which an audit does at the step where two runs part, and nowhere else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from seedbed import generators, targets
from seedbed.auditing.observing import Enough, Observer, Window
from seedbed.building import fast_path_off, make_data
from seedbed.engines.batches import whole_tensors
from seedbed.engines.reference import Run
from seedbed.seeds import Assignment

LARGEST = 1 << 40  # more records than any tape here has
CLOSELY = 4  # steps that are recorded with every operation


class Counting:
    """Ends a training after so many steps, and does nothing else."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def batch(self, rows: object) -> None:
        """One more step."""
        if not self._left:
            raise Enough
        self._left -= 1

    def stepped(self, parameters: object, buffers: object) -> None:
        """Nothing."""


def timed(target: str, steps: int, how: str, folder: Path) -> float:
    """Seconds a step, of so many: ``plain``, ``observed``, or ``closely``."""
    experiment = targets.build(target, {})
    data = make_data(experiment, 0)
    with generators.preserved(), fast_path_off():
        run = Run(experiment, data, whole_tensors(data.train), Assignment.plain(0))
        if how == "plain":
            return _seconds(run, Counting(steps)) / steps
        window = Window(0, LARGEST) if how == "closely" else None
        with Observer(folder, steps, window) as observer:
            observer.made(run.model)
            return _seconds(run, observer) / steps


def _seconds(run: Run, observer: object) -> float:
    begun = time.perf_counter()
    try:
        while True:
            run.train_epoch(observer)
    except Enough:
        return time.perf_counter() - begun


def main() -> None:
    """Time, and print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", default="people,mnist,names")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{given.rounds} rounds of {given.steps} steps, one thread")
    print(f"{'training':10}{'ms a step':>12}  {'observed':24}  {'closely'}")
    for target in given.trainings.split(","):
        times: dict[str, list[float]] = {"plain": [], "observed": [], "closely": []}
        with tempfile.TemporaryDirectory() as folder:
            for each in range(given.rounds + 1):
                for how, found in times.items():
                    steps = CLOSELY if how == "closely" else given.steps
                    took = timed(target, steps, how, Path(folder) / f"{how}{each}")
                    if each:  # the first round warms up
                        found.append(took)
        shown = []
        for how in ("observed", "closely"):
            ratios = [a / b for a, b in zip(times[how], times["plain"], strict=True)]
            shown.append(f"{statistics.median(ratios):.3g} x ({min(ratios):.3g} to {max(ratios):.3g})")
        step = statistics.median(times["plain"]) * 1000
        print(f"{target:10}{step:12.2f}  {shown[0]:24}  {shown[1]}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
