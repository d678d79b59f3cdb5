"""Slurm's commands as far as submitit calls them, each job a process of this machine. Named by how it is called.

SEEDBED_FAKE_STATE is the state of jobs that have ended; with SEEDBED_FAKE_REQUEUE one that fails is begun anew.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent / "jobs"  # a folder for each job that was submitted


def sbatch(script: str) -> None:
    HERE.mkdir(exist_ok=True)
    text = Path(script).read_text()
    number = str(100 + len(list(HERE.iterdir())))
    (HERE / number).mkdir()
    shutil.copy(script, HERE / number / "script")
    array = re.search(r"--array=0-(\d+)", text)
    for task in range(int(array[1]) + 1) if array else [None]:
        name = number if task is None else f"{number}_{task}"
        variables = {"SLURM_JOB_ID": number, "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SEEDBED_FAKE_JOB": name}
        if task is not None:
            variables |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(task)}
        again = ["-c", 'bash "$0" || bash "$0"'] if "SEEDBED_FAKE_REQUEUE" in os.environ else []
        job = subprocess.Popen(
            ["bash", *again, script],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        (HERE / number / name).write_text(str(job.pid))
    print(f"Submitted batch job {number}")


def srun(*words: str) -> None:
    rest = list(words)
    target = None
    while rest[0].startswith("--"):
        if rest.pop(0) in ("--output", "--error"):
            target = rest.pop(0)
    assert target is not None
    name = os.environ["SEEDBED_FAKE_JOB"]
    for pattern, value in (("%A_%a", name), ("%j", name), ("%t", "0")):
        target = target.replace(pattern, value)
    with open(target, "a") as log:
        sys.exit(subprocess.call(rest, stdout=log, stderr=log))


def sacct(*_: str) -> None:
    print("JobID|State|NodeList")
    for each in sorted(HERE.glob("*/*[0-9]")):
        try:
            os.kill(int(each.read_text()), 0)
            state = "RUNNING"
        except ProcessLookupError:
            state = os.environ.get("SEEDBED_FAKE_STATE", "FAILED")
        print(f"{each.name}|{state}|here")


def scancel(name: str) -> None:
    for each in HERE.glob(f"*/{name}"):
        os.killpg(int(each.read_text()), signal.SIGTERM)


if __name__ == "__main__":
    {"sbatch": sbatch, "srun": srun, "sacct": sacct, "scancel": scancel}[Path(sys.argv[0]).name](*sys.argv[1:])
