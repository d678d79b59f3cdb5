"""Which scores are times."""

from __future__ import annotations

import pytest

from seedbed.auditing.timings import is_time, times_of, without_times


@pytest.mark.parametrize(
    "name",
    ["seconds", "train_seconds", "fit time", "wallTime", "wall_time", "runtime", "epoch/elapsed", "Duration",
     "time", "samples_per_sec", "eval_samples_per_second", "step.ms", "timestamp", "samples/s", "it/s",
     "img/s", "fps", "train/throughput", "elapsed_s", "time_s", "duration_s", "wall", "sec/epoch", "ms_per_step"],
)  # fmt: skip
def test_times(name):
    assert is_time(name)


@pytest.mark.parametrize(
    "name",
    ["accuracy", "test/loss", "timesteps", "rms", "time_mixing", "items", "f1", "survival_time", "wallet", "s/n"],
)
def test_no_times(name):
    assert not is_time(name)


def test_times_are_left_out_unless_there_is_nothing_else():
    assert without_times({"accuracy": 1.0, "seconds": 2.0}) == {"accuracy": 1.0}
    assert times_of(["accuracy", "seconds"]) == ("seconds",)
    assert without_times({"seconds": 2.0}) == {"seconds": 2.0}
    assert times_of(["seconds"]) == ()
