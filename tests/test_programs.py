"""A command as an experiment: where seeds go, what is refused, its name, and what makes it the same again."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.errors import InputError
from seedbed.programs import Program
from seedbed.seeds import Assignment, as_assignments, grid

PLACES = ("seed", "init", "order", "noise", "split")
plain = st.builds(Assignment.plain, st.integers(0, 2**32 - 1), st.integers(0, 9))
apart = st.builds(Assignment.roles, *[st.integers(0, 2**32 - 1)] * 3, st.integers(0, 9))


def words(text: str) -> list[str]:
    return text.split(" ")


@given(st.lists(st.sampled_from(PLACES) | st.text("{}ab: \"'$").map(lambda text: (text,))), plain)
def test_only_placeholders_are_replaced(parts: list[Any], assignment: Assignment) -> None:
    """Whatever stands between them is untouched, braces too."""
    text = "".join(f"{{{part}}}" if isinstance(part, str) else part[0] for part in parts)
    expected = "".join(str(getattr(assignment, part)) if isinstance(part, str) else part[0] for part in parts)
    assert Program(["x", text]).filled(assignment) == ["x", expected]


@given(apart)
def test_each_role_has_its_own(assignment: Assignment) -> None:
    found = Program(words("x {init} {order} {noise} {split}")).filled(assignment)[1:]
    assert found == [str(getattr(assignment, role)) for role in PLACES[1:]]
    with pytest.raises(InputError, match=r"write \{init\}, \{order\} and \{noise\}"):
        Program(words("x {seed}")).filled(assignment)


def test_json_and_awk_survive() -> None:
    command = ["awk", "{print $1}", '{"lr": {"seed": {seed}}}', "{SEED}", "{ seed }", "{{seed}}", "${seed}"]
    assert Program(command).filled(Assignment.plain(7)) == [
        "awk", "{print $1}", '{"lr": {"seed": 7}}', "{SEED}", "{ seed }", "{7}", "$7",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"command": []}, "there is no command"),
        ({"command": "python train.py"}, "list of words"),
        ({"command": ["x", "a\0b"]}, "NUL"),
        ({"metrics": {"acc": "acc: ("}}, "no regular expression"),
        ({"metrics": {"acc": "acc"}}, "exactly one group.*it has 0"),
        ({"metrics": {"acc": "(a)(b)"}}, "exactly one group.*it has 2"),
        ({"metrics": {"acc:lst": "(a)"}}, ":first or :last"),
        ({"metrics": {"": "(a)"}}, "printable"),
        ({"metrics": {"acc:last": "(a)", "acc": "(b)"}}, "given twice"),
        ({"metrics": {"acc": "(a)"}, "metrics_file": "m.json"}, "either metrics or metrics_file"),
        ({"metrics": {"acc": "(a)"}, "primary": "loss"}, "no metric 'loss'"),
        ({"metrics": {"acc": "(a)"}, "larger_is_better": {"loss": False}}, "no metric 'loss'"),
        ({"metrics_file": ""}, "path of a file"),
        ({"larger_is_better": {"loss": "no"}}, "True or False"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": float("nan")}, "above 0"),
        ({"timeout": True}, "above 0"),
        ({"name": "\n"}, "printable"),
    ],
)
def test_what_cannot_be_a_program_is_refused_when_it_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Program(**{"command": ["true"], **options})


PLAIN = as_assignments(range(3))


@pytest.mark.parametrize(
    ("command", "assignments", "options", "message"),
    [
        ("sh x", PLAIN, {}, r"no \{seed\}: every run would be the same"),
        ("sh {split}", PLAIN, {}, r"no \{seed\}: every run would be the same"),
        ("sh x", PLAIN[:1], {}, r"no \{seed\}"),
        ("sh {seed}", grid(seed=range(2), split=range(2)), {}, r"split takes 2 values.*no \{split\}"),
        ("sh {seed}", grid(seed=range(2), split=3), {}, "split is 3"),
        ("sh {seed}", grid(init=range(2)), {}, r"write \{init\}"),
        ("sh x", grid(init=range(2)), {}, "every run would be the same"),
        ("sh {init}", grid(init=range(2), order=range(2)), {}, r"order takes 2 values.*no \{order\}"),
        ("sh {init}", grid(init=range(2), order=5), {}, "order is 5"),
        ("sh x", grid(init=range(2)), {"force_seed": True}, "cannot part the roles"),
        ("python -uI x.py", PLAIN, {"force_seed": True}, "no file x.py"),
        ("python -uI -c 1", PLAIN, {"force_seed": True}, "python -I loads nothing"),
        ("sh x", grid(seed=range(2), split=range(2)), {"force_seed": True}, "split takes 2"),
        ("no-such-program {seed}", PLAIN, {}, "no program 'no-such-program' on the PATH"),
        ("./missing {seed}", PLAIN, {}, "no program ./missing"),
        ("python missing.py {seed}", PLAIN, {}, "no file missing.py"),
        ("sh {seed}", PLAIN, {"metrics_file": "m.json"}, "would all write m.json"),
        ("sh {seed} {split}", grid(seed=(1, 2), split=(1, 2)), {"metrics_file": "{split}.json"}, "would all write"),
    ],
)
def test_runs_that_cannot_be_meant_are_refused(
    command: str, assignments: Sequence[Assignment], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Program(words(command.replace("python", sys.executable)), **options).check(assignments)


@pytest.mark.parametrize(
    ("command", "assignments", "options"),
    [
        ("sh {seed}", PLAIN, {}),
        ("sh {order}", PLAIN, {}),
        ("sh x", PLAIN, {"force_seed": True}),
        ("sh x {split}", grid(seed=range(2), split=(1, 2)), {"force_seed": True}),
        ("sh {init} {order}", grid(init=range(2), order=range(2)), {}),
        ("sh {init} {split}", grid(init=range(2), split=(4, 5)), {}),
        ("sh {seed}", PLAIN, {"metrics_file": "{seed}.json"}),
        ("sh {seed}", PLAIN[:1], {"metrics_file": "m.json"}),
    ],
)
def test_runs_that_can_be_meant(command: str, assignments: Sequence[Assignment], options: dict[str, Any]) -> None:
    Program(words(command), **options).check(assignments)


def test_one_run_at_a_time_may_write_one_file() -> None:
    Program(words("sh {seed}"), metrics_file="m.json").check(PLAIN, at_once=1)


def test_a_file_that_may_not_be_executed_is_told(tmp_path: Path) -> None:
    script = tmp_path / "train.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match="may not be executed"):
        Program([str(script), "{seed}"]).check(PLAIN)
    script.chmod(0o755)
    Program([str(script), "{seed}"]).check(PLAIN)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python train.py --lr 0.1 --seed {seed}", "train.py[lr=0.1]"),
        ("python3.12 train.py lr=0.1 seed={seed}", "train.py[lr=0.1]"),
        ("/opt/env/bin/python -u -X dev -W error src/train.py --seed={seed}", "train.py"),
        ("python train.py --fast -s {seed} --lr=0.1", "train.py[fast,lr=0.1]"),
        ("python train.py conf.yaml {seed} -v", "train.py[conf.yaml,v]"),
        ("python train.py --shift -0.5 --out runs/{seed} -- x", "train.py[shift=-0.5,x]"),
        ("python -m pkg.train --init {init} --order {order} -n 3", "pkg.train[n=3]"),
        ("python -c print({seed})", "python"),
        ("Rscript fit.R {seed} --fast", "Rscript[fit.R,fast]"),
        ("./train.sh {seed}", "train.sh"),
    ],
)
def test_a_study_is_named_after_the_script_and_its_arguments(command: str, name: str) -> None:
    assert Program(words(command)).study_name == name


def test_names_are_printable_and_not_endless() -> None:
    long = [Program(["sh", *map(str, range(100)), end]).study_name for end in "ab"]
    assert all(len(name) <= 120 for name in long)
    assert long[0] != long[1]
    assert Program(["sh", "a\nb"]).study_name == "sh[a?b]"
    assert Program(["sh"], name="mine").study_name == "mine"


def test_identity_is_what_is_run_and_how_it_is_read() -> None:
    program = Program(["sh", "{seed}"], metrics={"acc:last": "(.)"}, timeout=3, primary="acc")
    assert json.loads(json.dumps(program.settings())) == {
        "command": ["sh", "{seed}"],
        "metrics": {"acc:last": "(.)"},
        "metrics_file": None,
        "force_seed": False,
    }
    assert pickle.loads(pickle.dumps(program)) == program


def test_source_is_every_small_text_file_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("print('ä')\n", encoding="utf-8")
    Path("conf.yaml").write_text("lr: 1\n")
    Path("data.bin").write_bytes(b"\xff\x00")
    Path("large.txt").write_text("x" * 200_001)
    Path("pkg").mkdir()
    Path("pkg/main.py").write_text("1\n")
    command = words("python train.py --config=conf.yaml data.bin large.txt absent.txt pkg")
    assert Program(command).source() == {"file train.py": "print('ä')\n", "file conf.yaml": "lr: 1\n"}
    assert Program(words("python -m pkg.main")).source() == {"file pkg/main.py": "1\n"}
    assert Program(["sh", "x" * 10_000]).source() == {}


def test_environment_is_what_the_interpreter_has_of_what_is_imported(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os, helper, absent_package\nfrom click import echo\n")
    (tmp_path / "helper.py").write_text("def f():\n    import hypothesis.strategies, train, deeper\n")
    (tmp_path / "deeper.py").write_text("import scipy\n")
    found = Program([sys.executable, str(tmp_path / "train.py"), "{seed}"]).environment()
    assert list(found) == ["python", "click", "hypothesis", "numpy"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == __import__("numpy").__version__


def test_environment_of_other_programs_is_where_they_lie(tmp_path: Path) -> None:
    assert Program(["sh", "x"]).environment() == {"program": str(Path("/bin/sh").resolve())}
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert Program([str(broken), "train.py"]).environment() == {}
    assert Program(["no-such-program"]).environment() == {}


def test_programs_are_light() -> None:
    code = "import sys, seedbed.programs; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy", "sqlalchemy"} & set(done.stdout.split())
