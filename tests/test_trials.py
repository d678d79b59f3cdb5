"""Functions of the seed, of any framework: run, stored and read as experiments are."""

from __future__ import annotations

import io
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

import seedbed as sb
from seedbed.cli import command
from seedbed.records import Status
from seedbed.trials import Trial


@sb.trial
def toy(seed: int, trial: sb.Recorder, lr: float = 0.1, fails_at: int = -1) -> dict[str, Any]:
    """A training that is none."""
    draw = random.Random(seed)
    truth = [0, 1, 2, 1, 0, 1] * 5
    for step in range(1, 4):
        trial.log(step, {"train/loss": draw.random()}, accuracy=step / 10)
    trial.predictions("test", [t if draw.random() < 0.8 else 0 for t in truth], truth)
    print("seed", seed)
    if seed == fails_at:
        raise ValueError("as asked")
    return {"accuracy": draw.random() * lr, "test_loss": np.float32(draw.random())}


@sb.trial
def by_roles(init: int, order: int) -> dict[str, float]:
    return {"score": random.Random(init).random() + 0.1 * random.Random(1000 + order).random()}


@sb.trial
def global_draws(seed: int) -> dict[str, float]:
    return {"python": random.random(), "numpy": float(np.random.rand())}


def direct(seed: int, lr: float = 0.1) -> dict[str, Any]:
    return toy(seed, lr=lr)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_trial_gives_what_the_function_gives(store: Path, workers: int) -> None:
    study = sb.run(toy, range(5), store=store, workers=workers)
    for run in study.runs:
        expected = direct(run.assignment.init)
        assert dict(run.scores) == {name: float(value) for name, value in expected.items()}
    assert study.scores == ("accuracy", "test_loss")
    assert study.identity.primary == "accuracy"
    assert (study.larger_is_better("accuracy"), study.larger_is_better("test_loss")) == (True, False)
    assert study.summary().n == 5
    assert study.output(3) == "seed 3\n"


def test_curves_and_predictions_are_kept(store: Path) -> None:
    study = sb.run(toy, range(3), store=store, workers=0)
    steps, values = study.curves("accuracy")
    assert steps.tolist() == [1, 2, 3]
    assert values.tolist() == [[0.1, 0.2, 0.3]] * 3
    logged, losses = study.curves("train/loss")  # no score at the end
    assert logged.tolist() == [1, 2, 3]
    assert losses[1].tolist() == [each.random() for each in [random.Random(1)] for _ in range(3)]
    assert study.predictions("test").shape == (3, 30)
    assert study.correct("test").mean() > 0.5
    assert study.evaluation_set("test").classes == 3
    without = sb.run(toy, range(3), store=store, workers=0, examples=False, name="without")
    with pytest.raises(sb.InputError, match="has no predictions"):
        without.predictions("test")
    with pytest.raises(sb.InputError, match="has no curves"):
        sb.run(by_roles, sb.grid(init=range(2)), store=store, workers=0).curves("score")


def test_parameters_make_studies_of_their_own(store: Path) -> None:
    plain = sb.run(toy, range(4), store=store, workers=0)
    other = sb.run(toy.with_parameters(lr=0.2), range(4), store=store, workers=0)
    assert (plain.name, other.name) == ("toy", "toy[lr=0.2]")
    assert toy.with_parameters(lr=0.1).study_name == "toy"  # a default
    found = sb.compare(plain, other)
    assert found.difference == pytest.approx(plain["accuracy"].mean() - other["accuracy"].mean())
    with pytest.raises(sb.InputError, match="no parameter 'rate'; its parameters are: lr, fails_at"):
        toy.with_parameters(rate=1)
    with pytest.raises(sb.InputError, match="seed is given by Seedbed"):
        toy.with_parameters(seed=1)
    with pytest.raises(sb.IdentityError, match=r"parameter lr: absent stored, 0\.2 now"):
        sb.run(toy.with_parameters(lr=0.2), range(4), store=store, workers=0, name="toy")


def test_a_crossed_design_is_taken_apart(store: Path) -> None:
    study = sb.run(by_roles, sb.grid(init=range(5), order=range(4)), store=store, workers=0)
    assert study.design.kind == "crossed"
    found = study.decompose()
    assert (found.n_init, found.n_order) == (5, 4)
    assert found.init.variance > found.order.variance > found.residual.variance


def test_global_generators_are_seeded_for_each_run_and_put_back(store: Path) -> None:
    random.seed(5)
    np.random.seed(5)
    before = random.getstate()
    study = sb.run(global_draws, [3, 1, 2], store=store, workers=0)
    assert random.getstate() == before
    alone = sb.run(global_draws, [2], store=store, workers=1, name="alone")
    assert dict(study.run(2).scores) == dict(alone.run(2).scores)
    assert study.run(3).scores["python"] == random.Random(3).random()


