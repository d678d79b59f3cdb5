"""Callbacks: what they are told, in which order, and that none of them costs a run."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import seedbed as sb
from seedbed import cli
from seedbed.records import Status
from seedbed.stopped import Stopped
from seedbed.study import Study
from tests.test_runs import Told
from tests.test_stopping import Looking
from tests.tracked import DIVERGES, FAILS, by_roles, page, spread, toy
from tests.trainings import TRAININGS, plain_net

EXPERIMENT = TRAININGS["sgd"].experiment()


class Remembers(sb.Callback):
    """A callback that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.results: dict[str, sb.RunResult] = {}
        self.stored: list[str] = []  # keys of runs that were stored when the study began
        self.end: Study | None = None
        self.error: BaseException | None = None
        self.stopped: Stopped | None = None

    def begun(self, study: Study, pending: int) -> None:
        self.told.append(("begun", study.name, pending))
        self.stored = [each.key for each in study.assignments]

    def finished(self, study: Study, result: sb.RunResult) -> None:
        self.told.append(("finished", study.name, result.assignment.key))
        self.results[result.assignment.key] = result

    def ended(self, study: Study, error: BaseException | None, stopped: Stopped | None) -> None:
        self.told.append(("ended", study.name, len(study)))
        self.end, self.error, self.stopped = study, error, stopped


