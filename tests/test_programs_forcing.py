"""A run's seed in the place of those that a program sets: the same result as with the seed in its command."""

from __future__ import annotations

import ast
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.executors import ThreadExecutor
from seedbed.programs import Program
from seedbed.programs.forced import FORCING
from seedbed.programs.task import ProgramTask
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment


def run(command: Sequence[str], seed: int = 7, force: bool = True) -> RunResult:
    [result] = ProgramTask(Program(command, force_seed=force)).trainer().train([Assignment.plain(seed)])
    return result


def python(folder: Path, text: str, *arguments: str) -> list[str]:
    (folder / "program.py").write_text(text)
    return [sys.executable, str(folder / "program.py"), *arguments]


def done(result: RunResult) -> dict[str, float]:
    assert result.status is Status.DONE, result.error
    return dict(result.scores)


def first_line(result: RunResult) -> str:
    return (result.output or "").split("\n")[0]


TRAINING = """
import json, random, sys
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

class Drawn(Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, row):
        return torch.tensor([torch.initial_seed() % 2**40, random.getrandbits(40), int(torch.rand(()) * 2**40)])

def main(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    found = {"random": random.random(), "numpy": np.random.rand(), "torch": torch.rand(()).item()}
    found["permutation"] = float("0." + "".join(map(str, torch.randperm(10).tolist())))
    for context in sys.argv[2:]:
        for batch, values in enumerate(DataLoader(Drawn(), 1, num_workers=2, multiprocessing_context=context)):
            for name, value in zip(("seed", "random", "torch"), values[0].tolist()):
                found[f"{context} {name} {batch}"] = value
    print(json.dumps(found))

if __name__ == "__main__":
    main(int(sys.argv[1]))
"""


def test_a_script_with_a_fixed_seed_gives_what_one_with_the_run_s_seed_gives(tmp_path: Path) -> None:
    """The workers of a DataLoader among it: each has a seed of its own, whether it is forked or spawned."""
    forced = run(python(tmp_path, TRAINING, "42", "fork", "spawn"))
    scores = done(forced)
    plain = done(run(python(tmp_path, TRAINING, "{seed}", "fork"), force=False))
    assert plain == {name: value for name, value in scores.items() if "spawn" not in name}
    assert scores["random"] == random.Random(7).random()
    assert scores["numpy"] == np.random.RandomState(7).rand()
    assert first_line(forced) == (
        "seedbed: took the place of the seed in random.seed(42) (1 call), numpy.random.seed(42) (1 call), "
        "torch.manual_seed(42) (1 call)"
    )
    for context in ("fork", "spawn"):
        for what in ("seed", "random", "torch"):
            assert scores[f"{context} {what} 0"] != scores[f"{context} {what} 1"]


WAYS = """
from torch import manual_seed
import torch
from torch.random import manual_seed as other
found = []
for seed in (manual_seed, torch.manual_seed, torch.random.manual_seed, other):
    assert seed(1) is torch.default_generator
    found.append(torch.rand(()).item())
torch.cuda.manual_seed_all(seed=3)
torch.Generator().manual_seed(1)
assert len(set(found)) == 1
print('{"a": %r}' % found[0])
"""


def test_every_way_to_torch_s_function(tmp_path: Path) -> None:
    result = run(python(tmp_path, WAYS))
    assert done(result)["a"] == torch.rand((), generator=torch.Generator().manual_seed(7)).item()
    assert first_line(result).endswith("torch.manual_seed(1) (4 calls), torch.cuda.manual_seed_all(3) (1 call)")


DRAW = "\nprint('{\"a\": %r}' % random.random())"
DRAW_NUMPY = "\nprint('{\"a\": %r}' % numpy.random.rand())"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import random; random.seed(42)", "random.seed(42) (1 call)"),
        ("import random; random.seed(a='text', version=1)", "random.seed('text') (1 call)"),
        ("import random; random.seed()", "random.seed() (1 call)"),
        ("import random; seed = random.seed; [seed(i % 2) for i in range(5)]", "seed(0) (3 calls), random.seed(1) (2"),
        ("from random import seed; import random; seed(1)", "random.seed(1) (1 call)"),
        ("import importlib, random; importlib.reload(random).seed(3)", "random.seed(3) (1 call)"),
        (
            "import random, threading; t = threading.Thread(target=random.seed, args=[5]); t.start(); t.join()",
            "random.seed(5) (1 call)",
        ),
        ("import random; [random.seed(i) for i in range(100)]", "random.seed(19) (1 call), random.seed(...) (80 calls"),
        (
            "import random; random.seed(4); random.seed(5); random.seed(4)",
            "random.seed(4) (2 calls), random.seed(5) (1 call); random.seed had different seeds, each of which became",
        ),
        ("import random; random.Random(1).random(); random.seed(b'1')", "in random.seed(b'1') (1 call)"),
    ],
)  # fmt: skip
def test_python_s_own_generator(text: str, told: str, tmp_path: Path) -> None:
    result = run(python(tmp_path, text + DRAW))
    assert done(result)["a"] == random.Random(7).random()
    assert told in first_line(result)


@pytest.mark.parametrize("name", ["numpy.random.seed", "numpy.random.mtrand.seed"])
def test_numpy_s_generator(name: str, tmp_path: Path) -> None:
    result = run(python(tmp_path, f"import numpy\n{name}(seed=42)" + DRAW_NUMPY))
    assert done(result)["a"] == np.random.RandomState(7).rand()
    assert "numpy.random.seed(42) (1 call)" in first_line(result)