def test_a_failed_run_is_kept_with_its_reason_and_tried_again(store: Path) -> None:
    study = sb.run(toy.with_parameters(fails_at=2), range(4), store=store, workers=2, name="toy")
    assert [run.status for run in study.runs] == [Status.DONE, Status.DONE, Status.FAILED, Status.DONE]
    assert (study.run(2).error or "").startswith("ValueError: as asked\n")
    assert "as asked" in (study.run(2).error or "").splitlines()[-1]
    assert study.output(2) == "seed 2\n"
    again = sb.run(toy.with_parameters(fails_at=2), range(5), store=store, workers=0, name="toy")
    assert again.count(Status.FAILED) == 1
    assert len(again) == 5


def test_a_run_that_failed_is_tried_as_often_as_asked(store: Path, tmp_path: Path) -> None:
    counter = tmp_path / "count"

    @sb.trial
    def flaky(seed: int) -> dict[str, float]:
        tries = len(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text("x" * tries)
        if tries < 3:
            raise OSError(f"try {tries}")
        return {"tries": float(tries)}

    study = sb.run(flaky, 0, store=store, workers=0, retries=2)
    assert study["tries"].tolist() == [3.0]
    counter.unlink()
    failed = sb.run(flaky, 0, store=store, workers=0, retries=1, name="less")
    assert (failed.run(0).error or "").startswith("OSError: try 2 (2 tries)")


@sb.trial
def logged(seed: int) -> dict[str, float]:
    handlers = logging.getLogger("test_trials").handlers
    if not handlers:  # as logging.basicConfig does: the first run in a process decides where it goes
        handlers.append(logging.StreamHandler(sys.stdout))
    logging.getLogger("test_trials").warning("seed %d", seed)
    return {"a": seed}


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_logger_writes_belongs_to_the_run_that_logs(store: Path, workers: int) -> None:
    for seeds in (range(2), range(3)):
        study = sb.run(logged, seeds, store=store, workers=workers)
    assert [study.output(seed) for seed in range(3)] == ["seed 0\n", "seed 1\n", "seed 2\n"]
    logging.getLogger("test_trials").handlers.clear()


def test_a_trial_may_run_another_here(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @sb.trial
    def outer(seed: int) -> dict[str, float]:
        print("before", seed)
        found = sb.run(toy, [seed], store=store, workers=0)
        print("after", seed)
        return {"a": found["accuracy"][0]}

    study = sb.run(outer, [4], store=store.with_name("outer.db"), workers=0)
    assert study.output(4) == "before 4\nseed 4\nafter 4\n" == capsys.readouterr().out
    assert sb.load("toy", store).output(4) == "seed 4\n"


def test_much_output_takes_no_time_and_loses_its_middle(store: Path) -> None:
    @sb.trial
    def talks(seed: int) -> dict[str, float]:
        for number in range(100_000):
            print("line", number, "x" * 90, file=sys.stderr)
        return {"a": 1.0}

    with redirect_stderr(io.StringIO()):
        study = sb.run(talks, range(1), store=store, workers=0)
    text = study.output(0) or ""
    assert text.startswith("line 0 x")
    assert text.endswith(f"line 99999 {'x' * 90}\n")
    assert len(text) == 2**20 + len("\n... 9,140,314 characters left out ...\n")
    assert "\n... 9,140,314 characters left out ...\n" in text
    assert study.run(0).wall_seconds < 10


def test_an_exception_that_cannot_be_shown_fails_its_run_alone(store: Path) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @sb.trial
    def mute(seed: int) -> dict[str, float]:
        if seed == 1:
            raise MuteError
        return {"a": seed}

    study = sb.run(mute, range(3), store=store, workers=0)
    assert [run.status for run in study.runs] == [Status.DONE, Status.FAILED, Status.DONE]
    assert (study.run(1).error or "").startswith("MuteError: (its message cannot be shown)\n")


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@sb.trial
def starts(seed: int, folder: str, waits: bool) -> dict[str, float]:
    child = subprocess.Popen(["sleep", "600"])
    Path(folder, str(child.pid)).touch()
    if waits:
        child.wait()
    return {"a": seed}


def pids(folder: Path) -> list[int]:
    return [int(each.name) for each in folder.iterdir()]


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def test_what_a_trial_has_started_ends_with_its_worker(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    sb.run(starts.with_parameters(folder=str(folder), waits=False), range(3), store=store, workers=2)
    assert len(pids(folder)) == 3
    until(lambda: all(map(gone, pids(folder))))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_a_trial_has_started_ends_with_seedbed(store: Path, tmp_path: Path, how: signal.Signals) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    code = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import seedbed as sb
from tests.test_trials import starts
sb.run(starts.with_parameters(folder={str(folder)!r}, waits=True), range(2), store={str(store)!r}, workers=2)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
    until(lambda: len(pids(folder)) == 2 or parent.poll() is not None)
    parent.send_signal(how)
    assert parent.wait(60) != 0
    assert len(pids(folder)) == 2
    until(lambda: all(map(gone, pids(folder))))


@sb.trial
def dies_with_a_child_left(seed: int) -> dict[str, float]:
    if seed == 1:
        if os.fork() == 0:  # has the worker's socket still
            time.sleep(300)
            os._exit(0)
        os._exit(3)
    return {"a": seed}


def test_a_lost_worker_s_child_that_holds_its_socket_keeps_nobody_waiting(store: Path) -> None:
    begun = time.monotonic()
    study = sb.run(dies_with_a_child_left, range(3), store=store, workers=1)
    assert time.monotonic() - begun < 100
    assert [run.status for run in study.runs] == [Status.DONE, Status.FAILED, Status.DONE]
    assert "ended with status 3, 2 times" in (study.run(1).error or "")


def test_nan_is_a_result(store: Path) -> None:
    @sb.trial
    def diverging(seed: int) -> dict[str, float]:
        return {"loss": float("nan") if seed == 1 else 0.5 + seed, "finite": 1.0}

    study = sb.run(diverging, range(4), store=store, workers=0)
    assert [run.status for run in study.runs].count(Status.DIVERGED) == 1
    summary = study.summary()
    assert (summary.n, summary.n_diverged) == (3, 1)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "must return its scores"),
        ({}, "must return its scores"),
        ({"a": "0.9"}, "a must be one number, got '0.9'"),
        ({"a": True}, "a must be one number"),
        ({"a": [1.0, 2.0]}, "a must be one number"),
        ({1: 1.0}, "a name is printable text"),
    ],
)
def test_what_is_no_score_is_said(store: Path, returned: Any, said: str) -> None:
    @sb.trial
    def wrong(seed: int) -> Any:
        return returned

    study = sb.run(wrong, range(2), store=store, workers=0)
    assert study.count(Status.FAILED) == 2
    assert said in (study.run(0).error or "")


