"""seedbed run ... -- COMMAND, from the command's line to the store and back."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import seedbed as sb
from seedbed.cli import command
from seedbed.records import Status

SCRIPT = """
import json, random, sys
seed = int(sys.argv[1]) if len(sys.argv) > 1 else 42
random.seed(seed)
value = random.random()
print("epoch 1 acc = 0.1")
print("final acc = %.6f" % value)
if seed == 5:
    sys.exit("as asked")
print(json.dumps({"accuracy": value, "loss": {"test": 1 - value}, "name": "x"}))
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["run", *arguments], standalone_mode=False)


def refused(*arguments: str) -> str:
    found = run(*arguments)
    assert isinstance(found.exception, sb.InputError), found.output
    return str(found.exception)


def value(seed: int) -> float:
    return random.Random(seed).random()


def test_each_seed_is_a_run_of_the_command(script: str, store: Path) -> None:
    found = run("-s", "0:4", "--store", str(store), "--", sys.executable, script, "{seed}")
    assert found.return_value == 0
    assert "seed =    3 | accuracy = 0.2380 | loss/test = 0.7620" in found.output
    study = sb.load("train.py", store)
    assert study.identity.engine == "program"
    assert [run.scores["accuracy"] for run in study.runs] == [value(seed) for seed in range(4)]
    assert not study.larger_is_better("loss/test")
    assert study.output(0).startswith("epoch 1 acc = 0.1\n")
    assert run("-s", "0:4", "--store", str(store), "--", sys.executable, script, "{seed}").return_value == 0
    assert len(sb.load("train.py", store)) == 4


def test_in_python(script: str, store: Path) -> None:
    program = sb.Program([sys.executable, script, "{seed}"], larger_is_better={"loss/test": True}, primary="loss/test")
    study = sb.run(program, range(3), store=store)
    assert study.identity.primary == "loss/test"
    assert study.larger_is_better()
    assert study["loss/test"].tolist() == [1 - value(seed) for seed in range(3)]


def test_a_metric_by_its_pattern_and_directions(script: str, store: Path) -> None:
    given = ["--metric", "acc=final acc = ([0-9.]+)", "--smaller-is-better", "acc", "--name", "named"]
    assert run("-s", "0:3", "--store", str(store), *given, "--", sys.executable, script, "{seed}").return_value == 0
    study = sb.load("named", store)
    assert study["acc"].tolist() == pytest.approx([value(seed) for seed in range(3)], abs=1e-6)
    assert not study.larger_is_better("acc")
    other = ["--metric", "acc=acc = ([0-9.]+)", "--name", "several"]
    found = run("-s", "0:2", "--store", str(store), *other, "--", sys.executable, script, "{seed}")
    assert found.return_value == 1
    assert "acc:last=" in (sb.load("several", store).run(0).error or "")


def test_a_program_that_fails_keeps_its_end_and_is_tried_again(script: str, store: Path) -> None:
    found = run("-s", "4:7", "--store", str(store), "--retries", "1", "--", sys.executable, script, "{seed}")
    assert found.return_value == 1
    study = sb.load("train.py", store)
    assert [run.status for run in study.runs] == [Status.DONE, Status.FAILED, Status.DONE]
    assert (study.run(5).error or "").startswith("exit status 1 (tried 2 times)")
    assert "as asked" in (study.run(5).error or "")
    logs = CliRunner().invoke(command, ["logs", "train.py", "5", "--store", str(store)], standalone_mode=False)
    assert logs.output.count("as asked") >= 2
    assert "try 1 of 2 failed" in logs.output


def test_a_forced_seed_says_what_it_took_the_place_of(script: str, store: Path) -> None:
    found = run("-s", "0:3", "--force-seed", "--store", str(store), "--", sys.executable, script)
    assert found.return_value == 0, found.output
    assert "took the place of the seed in random.seed(42) (1 call)" in found.output
    assert sb.load("train.py", store)["accuracy"].tolist() == [value(seed) for seed in range(3)]


