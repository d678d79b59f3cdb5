"""The examples with other frameworks: each is run as its first lines say, and gives what it gives by itself."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import seedbed as sb
from seedbed.records import Status

pytestmark = pytest.mark.slow  # most of the time is the loading of the frameworks, three times each
EXAMPLES = Path(__file__).parents[1] / "examples"


def seedbed(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "seedbed", "run", "--store", "seedbed.db", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def by_itself(file: str, name: str, **arguments: Any) -> dict[str, float]:
    """What the function returns in a fresh process that knows no study."""
    program = (
        "import importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('example', {str(EXAMPLES / file)!r})\n"
        "module = importlib.util.module_from_spec(spec); sys.modules['example'] = module\n"
        "spec.loader.exec_module(module)\n"
        f"found = getattr(module, {name!r})(**json.loads({json.dumps(arguments)!r}))\n"
        "print(json.dumps({key: float(value) for key, value in found.items()}))\n"
    )
    # The threads that workers give to a run.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **threads}, capture_output=True, text=True, timeout=600,
        check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def needs(*packages: str) -> Any:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed: the extra 'examples' has it")


TRIALS = [
    pytest.param("sklearn_trial.py", "digits", {"init": 1, "split": 1}, marks=needs("sklearn")),
    pytest.param("lightning_trial.py", "blobs", {"init": 1, "order": 1}, marks=needs("lightning")),
    pytest.param("transformers_trial.py", "order_of_marks", {"seed": 1}, marks=needs("transformers", "accelerate")),
    pytest.param("flax_trial.py", "waves", {"init": 1, "order": 1}, marks=needs("jax", "flax", "optax")),
]


@pytest.mark.parametrize(("file", "name", "seeds"), TRIALS)
def test_a_trial_of_another_framework(tmp_path: Path, file: str, name: str, seeds: dict[str, int]) -> None:
    given = ["-s", "0:2"] if "seed" in seeds else [each for role in seeds for each in (f"--{role}", "0:2")]
    seedbed(f"{EXAMPLES / file}:{name}", *given, "-p", "epochs=2", cwd=tmp_path)
    study = sb.load(f"{name}[epochs=2]", tmp_path / "seedbed.db")
    assert study.count(Status.DONE) == len(study) == 2 ** len(seeds)
    assert study.filter(splits=1 if "split" in seeds else 0).predictions("test").shape[0] >= 2
    assert len({tuple(run.scores.values()) for run in study.runs}) == len(study)  # every seed makes a difference
    (chosen,) = (each for each in study.runs if all(getattr(each.assignment, r) == s for r, s in seeds.items()))
    assert dict(chosen.scores) == by_itself(file, name, epochs=2, **seeds)


def test_a_script_with_a_seed_on_its_command_line(tmp_path: Path) -> None:
    script = str(EXAMPLES / "any_script.py")
    seedbed("-s", "0:3", "--", sys.executable, script, "--seed", "{seed}", "--epochs", "3", cwd=tmp_path)
    study = sb.load("any_script.py[epochs=3]", tmp_path / "seedbed.db")
    assert study.scores == ("test/accuracy", "train/loss")
    alone = subprocess.run(
        [sys.executable, script, "--seed", "2", "--epochs", "3"], capture_output=True, text=True, check=True
    )
    told = json.loads(alone.stdout.splitlines()[-1])
    assert study.run(2).scores["test/accuracy"] == told["test/accuracy"]


def test_a_script_whose_seed_is_fixed_inside(tmp_path: Path) -> None:
    script = str(EXAMPLES / "fixed_seed.py")
    metric = "accuracy=accuracy: ([0-9.]+)"
    seedbed("-s", "0,42", "--force-seed", "--metric", metric, "--", sys.executable, script, cwd=tmp_path)
    study = sb.load("fixed_seed.py", tmp_path / "seedbed.db")
    alone = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert study.run(42).scores["accuracy"] == float(alone.stdout.split()[-1])
    assert "torch.manual_seed(42)" in study.output(0)


@needs("hydra")
def test_a_hydra_application(tmp_path: Path) -> None:
    script = str(EXAMPLES / "hydra_script.py")
    seedbed("-s", "0:2", "--", sys.executable, script, "seed={seed}", "lr=0.1", "epochs=2", cwd=tmp_path)
    study = sb.load("hydra_script.py[lr=0.1,epochs=2]", tmp_path / "seedbed.db")
    assert len(set(study["test/mse"])) == 2
    assert not study.larger_is_better("test/mse")