def test_every_run_reports_the_same_scores_on_the_same_examples(store: Path) -> None:
    @sb.trial
    def other(seed: int, trial: sb.Recorder) -> dict[str, float]:
        trial.predictions("test", [0, 1, 0], [0, 1, 1] if seed != 2 else [0, 0, 1])
        return {"a": float(seed)} if seed != 1 else {"a": 1.0, "b": 2.0}

    study = sb.run(other, range(4), store=store, workers=0)
    assert [run.status is Status.FAILED for run in study.runs] == [False, True, True, False]
    assert "it reported a, b, and the study has a" in (study.run(1).error or "")
    assert "its examples of test are not those of the runs before it" in (study.run(2).error or "")
    assert study.done.predictions("test").tolist() == [[0, 1, 0], [0, 1, 0]]


def test_directions_and_the_primary_score_may_be_said(store: Path) -> None:
    def measured(seed: int) -> dict[str, float]:
        return {"first": 1.0 + seed, "gap": 2.0 + seed}

    guessed = sb.run(sb.trial(measured), range(2), store=store, workers=0)
    assert guessed.identity.primary == "first"
    assert guessed.larger_is_better("gap")
    said = sb.trial(name="measured", larger_is_better={"gap": False}, primary="gap")(measured)
    later = sb.run(said, range(3), store=store, workers=0)
    assert later.identity.primary == "gap"
    assert not sb.load("measured", store).larger_is_better("gap")
    with pytest.raises(sb.InputError, match="measured has no score 'nothing'"):
        sb.run(sb.trial(name="measured", primary="nothing")(measured), range(3), store=store, workers=0)
    unknown = sb.run(sb.trial(name="new", primary="nothing")(measured), range(2), store=store, workers=0)
    assert unknown.count(Status.FAILED) == 2
    assert "the score to follow is nothing" in (unknown.run(0).error or "")


def test_runs_that_are_all_the_same_are_said_loudly(store: Path) -> None:
    @sb.trial
    def deaf(seed: int) -> dict[str, float]:
        return {"accuracy": 0.5}

    sb.run(deaf, range(3), store=store, workers=0)
    shown = CliRunner().invoke(command, ["show", "deaf", "--store", str(store)], standalone_mode=False)
    assert "ALL RUNS GAVE THE SAME RESULT: 3 runs with different seeds do not differ in any score." in shown.output


def no_seed(lr: float) -> dict[str, float]:
    return {"a": lr}


def both(seed: int, init: int) -> dict[str, float]:
    return {"a": 1.0}


