"""seedbed audit, from the command's line to its answer; and seedbed.audit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

import seedbed as sb
from seedbed.cli import command

EXPERIMENT = """
import functools, torch
from torch import nn
from torch.utils.data import TensorDataset
import seedbed as sb

@sb.experiment
def tiny(lr: float = 0.1) -> sb.Experiment:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    return sb.Experiment(
        name="tiny", model=lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        data=sb.Data(train=TensorDataset(x, (x[:, 0] > 0).long())), loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=lr), batch_size=20, epochs=3,
        metrics={"accuracy": sb.metrics.accuracy},
    )

@sb.trial
def unsteady(seed: int) -> dict[str, float]:
    import time
    return {"score": float(time.time_ns())}

@sb.trial
def endless(seed: int) -> dict[str, float]:
    import os, time
    print("pid", os.getpid(), flush=True)
    time.sleep(600)
    return {"score": 0.0}

@sb.trial
def failing(seed: int) -> dict[str, float]:
    raise ValueError("as it was written")
"""
PROGRAM = """
import json, random, sys, time
random.seed(int(sys.argv[1]))
order = 0
for place, letter in enumerate({"a", "b", "c", "d", "e", "f"}):
    order += place * ord(letter) * FACTOR
print(json.dumps({"score": random.random(), "order": order}))
"""


@pytest.fixture
def target(tmp_path: Path) -> str:
    path = tmp_path / "train.py"
    path.write_text(EXPERIMENT)
    return str(path)


def audit(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["audit", *arguments], standalone_mode=False)


def refused(*arguments: str) -> str:
    found = audit(*arguments)
    assert isinstance(found.exception, sb.SeedbedError | click.ClickException), found.output
    return str(found.exception)


def test_of_an_experiment_the_status_is_what_the_table_says(target, tmp_path):
    found = audit(f"{target}:tiny", "-q", "--conditions", "again,engine", "--store", str(tmp_path / "s.db"))
    assert found.return_value == (1 if "\tNO\t" in found.stdout else 0), found.output
    lines = found.stdout.splitlines()
    assert lines[0].startswith("tiny, seed 0")
    assert "the same again\tyes" in lines[3]
    # Engines that cannot run it are left out; those that can may round otherwise.
    assert any(line.startswith("lanes engine\t") for line in lines)


def test_as_json_and_nothing_else_on_standard_output(target, tmp_path):
    found = audit(f"{target}:tiny", "-p", "lr=0.5", "-s", "3", "--conditions", "again", "--steps", "4", "--json",
                  "--store", str(tmp_path / "s.db"))  # fmt: skip
    values = json.loads(found.stdout)
    assert (values["name"], values["seeds"], values["steps"], values["repeats"]) == ("tiny[lr=0.5]", "3", 4, True)
    assert found.return_value == 0
    assert not (tmp_path / "s.db").exists()


@pytest.mark.slow
def test_a_trial_that_does_not_repeat_ends_with_1(target):
    found = audit(f"{target}:unsteady", "-q", "--conditions", "again", "--no-matter")
    assert found.return_value == 1, found.output
    assert "it parts in the results, with all steps of training the same" in found.stdout
    assert "Results that differ: score by" in found.stdout


def test_a_run_that_fails_is_an_error_that_says_why(target):
    assert "as it was written" in refused(f"{target}:failing", "--conditions", "again")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "what is to be audited?"),
        (["people", "digits"], "what is to be audited?"),
        (["people", "--conditions", "agian"], "there is no condition 'agian'"),
        (["people", "--conditions", "threads=0"], "threads= takes a whole number of at least 1"),
        (["people", "-s", "-1"], "seed"),
        (["people", "-s", "0:5"], "an audit is of one seed, such as 0; got '0:5'"),
        (["people", "--timeout", "3"], "--timeout goes with a program"),
        (["people", "--metric", "a=b"], "--metric goes with a program"),
        (["people", "--conditions", ","], "no condition is named"),
        (["people", "--threads", "9999"], "threads must be at most"),
        (["people", "--store", "."], "is a folder"),
        (["nothing"], "there is no ready experiment 'nothing'"),
        (["people", "--", "echo", "{seed}"], "either a TARGET"),
        (["--", "echo", "1"], "has no {seed}"),
        (["--steps", "3", "--", "echo", "{seed}"], "a program is audited by its results"),
        (["--conditions", "onednn", "--", "echo", "{seed}"], "cannot be set for a program from outside"),
    ],
)
def test_bad_input(arguments, words):
    assert words in refused(*arguments)


def test_a_program_is_audited_by_its_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sound.py").write_text(PROGRAM.replace("FACTOR", "0"))
    Path("hashed.py").write_text(PROGRAM.replace("FACTOR", "1"))
    sound = audit("-q", "--conditions", "again,hash", "--", sys.executable, "sound.py", "{seed}")
    assert sound.return_value == 0, sound.output
    assert "gives the same results, as it tells them" in sound.stdout
    hashed = audit("-q", "--no-matter", "--conditions", "again,hash", "--", sys.executable, "hashed.py", "{seed}")
    assert hashed.return_value == 1
    assert "Results that differ: order by" in hashed.stdout
    assert "hashed.py:5: " in hashed.stdout  # what reading it found


def test_a_time_is_no_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("timed.py").write_text("import json, time\nprint(json.dumps({'seconds': time.time(), 'score': 1}))\n")
    found = audit("-q", "--conditions", "again", "--", sys.executable, "timed.py", "{seed}")
    assert found.return_value == 0, found.output
    assert "Not compared: seconds, by its name a time." in found.stdout


def test_a_store_that_is_none_is_refused_before_anything_is_trained(tmp_path):
    (tmp_path / "store.txt").write_text("words")
    assert "no SQLite database" in refused("people", "--store", str(tmp_path / "store.txt"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    assert "device cuda is asked for" in refused("people", "--device", "cuda")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whatever_ends_it_nothing_stays_behind(target, tmp_path, number):
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = [sys.executable, "-m", "seedbed", "audit", f"{target}:endless", "--conditions", "again"]
    process = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.PIPE, cwd=tmp_path, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    worker = next(int(line.partition("pid ")[2]) for line in process.stderr if line.startswith("pid "))
    assert list(folder.iterdir())
    process.send_signal(number)
    assert process.wait(60) != 0
    process.stderr.close()
    assert not list(folder.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_program_that_fails_is_an_error_that_says_why():
    assert "exit status 3" in refused("--", sys.executable, "-c", "exit(3)", "{seed}")


def test_help_tells_the_conditions():
    text = CliRunner().invoke(command, ["audit", "--help"]).output
    assert "deterministic" in text
    assert "yardstick" in text


@pytest.mark.slow
def test_in_python_the_answer_is_values(target, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    module = importlib.import_module("train")
    found = sb.audit(module.tiny(), 1, conditions=["again", "threads=2"], steps=5, store=tmp_path / "s.db")
    assert isinstance(found, sb.Audit)
    assert [each.condition.name for each in found.outcomes] == ["again", "threads=2", "threads=2 again"]
    assert found.outcomes[0].repeats is True
    assert found.steps == 5


def test_what_python_gives_is_checked():
    with pytest.raises(sb.InputError, match="call it"):
        sb.audit(lambda: None, 0)
    with pytest.raises(sb.InputError, match="there is no condition"):
        sb.audit(sb.Program([sys.executable, "-c", "1", "{seed}"]), 0, conditions=["x"])
