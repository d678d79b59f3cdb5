"""How fast the reference engine is: beside the plain script with its DataLoader, and two workers beside one.

    python benchmarks/reference.py [--epochs 200] [--rounds 5]

Both sides train the people experiment (6-(10-10)-3, batch 10, SGD) with one torch thread, in turn, and every pair of
runs is compared byte by byte. Prints medians and ratios; the ratios are what to quote.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load
from torch import nn

import seedbed as sb
from seedbed.engines.reference import ReferenceEngine
from seedbed.gallery.people import PeopleNet, people
from seedbed.records import Recording
from seedbed.seeds import Assignment

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import plain_script


def loop_against_engine(epochs: int, rounds: int) -> tuple[list[float], list[float], bool]:
    """Seconds of the plain script and of the engine, one run each in turn, and whether all bits were equal."""
    experiment = people(epochs=epochs)
    trainer = ReferenceEngine().trainer(experiment, Recording(weights=True))
    plain_seconds, engine_seconds, equal = [], [], True
    for seed in range(rounds + 1):  # the first round warms up
        start = time.perf_counter()
        expected = plain_script.train(
            seed,
            make_model=lambda: PeopleNet((10, 10), "xavier"),
            dataset=experiment.data.train,
            loss=nn.NLLLoss(),
            make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
            batch_size=10,
            epochs=epochs,
        ).state_dict()
        between = time.perf_counter()
        (result,) = trainer.train([Assignment.plain(seed)])
        end = time.perf_counter()
        found = load(result.weights)
        equal &= all(found[name].numpy().tobytes() == value.numpy().tobytes() for name, value in expected.items())
        if seed:
            plain_seconds.append(between - start)
            engine_seconds.append(end - between)
    return plain_seconds, engine_seconds, equal


def workers(count: int, epochs: int, runs: int) -> float:
    """Runs a second of so many workers, between the first and the last run: without the start of the processes."""
    ends: list[float] = []

    class Clock:
        def begun(self, study: sb.Study, pending: int) -> None: ...
        def said(self, text: str) -> None: ...
        def finished(self, result: object) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        experiment, options = people(epochs=epochs), {"engine": "reference", "workers": count}
        sb.run(experiment, range(runs), store=f"{folder}/s.db", watcher=Clock(), **options)
    return (len(ends) - count) / (ends[-1] - ends[count - 1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plain, engine, equal = loop_against_engine(options.epochs, options.rounds)
    ratios = [a / b for a, b in zip(plain, engine, strict=True)]
    print(f"people, {options.epochs} epochs, {options.rounds} seeds in turn, one thread, torch {torch.__version__}")
    print(f"plain script      {statistics.median(plain):7.3f} s a seed")
    print(f"reference engine  {statistics.median(engine):7.3f} s a seed")
    print(f"ratio             {statistics.median(ratios):7.2f} x (from {min(ratios):.2f} to {max(ratios):.2f})")
    print(f"bits              {'equal for every seed' if equal else 'DIFFERENT'}")
    pairs = [(workers(1, options.epochs, 16), workers(2, options.epochs, 16)) for _ in range(3)]
    gains = [two / one for one, two in pairs]
    print(f"one worker        {statistics.median(one for one, _ in pairs):7.2f} runs a second")
    print(f"two workers       {statistics.median(two for _, two in pairs):7.2f} runs a second")
    print(f"ratio             {statistics.median(gains):7.2f} x (from {min(gains):.2f} to {max(gains):.2f})")
    if not equal:
        sys.exit(1)


if __name__ == "__main__":
    main()
