"""How fast Seedbed's engines train many seeds, beside every other way to do it, in one run on one machine.

    python benchmarks/engines.py [--trainings people,digits,regression,digits-cnn,mnist,names]
        [--peers plain,torch.func,jax,stacked,lanes]
        [--rounds 3] [--seconds 4] [--prototype FOLDER] [--command 10000] [--json FILE] [--quick]

JAX comes with ``pip install 'seedbed[bench]'``; digits needs ``seedbed[gallery]``; torch.compile and the hand-written
kernel need g++. What is absent is left out, and the reason printed. All of it takes about half an hour, with nothing
else running; ``--quick`` sees in a few minutes that all works, and its times mean nothing.

The trainings (``peers/trainings.py``): *people*, 6-(10-10)-3, 200 rows, batch 10, SGD, 1,000 epochs; *digits*,
64-(128)-10, 1,437 rows, batch 32, SGD, 30 epochs; *regression*, 16-(64-64-64)-1 with LayerNorm, relu and dropout 0.1,
2,000 rows, batch 64, Adam, 20 epochs; and three of the gallery: *digits-cnn* and *mnist*, two convolutions with batch
norm, pooling and dropout on images of 8 x 8 and 28 x 28, *names*, a transformer. All train on the same rows from
initial weights and in orders drawn alike.

What the figures mean:

- **s a seed**: marginal seconds of one more seed on all the cores together, trained whole: the median of the rounds,
  and their least and greatest. Start and compilation are no part of it. Peers are timed in turn, each in processes of
  its own that are held to the cores. Peers that train seeds in stacks, in blocks or one by one are timed by repeating
  that: the slope of time over seeds from one stack to the next. Seedbed's engines are timed as their users get them,
  through ``seedbed.run`` with initial weights, orders, evaluation, predictions and store: the slope between two numbers
  of seeds. The stacked engine is timed by its blocks, with initial weights, orders and masks, without evaluation and
  store, as the plain loop is.
- Slow peers train fewer epochs than a whole training, as printed with their setting, and their seconds are scaled up by
  the number of epochs: an epoch costs the same first and last.
- In favour of torch.func and JAX, the making of what they are given is not timed: initial weights and orders of rows.
  They draw dropout masks of their own when they are timed, from 16 random bits an element.
- Each peer is tried as one process with all the cores and as a process a core, with several numbers of seeds at once;
  the best is timed, and printed. ``--json`` keeps every setting tried.
- **/ plain**: how many times as fast as the plain loop; **lanes is**: how many times as fast as it lanes is.
- **GFLOP/s** counts the matrix products alone (forward 2 x in x out a row and layer; backward twice that, but once in
  the first layer), and **of peak** is that over the multiply-add peak, measured here on as many cores.
- **start** is from the start of a peer's processes to where they can train; for Seedbed's engines, the seconds that no
  seed at all would take, in a process that has compiled before. **compile** is the compiler's time for the best
  setting; of lanes, from the experiment to its first step: capture, lowering and LLVM, with all that they import.
- **score** is the mean of a few seeds trained whole (left out of networks with batch norm, whose averages are no
  weights), and **weights** the largest difference of any of their final
  weights from the plain loop's. Here the peers drop what the plain loop drops. **one ulp** is what becomes, in the
  plain loop, of a nudge of one initial weight by one unit in its last place: differences of that size are rounding. One
  nudge of a few seeds can miss what rounding at every step meets: where a peer's difference is larger, its score and a
  run of a few epochs (``--quick``) tell.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peers.contender import ENTRIES, Contender
from peers.protocol import Request, UnavailableError
from peers.team import Team, own_cores

if TYPE_CHECKING:  # a peer's process loads this file too, before its threads are set: torch is imported in main alone
    from peers.trainings import Training

TRAININGS = ("people", "digits", "regression", "digits-cnn", "mnist", "names")
ONE_CORE = ("people",)  # trainings that are timed on one core as well
HEADER = (
    "peer", "s a seed", "(least to greatest)", "/ plain", "lanes is", "GFLOP/s", "of peak", "start s", "compile s",
    "score", "weights", "setting",
)  # fmt: skip


@dataclass
class Stage:
    """One training on so many cores, and all who take part.

    Attributes:
        training, cores: which.
        contenders: in the order of the table.
        operations: floating point operations of a whole training of one seed.
        peak: operations a second of the cores; None where it could not be measured.
        score: name of the score.
        scores: its mean over the compared seeds, by peer.
        differences: largest difference of a final weight from the plain loop's, by peer.
        one_ulp: the same, of the plain loop with one weight nudged.
        verification: seconds of the lanes engine's verification.
        command: seeds, and seconds of the whole command with the lanes engine.
    """

    training: Training
    cores: int
    contenders: list[Contender]
    operations: float
    peak: float | None
    score: str
    scores: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    one_ulp: float | None = None
    verification: float | None = None
    command: tuple[int, float] | None = None

    def median(self, name: str) -> float:
        """Marginal seconds of a peer; NaN where it did not take part."""
        return next((each.median for each in self.contenders if each.name == name), math.nan)


def measure(training: Training, cores: int, options: argparse.Namespace) -> Stage:
    """Tune every peer, time all of them in turn, and compare what they trained."""
    request = Request(training.name, options.quick, cores, options.prototype)
    contenders = [Contender(name, training.name, cores) for name in options.peers]
    stage = Stage(training, cores, contenders, training.operations(), _peak(request), training.primary())
    try:
        for each in contenders:
            _say(f"{training.name}, {_cores(cores)}: {each.name}")
            each.tune(request, options.seconds / 4)
        for turn in range(options.rounds):
            _say(f"{training.name}, {_cores(cores)}: round {turn + 1} of {options.rounds}")
            for each in contenders:
                each.sample(options.seconds)
        if cores == options.cores:
            _compare(stage, range(options.check))
            _verify(stage)
            if options.command:
                _command(stage, options.command)
    finally:
        for each in contenders:
            each.close()
    stage.peak = max(stage.peak or 0.0, _peak(request) or 0.0) or None  # its best of before and after
    return stage


def _peak(request: Request) -> float | None:
    try:
        team = Team("peers.peak:Peak", request, [own_cores()[: request.cores]], limit_seconds=120)
    except UnavailableError as reason:
        _say(f"the peak was not measured: {reason}")
        return None
    try:
        return float(team.all("operations_a_second")[0])
    finally:
        team.close()


def _compare(stage: Stage, seeds: Sequence[int]) -> None:
    import numpy as np

    trained, nudged = {}, None
    for each in stage.contenders:
        _say(f"{stage.training.name}: weights of {each.name}")
        if (weights := each.train(seeds)) is not None:
            trained[each.name] = weights
        if each.name == "plain":
            nudged = each.train(seeds, "nudged_weights")
    stage.scores = {name: float(stage.training.scores(weights).mean()) for name, weights in trained.items()}
    if "plain" in trained:
        stage.differences = {name: float(np.abs(each - trained["plain"]).max()) for name, each in trained.items()}
        if nudged is not None:
            stage.one_ulp = float(np.abs(nudged - trained["plain"]).max())


def _verify(stage: Stage) -> None:
    for each in stage.contenders:
        if each.name == "lanes":
            _say(f"{stage.training.name}: verification")
            stage.verification = each.call("verification_seconds")


def _command(stage: Stage, seeds: int) -> None:
    for each in stage.contenders:
        if each.name == "lanes":
            _say(f"{stage.training.name}: the whole command, {seeds} seeds")
            seconds = each.call("command_seconds", seeds)
            stage.command = None if seconds is None else (seeds, seconds)


def table(stage: Stage) -> str:
    """A stage as text."""
    plain, lanes = stage.median("plain"), stage.median("lanes")
    rows = [HEADER]
    for each in stage.contenders:
        if each.reason is not None:
            continue
        speed = stage.operations / each.median
        rows.append(
            (
                ENTRIES[each.name].title,
                _number(each.median),
                f"({_number(min(each.seconds))} to {_number(max(each.seconds))})" if each.seconds else "-",
                _ratio(plain / each.median),
                _ratio(each.median / lanes),
                _number(speed / 1e9),
                _share(speed / stage.peak if stage.peak else math.nan),
                _number(each.start_seconds),
                _number(each.compile_seconds) if each.compile_seconds else "-",
                _fixed(stage.scores.get(each.name)),
                _power(stage.differences.get(each.name)),
                each.described,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    peak = f"multiply-add peak {stage.peak / 1e9:.0f} GFLOP/s" if stage.peak else "peak not measured"
    lines = [
        "",
        f"{stage.training.name}, {_cores(stage.cores)}, {peak}; a training has "
        f"{stage.operations / 1e6:.0f} MFLOP; score: {stage.score}",
    ]
    for row in rows:
        cells = [cell.ljust(width) if i in (0, 11) else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        lines.append("  ".join(cells).rstrip())
    if stage.one_ulp is not None:
        lines.append(
            f"one ulp: a nudge of one initial weight moves the plain loop's final weights by up to {stage.one_ulp:.1e}"
        )
    if stage.verification is not None:
        lines.append(f"verification of lanes, once for a study: {stage.verification:.1f} s")
    if stage.command is not None:
        lines.append(f"the whole command, lanes, {stage.command[0]} seeds: {stage.command[1]:.1f} s")
    for each in stage.contenders:
        if each.reason is not None:
            reason = each.reason.strip().splitlines()[-1]
            lines.append(f"{ENTRIES[each.name].title}: {'FAILED' if each.failed else 'left out'}: {reason}")
    return "\n".join(lines)


def as_json(stages: Sequence[Stage]) -> dict[str, Any]:
    """Everything measured, for a file."""
    from seedbed import environment

    return {
        "environment": dataclasses.asdict(environment.capture()),
        "stages": [
            {
                "training": stage.training.name,
                "epochs": stage.training.epochs,
                "cores": stage.cores,
                "operations_a_training": stage.operations,
                "peak_operations_a_second": stage.peak,
                "score": stage.score,
                "one_ulp": stage.one_ulp,
                "verification_seconds": stage.verification,
                "command": stage.command and dict(zip(("seeds", "seconds"), stage.command, strict=True)),
                "peers": [
                    {
                        "name": each.name,
                        "reason": each.reason,
                        "failed": each.failed,
                        "setting": each.described,
                        "marginal_seconds": each.seconds,
                        "start_seconds": each.start_seconds,
                        "compile_seconds": each.compile_seconds,
                        "score": stage.scores.get(each.name),
                        "weights_difference": stage.differences.get(each.name),
                        "tried": [
                            {**dataclasses.asdict(setting), "marginal_seconds": seconds}
                            for setting, seconds in each.tried.items()
                        ],
                    }
                    for each in stage.contenders
                ],
            }
            for stage in stages
        ],
    }


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _ratio(value: float) -> str:
    return f"{_number(value)} x" if math.isfinite(value) else "-"


def _share(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "-"


def _fixed(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _power(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _names(allowed: Sequence[str], text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in allowed:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
    return names


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trainings", type=lambda text: _names(TRAININGS, text), default=list(TRAININGS))
    parser.add_argument("--peers", type=lambda text: _names(list(ENTRIES), text), default=list(ENTRIES))
    parser.add_argument("--cores", type=int, default=len(own_cores()), help="as many as this process may use")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="that a peer works in a round")
    parser.add_argument("--check", type=int, default=4, metavar="SEEDS", help="whose final weights are compared")
    parser.add_argument("--prototype", default=os.environ.get("SEEDBED_PROTOTYPE"), metavar="FOLDER")
    parser.add_argument("--command", type=int, metavar="SEEDS", help="time the whole command with so many seeds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="see that all works; the times mean nothing")
    options = parser.parse_args()
    if not 1 <= options.cores <= len(own_cores()):
        parser.error(f"--cores must be from 1 to {len(own_cores())}, got {options.cores}")
    if options.rounds < 1 or options.check < 1:
        parser.error("--rounds and --check must be at least 1")
    if options.quick:
        options.rounds, options.seconds, options.check = 1, 0.05, min(options.check, 2)
    return options


def main() -> int:
    """Measure and print."""
    options = _options()
    from peers import trainings

    stages: list[Stage] = []
    for name, one_core in itertools.product(options.trainings, (False, True)):
        if one_core and (name not in ONE_CORE or options.cores == 1 or options.quick):
            continue
        stages.append(measure(trainings.make(name, quick=options.quick), 1 if one_core else options.cores, options))
        print(table(stages[-1]), flush=True)
        if options.json is not None:  # after each, so that what breaks off later costs no more than itself
            options.json.write_text(json.dumps(as_json(stages), indent=1) + "\n", encoding="utf-8")
    return 1 if any(each.failed for stage in stages for each in stage.contenders) else 0


if __name__ == "__main__":
    sys.exit(main())