def finished(callback: Remembers, study: str = "toy") -> list[str]:
    return [key for what, name, key in callback.told if (what, name) == ("finished", study)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_study_begins_its_runs_are_told_and_it_ends(workers: int, store: Path) -> None:
    study = sb.run(toy, range(6), store=store, workers=workers, callbacks=[told := Remembers()])
    assert told.told[0] == ("begun", "toy", 6)
    assert told.told[-1] == ("ended", "toy", 6)
    assert len(told.told) == 8
    assert sorted(finished(told)) == [f"seed={seed}" for seed in range(6)]
    assert told.error is None
    assert told.stopped is None
    assert told.end.summary("top@5") == study.summary("top@5")


def test_a_run_is_told_with_all_that_is_known_of_it(store: Path) -> None:
    study = sb.run(toy, range(6), store=store, workers=0, callbacks=[told := Remembers()])
    whole, failed, diverged = (told.results[f"seed={seed}"] for seed in (1, FAILS, DIVERGES))
    assert whole.assignment == sb.Assignment.plain(1)
    assert (whole.status, whole.scores) == (Status.DONE, study.run(1).scores)
    assert whole.wall_seconds == study.run(1).wall_seconds
    assert whole.curve_epochs == (1, 2, 3)
    assert whole.curves["accuracy"].tolist() == [0.1, 0.2, 0.3]
    assert (failed.status, failed.scores) == (Status.FAILED, {})
    assert failed.error.startswith("ValueError: as asked")
    assert diverged.status is Status.DIVERGED


class Looks(Remembers):
    """Looks into the store whenever it is told of a run."""

    def __init__(self, store: Path) -> None:
        super().__init__()
        self.store = store

    def finished(self, study: Study, result: sb.RunResult) -> None:
        super().finished(study, result)
        assert sb.load(study.name, self.store).run(result.assignment).status is result.status


def test_a_run_is_stored_before_it_is_told(store: Path) -> None:
    sb.run(toy, range(5), store=store, workers=0, callbacks=[told := Looks(store)])
    assert len(finished(told)) == 5


def test_stored_runs_are_not_told_again(store: Path) -> None:
    sb.run(toy, [0, 1, FAILS], store=store, workers=0)
    sb.run(toy, range(5), store=store, workers=0, callbacks=[told := Remembers()])
    assert told.stored == ["seed=0", "seed=1", f"seed={FAILS}"]
    assert finished(told) == ["seed=2", f"seed={FAILS}", f"seed={DIVERGES}"]  # a failed run is tried again
    assert told.told[0] == ("begun", "toy", 3)
    assert told.told[-1] == ("ended", "toy", 5)
    sb.run(toy, [0, 1], store=store, workers=0, callbacks=[told := Remembers()])
    assert told.told == [("begun", "toy", 0), ("ended", "toy", 2)]


@pytest.mark.parametrize("engine", ["reference", "lanes"])
def test_runs_of_an_experiment_are_told_with_their_curves_those_that_are_repeated_too(engine: str, store: Path) -> None:
    options: dict[str, Any] = {"store": store, "workers": 0, "engine": engine, "verify": False}
    sb.run(EXPERIMENT, range(3), callbacks=[first := Remembers()], **options)
    assert len(finished(first, "trained")) == 3
    assert first.results["seed=2"].curves == {}
    study = sb.run(EXPERIMENT, range(3), curves=1, callbacks=[again := Remembers()], **options)
    assert len(finished(again, "trained")) == 3
    assert again.results["seed=2"].curves["test/loss"].tolist() == study.curves("test/loss")[1][2].tolist()


BROKEN: list[bool] = []


def sometimes_fails() -> nn.Module:
    if torch.initial_seed() == 1 and BROKEN:
        raise RuntimeError("not today")
    return plain_net()


def test_a_repetition_that_failed_and_is_not_stored_is_not_told(store: Path) -> None:
    experiment = replace(EXPERIMENT, model=sometimes_fails)
    options: dict[str, Any] = {"store": store, "workers": 0, "engine": "reference"}
    sb.run(experiment, range(3), **options)
    BROKEN.append(True)
    try:
        with pytest.raises(sb.WorkerError, match="were repeated"):
            sb.run(experiment, range(3), curves=1, callbacks=[told := Remembers()], **options)
    finally:
        BROKEN.clear()
    assert finished(told, "trained") == ["seed=0", "seed=2"]
    assert isinstance(told.error, sb.WorkerError)
    assert told.end.count(Status.DONE) == 3


def test_runs_of_a_program_are_told(store: Path) -> None:
    program = sb.Program([sys.executable, "-S", "-c", "print('{\"score\": %d}' % {seed})"], name="printing")
    sb.run(program, range(3), store=store, workers=2, callbacks=[told := Remembers()])
    assert sorted(finished(told, "printing")) == ["seed=0", "seed=1", "seed=2"]
    assert told.results["seed=2"].scores == {"score": 2.0}
    assert told.end["score"].tolist() == [0.0, 1.0, 2.0]


def test_seeds_of_roles_are_told(store: Path) -> None:
    sb.run(by_roles, sb.grid(init=range(2), order=range(2)), store=store, workers=0, callbacks=[told := Remembers()])
    assert "init=1,order=0,noise=0,split=0" in finished(told, "by_roles")


class Fails(Remembers):
    """A callback that fails when it is told this."""

    def __init__(self, when: str) -> None:
        super().__init__()
        self.when = when

    def _fail(self, when: str) -> None:
        if when == self.when:
            raise ZeroDivisionError("of its own\nand more")

    def begun(self, study: Study, pending: int) -> None:
        super().begun(study, pending)
        self._fail("begun")

    def finished(self, study: Study, result: sb.RunResult) -> None:
        super().finished(study, result)
        self._fail(result.assignment.key)

    def ended(self, study: Study, error: BaseException | None, stopped: Stopped | None) -> None:
        super().ended(study, error, stopped)
        self._fail("ended")


@pytest.mark.parametrize(
    ("when", "what", "heard"),
    [
        ("begun", "toy begins", 1),
        ("seed=1", "the run of seed 1 is stored", 3),
        ("ended", "toy has ended", 5),
    ],
)
def test_an_error_of_a_callback_is_said_once_and_costs_nothing(when: str, what: str, heard: int, store: Path) -> None:
    said, bad, good = Told(), Fails(when), Remembers()
    study = sb.run(toy, range(3), store=store, workers=0, watcher=said, callbacks=[bad, good])
    assert study.count(Status.DONE) == 3
    assert len(bad.told) == heard  # nothing further
    assert len(good.told) == 5
    told = [line for line in said.lines if "callback" in line]
    assert len(told) == 1
    assert told[0].startswith(
        f"warning: the callback Fails failed when it was told that {what}, and is told nothing further: "
        f"ZeroDivisionError: of its own ({__file__}, line "
    )


def test_without_a_watcher_it_is_a_warning(store: Path) -> None:
    with pytest.warns(RuntimeWarning, match="^the callback Fails failed when it was told that toy begins"):
        study = sb.run(toy, range(2), store=store, workers=0, callbacks=[Fails("begun")])
    assert len(study) == 2


class Interrupts(Remembers):
    """Ctrl-C comes while it is told of a run."""

    def finished(self, study: Study, result: sb.RunResult) -> None:
        super().finished(study, result)
        if result.assignment.seed == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [0, 2])
