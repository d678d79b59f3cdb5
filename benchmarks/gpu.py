"""How fast the stacked engine trains many seeds on one GPU, beside a loop over the seeds on the same GPU.

    python benchmarks/gpu.py [--trainings digits-cnn,names,mnist] [--stacks 16,64,256] [--rounds 3] [--seconds 3]
        [--device cuda] [--profile] [--json FILE]

The trainings are those of ``engines.py``. All ways train in one process, in turn, round after round; printed are the
median of the rounds and their least and greatest, in marginal seconds of a whole training of one seed: initial weights
and orders are part of it, evaluation (but of a few rows at the end) and store are not.

Trainings of 2 and of 8 epochs are timed, and a whole one is what follows from both: its start, and so many epochs.

- **loop** is the usual one: a DataLoader, each batch moved to the GPU.
- **loop, rows there** has all rows on the GPU and takes batches by index, as a careful script of such a small data set
  would. Both loops take torch as it comes: TensorFloat32 in convolutions, whatever algorithm cuDNN takes first.
- **stacked** has so many runs stacked, held to determined algorithms, as ``seedbed run --device cuda`` trains them.
- **/ loop**: how many times as fast as the faster of the loops.

``--profile`` prints what a block of the largest stack spends its time on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from peers import trainings
from seedbed import devices, engines
from seedbed.building import make_data, make_optimizer
from seedbed.devices import Device
from seedbed.records import Recording
from seedbed.seeds import Assignment
from seedbed.torch_settings import applied, settings_for

TRAININGS = ("digits-cnn", "names", "mnist")
EPOCHS = (2, 8)


class Loop:
    """One seed after the other."""

    def __init__(self, training: trainings.Training, device: Device, *, rows_there: bool) -> None:
        self._training, self._device, self.seeds = training, device, 1
        self._experiment = training.experiment(1)
        self._rows = make_data(self._experiment, 0).train
        self._there = [each.to(device.where) for each in training.rows] if rows_there else None
        self._seed = 0

    def __call__(self, epochs: int) -> None:
        """Train a seed."""
        torch.manual_seed(self._seed)
        self._seed += 1
        experiment = self._experiment
        model = experiment.model().to(self._device.where)
        optimizer = make_optimizer(experiment, model)
        for _ in range(epochs):
            for x, y in self._batches():
                optimizer.zero_grad()
                experiment.loss(model(x), y).backward()
                optimizer.step()
        _wait(self._device)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        size = self._training.batch_size
        if self._there is None:
            for x, y in DataLoader(self._rows, size, shuffle=True):
                yield x.to(self._device.where), y.to(self._device.where)
            return
        x, y = self._there
        for rows in torch.randperm(len(x)).to(self._device.where).split(size):
            yield x[rows], y[rows]


class Stacked:
    """Blocks of runs by the stacked engine."""

    def __init__(self, training: trainings.Training, device: Device, size: int) -> None:
        self._device, self.seeds = device, size
        self._settings = settings_for(device)
        engine = engines.make("stacked", {"stack": size}, device)
        with applied(self._settings, device):
            self._trainers = {
                epochs: engine.trainer(training.bare(epochs), Recording(examples=False)) for epochs in EPOCHS
            }
        self._seed = 0

    def __call__(self, epochs: int) -> None:
        """Train a block."""
        block = [Assignment.plain(self._seed + place) for place in range(self.seeds)]
        self._seed += self.seeds
        with applied(self._settings, self._device):
            for result in self._trainers[epochs].train(block):
                if result.error is not None:
                    raise RuntimeError(result.error)
        _wait(self._device)


Way: TypeAlias = Loop | Stacked


def seconds_a_seed(way: Way, epochs: int, seconds: float) -> float:
    """Of a whole training of so many epochs."""
    few, many = (_seconds(way, each, seconds / 2) / way.seeds for each in EPOCHS)
    an_epoch = (many - few) / (EPOCHS[1] - EPOCHS[0])
    return few + (epochs - EPOCHS[0]) * an_epoch


def _seconds(way: Way, epochs: int, seconds: float) -> float:
    """Of one training, made again and again until so many seconds have passed."""
    done, begun = 0, time.perf_counter()
    while not done or time.perf_counter() - begun < seconds:
        way(epochs)
        done += 1
    return (time.perf_counter() - begun) / done


def measure(name: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Marginal seconds of a whole training, a value a round, by way."""
    training, device = trainings.make(name), options.device
    ways: dict[str, Way] = {
        "loop": Loop(training, device, rows_there=False),
        "loop, rows there": Loop(training, device, rows_there=True),
        **{f"stacked, {size}": Stacked(training, device, size) for size in options.stacks},
    }
    for way in ways.values():
        way(EPOCHS[0])  # the first steps are slower: libraries are loaded, kernels are chosen
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _, (called, way) in itertools.product(range(options.rounds), ways.items()):
        found[called].append(seconds_a_seed(way, training.epochs, options.seconds))
    if options.profile:
        profile(name, list(ways.values())[-1], device)
    return found


def profile(name: str, way: Way, device: Device) -> None:
    """Print what a block spends its time on."""
    from torch.profiler import ProfilerActivity

    kinds = [ProfilerActivity.CPU] if device.is_processor else [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as found:
        way(EPOCHS[0])
    order = "self_cpu_time_total" if device.is_processor else "self_device_time_total"
    print(f"\n{name}: a block, by time of operations and kernels")
    print(found.key_averages().table(sort_by=order, row_limit=30, max_name_column_width=60))
    if not device.is_processor:
        print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=60))


def table(name: str, found: dict[str, list[float]]) -> str:
    """As text."""
    medians = {way: statistics.median(values) for way, values in found.items()}
    loop = min(seconds for way, seconds in medians.items() if way.startswith("loop"))
    lines = ["", f"{name:20}{'s a seed':>10}{'(least to greatest)':>24}{'/ loop':>10}"]
    for way, values in found.items():
        span = f"({min(values):.3g} to {max(values):.3g})"
        lines.append(f"{way:20}{medians[way]:>10.3g}{span:>24}{f'{loop / medians[way]:.3g} x':>10}")
    return "\n".join(lines)


def _wait(device: Device) -> None:
    if not device.is_processor:
        torch.cuda.synchronize(device.where)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trainings", type=lambda text: text.split(","), default=list(TRAININGS))
    parser.add_argument("--stacks", type=lambda text: [int(each) for each in text.split(",")], default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="that a way works in a round")
    parser.add_argument("--device", type=lambda name: devices.parse(name).settled(), default="cuda")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if unknown := sorted(set(options.trainings) - set(trainings.NAMES)):
        parser.error(f"no such training: {', '.join(unknown)}; there are {', '.join(trainings.NAMES)}")
    options.device.check()
    options.device.prepare()
    return options


def main() -> int:
    """Measure and print."""
    options = _options()
    where = "the processor" if options.device.is_processor else torch.cuda.get_device_name(options.device.where)
    print(f"{where}, torch {torch.__version__}, {options.rounds} rounds of {options.seconds:g} s", flush=True)
    everything = {}
    for name in options.trainings:
        everything[name] = measure(name, options)
        print(table(name, everything[name]), flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