@pytest.mark.parametrize("how", ["again", "until"])
def test_what_a_forced_seed_took_the_place_of_is_told_always(how: str, tmp_path: Path, store: Path) -> None:
    script = tmp_path / "train.py"
    # Its first try is killed before Python has begun, so that nothing was met then.
    script.write_text(f"""
import os, random
seen = {str(tmp_path)!r} + "/seen" + os.environ["SEEDBED_SEED"]
if not os.path.exists(seen):
    open(seen, "w").close()
    os._exit(1)
random.seed(42)
print('{{"accuracy": %r}}' % random.random())
""")
    asked = ["-s", "0:2"] if how == "again" else ["--until", "accuracy +- 0.5"]
    found = run(*asked, "--retries", "1", "--force-seed", "--store", str(store), "--", sys.executable, str(script))
    assert found.return_value == 0, found.output
    assert "\ntook the place of the seed in random.seed(42) (1 call)" in found.output
    assert "failed" not in found.output


def test_an_option_of_a_program_s_command_without_its_dashes(store: Path) -> None:
    found = run("-s", "0:2", "--store", str(store), "python", "train.py", "--epochs", "3", "{seed}")
    assert isinstance(found.exception, click.UsageError)
    assert "--epochs" in found.exception.format_message()
    assert "The command of a program stands behind --" in found.exception.format_message()
    found = run("-s", "0:2", "--store", str(store), "people", "--epochs", "3")
    assert isinstance(found.exception, click.NoSuchOption)


@pytest.mark.parametrize("how", ["--quiet", "--json"])
def test_a_program_that_ignores_its_seed_is_told_where_no_summary_is(how: str, store: Path) -> None:
    code = "print('{\"a\": 1}')"
    found = run("-s", "0:3", "--store", str(store), how, "--", sys.executable, "-c", code, "{seed}")
    assert "ALL RUNS GAVE THE SAME RESULT: 3 runs with different seeds" in found.stderr
    assert "ALL RUNS" not in found.stdout


def test_runs_that_failed_before_are_counted_apart(tmp_path: Path, store: Path) -> None:
    code = f"test {{seed}} = 1 && test ! -e {tmp_path}/go && exit 1; echo '{{\"a\": {{seed}}}}'"
    given = ["--store", str(store), "--", "sh", "-c", code]
    assert run("-s", "0:2", *given).return_value == 1
    (tmp_path / "go").touch()
    found = run("-s", "0:3", *given)
    assert "sh: 2 runs of a program (1 of them again, after failing), 1 stored already\n" in found.stderr