def test_a_study_that_is_interrupted_has_ended_with_what_is_stored(workers: int, store: Path) -> None:
    first, second = Remembers(), Interrupts()
    with pytest.raises(KeyboardInterrupt):
        sb.run(toy, range(2), store=store, workers=workers, callbacks=[first, second])
    for each in (first, second):
        assert isinstance(each.error, KeyboardInterrupt)
        assert each.told[-1][0] == "ended"
        assert [what for what, *_ in each.told].count("ended") == 1
    stored = sb.load("toy", store)
    assert first.end.assignments == stored.assignments
    assert sb.Assignment.plain(1) in stored.assignments
    sb.run(toy, range(2), store=store, workers=0, callbacks=[second := Remembers()])
    assert len(second.stored) + len(finished(second)) == 2


def test_an_end_is_told_to_those_who_heard_of_the_beginning(store: Path) -> None:
    class InterruptedAtOnce(Remembers):
        def begun(self, study: Study, pending: int) -> None:
            raise KeyboardInterrupt

    first, second, third = Remembers(), InterruptedAtOnce(), Remembers()
    with pytest.raises(KeyboardInterrupt):
        sb.run(toy, range(2), store=store, workers=0, callbacks=[first, second, third])
    assert first.told == [("begun", "toy", 2), ("ended", "toy", 0)]
    assert second.told == third.told == []


def test_what_breaks_a_study_off_is_told(store: Path) -> None:
    class Breaks(Told):
        def finished(self, result: sb.RunResult) -> None:
            if result.assignment.seed == 1:
                raise RuntimeError("of the watcher's")

    with pytest.raises(RuntimeError, match="of the watcher's"):
        sb.run(toy, range(5), store=store, workers=0, watcher=Breaks(), callbacks=[told := Remembers()])
    assert str(told.error) == "of the watcher's"
    assert [each.seed for each in told.end.assignments] == [0, 1]


def test_a_store_that_is_lost_ends_the_study_too(store: Path) -> None:
    class Removes(Remembers):
        def finished(self, study: Study, result: sb.RunResult) -> None:
            super().finished(study, result)
            store.unlink()

    with pytest.raises(sb.StoreError, match="was removed"):
        sb.run(toy, range(3), store=store, workers=0, callbacks=[told := Removes()])
    assert isinstance(told.error, sb.StoreError)
    assert told.told[-1] == ("ended", "toy", 0)  # as it was when it began


def test_of_what_cannot_be_run_nothing_is_told(store: Path) -> None:
    with pytest.raises(sb.InputError, match="engine is for experiments"):
        sb.run(toy, range(3), store=store, engine="lanes", callbacks=[told := Remembers()])
    assert told.told == []


@pytest.mark.parametrize("stored", [0, 2])
def test_a_rule_is_told_of_with_the_runs_that_it_looked_at(stored: int, store: Path) -> None:
    if stored:
        sb.run(spread, range(stored), store=store, workers=0)
    study, stopped = sb.run_until(
        spread, "score ± 0.2", store=store, workers=0, most=50, callbacks=[told := Remembers()]
    )
    assert stopped.done
    assert told.told[0] == ("begun", "spread", 50 - stored)  # once, though the first run is computed apart
    assert [what for what, *_ in told.told].count("begun") == 1
    assert finished(told, "spread") == [f"seed={seed}" for seed in range(stored, stopped.n)]
    assert told.told[-1] == ("ended", "spread", stopped.n)
    assert told.end.assignments == study.assignments
    assert told.stopped == stopped