def positional(seed: int, /) -> dict[str, float]:
    return {"a": 1.0}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_seed, "no_seed takes no seed: every run would be the same"),
        (both, "both takes seed and init"),
        (positional, "by name"),
        (3, "a trial is a function of the seed"),
    ],
)
def test_what_is_no_trial_is_refused(function: Any, said: str) -> None:
    with pytest.raises(sb.InputError, match=said):
        sb.trial(function)


@pytest.mark.parametrize(
    ("trial", "seeds", "options", "said"),
    [
        (toy, sb.grid(init=range(2)), {}, "takes one seed, and these are seeds for roles"),
        (by_roles, sb.grid(init=range(2), noise=range(2)), {}, "takes no noise seed"),
        (by_roles, sb.grid(init=range(2), noise=3), {}, "takes no noise seed"),
        (by_roles, sb.grid(seed=range(2), split=range(2)), {}, "takes no split seed"),
        (toy, range(2), {"split": 5}, "takes no split seed"),
        (toy, range(2), {"engine": "reference"}, "engine is for experiments"),
        (toy, range(2), {"curves": 1}, "curves is for experiments"),
        (toy, range(2), {"keep_weights": "all"}, "keep_weights is for experiments"),
        (toy, range(2), {"retries": -1}, "retries must be a whole number of at least 0"),
        (direct, range(2), {}, "decorate it with seedbed.trial"),
    ],
)
def test_what_a_trial_cannot_do_is_refused(
    store: Path, trial: Any, seeds: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(sb.InputError, match=said):
        sb.run(trial, seeds, store=store, **options)
    assert not store.exists()


def test_a_trial_that_cannot_be_sent_names_what_cannot(store: Path) -> None:
    held = threading.Lock()

    @sb.trial
    def holding(seed: int) -> dict[str, float]:
        with held:
            return {"a": float(seed)}

    with pytest.raises(
        sb.InputError, match=r"holding cannot be sent to worker processes: held cannot be pickled.*--workers 0"
    ):
        sb.run(holding, range(2), store=store)
    assert len(sb.run(holding, range(2), store=store, workers=0)) == 2


def test_a_function_that_uses_what_has_no_value_yet_is_named_where_it_cannot_be_sent(store: Path) -> None:
    held = threading.Lock()

    @sb.trial
    def holding(seed: int) -> dict[str, float]:
        with held:
            return {"a": later}

    with pytest.raises(sb.InputError, match=r"holding cannot be sent to worker processes: function cannot be pickled"):
        sb.run(holding, range(2), store=store)
    later = 1.0
    assert len(sb.run(holding, range(2), store=store, workers=0)) == 2


def test_a_rule_may_follow_a_trial(store: Path) -> None:
    study, stopped = sb.run_until(toy, "accuracy ± 0.02", store=store, workers=0)
    assert stopped.done
    assert len(study) == stopped.n >= 10
    first, second = toy, toy.with_parameters(lr=0.4)
    rule = sb.Decided("accuracy", assume="normal")
    _, decided = sb.run_until_decided(first, second, rule, store=store, workers=0)
    assert decided.better == "toy[lr=0.4]"


def test_the_command_runs_a_trial_in_a_file_without_torch(tmp_path: Path, store: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import random, sys\nimport seedbed as sb\n\n@sb.trial\n"
        "def mine(seed: int, size: int = 3) -> dict[str, float]:\n"
        "    print('torch' in sys.modules)\n"
        "    return {'accuracy': random.Random(seed).random() / size}\n"
    )
    arguments = ["run", f"{file}:mine", "-s", "0:4", "-p", "size=2", "--store", str(store)]
    done = subprocess.run(
        [sys.executable, "-m", "seedbed", *arguments], capture_output=True, text=True, check=True, timeout=300
    )
    assert "seed =    3 | accuracy = " in done.stdout
    study = sb.load("mine[size=2]", store)
    assert study.run(3).scores["accuracy"] == random.Random(3).random() / 2
    assert study.output(0) == "False\n"
    logs = CliRunner().invoke(command, ["logs", "mine[size=2]", "3", "--store", str(store)], standalone_mode=False)
    assert "False\n" in logs.output
    assert "done" in logs.output
    wrong = CliRunner().invoke(command, ["run", f"{file}:mine", "-n", "2", "-p", "seed=3", "--store", str(store)])
    assert isinstance(wrong.exception, sb.InputError)
    assert "Its parameters are: size" in str(wrong.exception)


def test_a_trial_may_be_called_as_the_function_it_is() -> None:
    assert isinstance(toy, Trial)
    assert toy(3)["accuracy"] == toy(seed=3)["accuracy"]
    assert toy.__doc__ == "A training that is none."
    assert by_roles(init=1, order=2) == by_roles(1, 2)
