"""The demonstration as a plain script, run as a program: what `seedbed run people` gives, to the digit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import seedbed as sb
from seedbed.gallery.people import people

SCRIPT = Path(__file__).parent / "scripts" / "people_demonstration.py"
SEEDS = (0, 3, 5, 363, 366, 999)
METRICS = {"accuracy": r"acc = ([0-9.]+)", "loss": r"loss = ([0-9.]+)"}
# The design's table: what the published demonstration's data give with torch 2.13, one thread.
ACCURACIES = (0.8050, 0.7800, 0.8100, 0.8600, 0.6850, 0.8100)
LOSSES = (0.2924, 0.3417, 0.2824, 0.2360, 0.3917, 0.2827)


def as_program(store: Path, data: Path, epochs: int, seeds: tuple[int, ...], *, forced: bool) -> sb.Study:
    seed = [] if forced else ["--seed", "{seed}"]
    command = [sys.executable, str(SCRIPT), str(data), *seed, "--epochs", str(epochs)]
    program = sb.Program(command, metrics=METRICS, force_seed=forced)
    return sb.run(program, seeds, store=store, name="forced" if forced else "asked")


@pytest.mark.parametrize("forced", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_short_training_is_the_reference_engines(store: Path, forced: bool) -> None:
    data = Path(sb.__file__).parent / "gallery" / "data" / "people_train.txt"
    study = as_program(store, data, 5, SEEDS[:2], forced=forced)
    expected = sb.run(people(epochs=5), SEEDS[:2], store=store, engine="reference")
    assert study["accuracy"].tolist() == pytest.approx(expected["train/accuracy"].tolist(), abs=5e-5)
    assert study["loss"].tolist() == pytest.approx(expected["train/brier"].tolist(), abs=5.1e-5)  # printed digits
    if forced:
        assert "torch.manual_seed(1)" in study.output(3)


@pytest.mark.exhaustive
@pytest.mark.parametrize("forced", [False, True])
def test_the_six_seeds_are_the_demonstrations(store: Path, demonstration: Path, forced: bool) -> None:
    study = as_program(store, demonstration, 1000, SEEDS, forced=forced)
    assert tuple(study["accuracy"]) == ACCURACIES
    assert tuple(study["loss"]) == LOSSES
    expected = sb.run(people(data=demonstration), SEEDS, store=store)
    assert study["accuracy"].tolist() == pytest.approx(expected["train/accuracy"].tolist(), abs=1e-9)