def test_both_studies_of_a_comparison_are_told(store: Path) -> None:
    other = spread.with_parameters(shift=5.0)
    rule = sb.Decided("score", assume="normal")
    (a, b), stopped = sb.run_until_decided(spread, other, rule, store=store, workers=0, callbacks=[told := Remembers()])
    for study in (a, b):
        mine = [each for each in told.told if each[1] == study.name]
        assert [mine[0][0], mine[-1]] == ["begun", ("ended", study.name, stopped.n)]
        assert len(finished(told, study.name)) >= stopped.n
    assert told.stopped == stopped


def test_a_rule_that_is_interrupted_is_told_as_that(store: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        sb.run_until(
            spread, "score ± 0.01", store=store, workers=0, watcher=Looking(), callbacks=[told := Interrupts()]
        )
    assert isinstance(told.error, KeyboardInterrupt)
    assert (told.stopped.done, told.stopped.why) == (False, "")
    assert len(told.end) == 2


def test_the_pages_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    exec(page("sb.Callback"), {"__name__": "__main__"})
    assert re.fullmatch(r"mine: seed=\d took longest\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Remembers(), "callbacks must be a list of callbacks, got <"),
        ([Remembers], r"got the class Remembers: write Remembers\(\)"),
        ([Told()], "a callback must have the methods begun, finished, ended, got <.*inherit from seedbed.Callback"),
        ([None], "a callback must have the methods"),
    ],
)
@pytest.mark.parametrize("call", [
    lambda **options: sb.run(toy, 0, **options),
    lambda **options: sb.run_until(toy, "accuracy ± 0.1", **options),
])  # fmt: skip
def test_what_is_no_callback_is_refused(call: Callable[..., Any], given: Any, message: str, store: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        call(store=store, callbacks=given)
    assert not store.exists()


def test_one_callback_twice_is_refused(store: Path) -> None:
    told = Remembers()
    with pytest.raises(sb.InputError, match="the callback Remembers is given twice"):
        sb.run(toy, 0, store=store, callbacks=[told, told])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--track neptune", "--track takes mlflow, tensorboard, wandb, and a place after =, got 'neptune'"),
        ("--track wandb=", "--track wandb= lacks the place"),
        ("--track-every run", "--track-every goes with --track"),
        ("--track wandb --track wandb", "--track wandb is given twice"),
    ],
)
def test_what_the_command_cannot_track_is_refused(line: str, message: str, seedbed, folder: Path) -> None:
    status, _, err = seedbed(f"run people -s 0 {line}")
    assert (status, list(folder.iterdir())) == (2, [])
    assert message in err


@pytest.mark.parametrize(
    ("tracker", "module"), [("mlflow", "mlflow"), ("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")]
)
def test_a_tracker_whose_package_is_absent_says_how_to_get_it(
    tracker: str, module: str, seedbed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    status, _, err = seedbed(f"run people -s 0 --track {tracker}")
    assert (status, list(folder.iterdir())) == (2, [])
    assert f"pip install 'seedbed[{tracker}]'" in err


def test_the_command_to_go_on_shows_no_password_of_a_tracker() -> None:
    line = ["run", "people", "--track", "mlflow=https://me:secret@host", "--track=mlflow=https://me:secret@other"]
    resumed = cli.resume_command([*line, "-p", "lr=0.1", "--store=sqlite:///a?b=c"])
    assert "secret" not in resumed
    assert "--track 'mlflow=https://me:***@host' '--track=mlflow=https://me:***@other'" in resumed
    assert "-p lr=0.1 '--store=sqlite:///a?b=c'" in resumed