def test_a_worker_that_is_told_to_seed_itself_can_be_started(tmp_path: Path) -> None:
    program = """
import multiprocessing, pickle, random
import numpy, torch
def draw():
    return random.random()
if __name__ == "__main__":
    for function in (random.seed, numpy.random.seed, torch.manual_seed):
        assert pickle.loads(pickle.dumps(function)) is function
    with multiprocessing.get_context("spawn").Pool(1, initializer=random.seed, initargs=(5,)) as pool:
        found = pool.apply(draw)
    random.seed(1)
    print('{"a": %r, "worker": %r}' % (random.random(), found))
"""
    scores = done(run(python(tmp_path, program)))
    assert scores == {"a": random.Random(7).random(), "worker": random.Random(5).random()}


def test_numpy_refuses_what_it_refuses(tmp_path: Path) -> None:
    result = run(python(tmp_path, "import numpy\nnumpy.random.seed(2**32)"))
    assert "Seed must be between 0 and 2**32 - 1" in (result.error or "")


def package(folder: Path, module: str, text: str) -> None:
    *parents, name = module.split(".")
    for parent in parents:
        folder /= parent
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    (folder / f"{name}.py").write_text(text)


def test_a_function_that_calls_the_others_is_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As lightning's and transformers' do; these here stand for them."""
    text = "import random\ndef {}(seed, workers=False):\n    random.seed(seed)\n    return seed\n"
    package(tmp_path, "lightning.fabric.utilities.seed", text.format("seed_everything"))
    package(tmp_path, "transformers.trainer_utils", text.format("set_seed"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    program = """
import random
from lightning.fabric.utilities.seed import seed_everything
from transformers.trainer_utils import set_seed
assert seed_everything.__name__ == "seed_everything" and set_seed(1) == 7
assert seed_everything(42, workers=True) == 7 and seed_everything(seed=42) == 7
"""
    result = run(python(tmp_path, program + DRAW))
    assert done(result)["a"] == random.Random(7).random()
    assert first_line(result) == (
        "seedbed: took the place of the seed in transformers.set_seed(1) (1 call), "
        "lightning.seed_everything(42) (2 calls)"
    )


def test_what_was_there_is_there_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sitecustomize that is hidden is run, as itself; PYTHONPATH is kept."""
    hidden = tmp_path / "site"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import os\nos.environ['WAS_RUN'] = __name__\nMINE = 1\n")
    monkeypatch.setenv("PYTHONPATH", f"{hidden}{os.pathsep}{tmp_path}")
    program = """
import inspect, os, random, sys, sitecustomize
assert os.environ["WAS_RUN"] == "sitecustomize" and sitecustomize.MINE == 1
assert os.environ["PYTHONPATH"].split(os.pathsep)[1:] == sys.argv[1:], os.environ["PYTHONPATH"]
assert "class Random" in inspect.getsource(random)
random.seed(1)
"""
    done(run(python(tmp_path, program + DRAW, str(hidden), str(tmp_path))))


@pytest.mark.parametrize("launcher", ["shell", "python"])
def test_a_program_that_another_starts_is_forced_too(launcher: str, tmp_path: Path) -> None:
    program = python(tmp_path, "import random\nrandom.seed(1)" + DRAW)
    command = ["sh", "-c", 'echo; "$@"', "sh", *program]
    if launcher == "python":
        command = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *program]
    assert done(run(command))["a"] == random.Random(7).random()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_is_left_alone(tmp_path: Path) -> None:
    program = """
import os, random, sys
random.seed(1)
if os.fork() == 0:
    random.seed(3)
    print('{"a": %r}' % random.random(), flush=True)
    sys.exit()
os.wait()
"""
    result = run(python(tmp_path, program))
    assert done(result)["a"] == random.Random(3).random()
    assert first_line(result) == "seedbed: took the place of the seed in random.seed(1) (1 call)"


def test_a_killed_program_tells_what_was_met(tmp_path: Path) -> None:
    result = run(python(tmp_path, "import os, random\nrandom.seed(1)\nos.kill(os.getpid(), 9)"))
    assert (result.error or "").startswith("killed by signal 9")
    assert "random.seed(1) (1 call)" in first_line(result)


def test_an_older_python_can_read_what_is_put_before_it() -> None:
    ast.parse((FORCING / "sitecustomize.py").read_text(), feature_version=(3, 7))


PRINT = "print('{\"a\": 1}')"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([sys.executable, "-c", PRINT], "nothing that sets a seed was called (random.seed, numpy.random.seed, torch."),
        ([sys.executable, "-I", "-c", PRINT], "could not be put in the place of others: python -I loads nothing"),
        ([sys.executable, "-uS", "-c", PRINT], "could not be put in the place of others: python -S loads nothing"),
        ([sys.executable, "-E", "-c", PRINT], "could not be put in the place of others: python -E loads nothing"),
        (["echo", '{"a": 1}'], "could not be put in the place of others: echo started no Python"),
        (["env", "-u", "PYTHONPATH", sys.executable, "-c", PRINT], "others: env started no Python that takes"),
    ],
)
def test_a_result_that_does_not_depend_on_the_seed_is_none(command: list[str], told: str) -> None:
    result = run(command)
    assert result.status is Status.FAILED
    assert told in (result.error or "").split("\n")[0]
    assert "{seed}" in (result.error or "").split("\n")[0]


def test_several_at_a_time(tmp_path: Path) -> None:
    task = ProgramTask(Program(python(tmp_path, "import random\nrandom.seed(1)" + DRAW), force_seed=True))
    blocks = iter([[Assignment.plain(seed)] for seed in range(6)])
    results = [each for items in ThreadExecutor(3).run(task, blocks) if isinstance(items, list) for each in items]
    assert {r.assignment.init: done(r)["a"] for r in results} == {s: random.Random(s).random() for s in range(6)}