def test_what_a_terminal_cannot_show_is_shown_somehow(store: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'caf\\xe9\\n{\"a\": 1}\\n')"
    assert run("-s", "0:1", "--store", str(store), "--", sys.executable, "-c", code, "{seed}").return_value == 0
    done = subprocess.run(
        [sys.executable, "-m", "seedbed", "logs", "python", "0", "--store", str(store)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=True,
    )
    assert done.stdout == b'caf\\ufffd\n{"a": 1}\n'


def test_a_direction_of_no_score_is_told(script: str, store: Path) -> None:
    given = ["--smaller-is-better", "acuracy", "--store", str(store)]
    found = run("-s", "0:2", *given, "--", sys.executable, script, "{seed}")
    assert "warning: it was said whether a larger acuracy is better, and no such score is there" in found.stderr


def test_roles_make_a_crossed_design(tmp_path: Path, store: Path) -> None:
    code = "import json,sys; a,b=map(int,sys.argv[1:]); print(json.dumps({'s': a + b / 10 + a * b % 3}))"
    arguments = ["--init", "0:4", "--order", "0:4", "--store", str(store), "--name", "crossed"]
    assert run(*arguments, "--", sys.executable, "-c", code, "{init}", "{order}").return_value == 0
    shown = CliRunner().invoke(command, ["decompose", "crossed", "--store", str(store)], standalone_mode=False)
    assert "4 x 4 seeds of initial weights and order" in shown.output


def test_a_rule_may_follow_a_program(script: str, store: Path) -> None:
    rule = ["--until", "accuracy +- 0.4", "--store", str(store)]
    code = SCRIPT.replace("seed == 5", "False")
    Path(script).write_text(code)
    found = run(*rule, "--", sys.executable, script, "{seed}")
    assert found.return_value == 0, found.output
    assert "stopped by fixed width" in found.output
    assert found.stderr.count("scores, of which larger is better: accuracy; smaller is better: loss/test") == 1


def test_studies_of_every_kind_compare(script: str, store: Path, tmp_path: Path) -> None:
    sb.run(sb.Program([sys.executable, script, "{seed}"]), range(4), store=store)

    @sb.trial
    def mine(seed: int) -> dict[str, float]:
        return {"accuracy": value(seed) + 0.01 * (seed + 1), "loss/test": 1.0}

    sb.run(mine, range(4), store=store, workers=0)
    table = tmp_path / "scores.csv"
    table.write_text("seed,accuracy\n" + "".join(f"{s},{value(s) - 0.1}\n" for s in range(4)))
    (imported,) = sb.Study.from_scores(sb.read_scores(table)).values()
    found = sb.compare(sb.load("mine", store), sb.load("train.py", store), metric="accuracy")
    assert found.paired
    assert found.difference == pytest.approx(0.025)
    assert sb.compare(sb.load("train.py", store), imported, metric="accuracy").difference == pytest.approx(0.1)
    for study in ("mine", "train.py"):
        shown = CliRunner().invoke(command, ["show", study, "--store", str(store)], standalone_mode=False)
        assert "accuracy, seeds 0 to 3" in shown.output
    as_json = CliRunner().invoke(command, ["show", "mine", "--json", "--store", str(store)], standalone_mode=False)
    assert json.loads(as_json.output)["engine"] == "trial"


def test_a_study_without_a_run_that_ended_well_can_be_read(store: Path) -> None:
    arguments = ["-s", "0:2", "--store", str(store), "--name", "silent"]
    assert run(*arguments, "--", sys.executable, "-c", "print('{seed}')").return_value == 1
    shown = CliRunner().invoke(command, ["show", "silent", "--store", str(store)], standalone_mode=False)
    assert "2 failed, left out" in shown.output
    found = CliRunner().invoke(command, ["best", "silent", "--store", str(store)], standalone_mode=False)
    assert "silent has no scores: no run of it has ended well yet" in str(found.exception)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["people", "-s", "0:2", "--", "true", "{seed}"], "give either a TARGET or a command behind --"),
        (["-s", "0:2"], "what is to be run"),
        (["-s", "0:2", "--"], "there is no command"),
        (["-s", "0:2", "--", "no-such-program", "{seed}"], "no-such-program"),
        (["-s", "0:2", "python", "train.py", "{seed}"], "The command of a program stands behind --, as in: seedbed"),
        (["-s", "0:2", "--", "python train.py {seed}"], "'python train.py 0': write the words of the command apart"),
        (["-s", "0:2", "--", "true"], r"no {seed}: every run would be the same"),
        (["-s", "0:2", "-p", "lr=1", "--", "true", "{seed}"], "-p is of experiments and trials"),
        (["-s", "0:2", "--metric", "accuracy", "--", "true", "{seed}"], "takes NAME=REGEX"),
        (["-s", "0:2", "--metric", "a=(x)", "--metric", "a=(y)", "--", "true", "{seed}"], "metric a is given twice"),
        (["-s", "0:2", "--metric", "a=x", "--", "true", "{seed}"], "must have exactly one group"),
        (["people", "-s", "0:2", "--timeout", "30"], "--timeout goes with a program"),
        (["people", "-s", "0:2", "--force-seed"], "--force-seed goes with a program"),
        (["people", "-s", "0:2", "--smaller-is-better", "a"], "--smaller-is-better goes with a program"),
        (["people", "-s", "0:2", "--retries", "1"], "retries are for trials and programs"),
        (["people", "-s", "0:2", "--metric", "a", "--metric", "b"], "--metric is given once"),
        (["-s", "0:2", "--engine", "lanes", "--", "true", "{seed}"], "engine is for experiments"),
        (["-n", "2", "--larger-is-better", "a", "--smaller-is-better", "a", "--", "true", "{seed}"], "be better both"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(store: Path, given: list[str], said: str) -> None:
    place = given.index("--") if "--" in given else len(given)
    assert said in refused(*given[:place], "--store", str(store), *given[place:])
    assert not store.exists()
