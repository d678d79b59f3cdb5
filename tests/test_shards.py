"""Shards: parts of a list of runs, each into a file of its own, which together are the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed.shards import Shard

COMMAND = [sys.executable, "-c", "from seedbed.cli import main; main()"]


@given(st.lists(st.integers()), st.integers(1, 30))
def test_the_shards_are_the_whole_and_differ_in_length_by_one_at_most(runs: list[int], count: int) -> None:
    parts = [Shard.parse(f"{number}/{count}").of(runs) for number in range(1, count + 1)]
    assert [parts[i % count][i // count] for i in range(len(runs))] == runs
    assert sum(map(len, parts)) == len(runs)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "a/b", "3/20/1", "-1/3", "1.5/3", "3:20", "²/3"])
def test_what_is_no_shard_is_told(text: str) -> None:
    with pytest.raises(sb.InputError, match="such as 3/20 for the third of twenty"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["0/20", "21/20", "0/0", "1/0"])
def test_a_shard_that_is_not_there_is_told(text: str) -> None:
    with pytest.raises(sb.InputError, match=rf"there is no shard {text}"):
        Shard.parse(text)


def test_each_shard_has_a_file_of_its_own_and_they_sort() -> None:
    stores = [Shard(number, 20).store("runs/all.v2.db") for number in range(1, 21)]
    assert stores[2] == str(Path("runs") / "all.v2.shard-03-of-20.db")
    assert sorted(stores) == stores
    assert Shard(3, 9).store("bare") == "bare.shard-3-of-9"
    with pytest.raises(sb.InputError, match=r"server takes the runs of many machines") as told:
        Shard(3, 20).store("postgresql://me:secret@host/x")
    assert "secret" not in str(told.value)


def seedbed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *line.split()], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def test_the_command_computes_shards_and_joins_them(tmp_path: Path) -> None:
    run = "run people -p epochs=2 -s 0:3 --curves --no-verify --engine reference --workers 0"
    for number in (1, 2):
        done = seedbed(f"{run} --shard {number}/2", tmp_path)
        assert done.returncode == 0, done.stderr
    assert "seedbed merge seedbed.shard-*-of-2.db --store seedbed.db" in done.stderr
    assert {each.name for each in tmp_path.glob("*.db")} == {"seedbed.shard-1-of-2.db", "seedbed.shard-2-of-2.db"}
    joined = seedbed("merge seedbed.shard-1-of-2.db seedbed.shard-2-of-2.db", tmp_path)
    assert joined.returncode == 0, joined.stderr
    before = sb.studies(tmp_path / "seedbed.db")
    assert seedbed(run, tmp_path).returncode == 0
    assert sb.studies(tmp_path / "seedbed.db") == before  # nothing was computed again
    whole = sb.load("people[epochs=2]", tmp_path / "seedbed.db")
    assert [each.seed for each in whole.assignments] == [0, 1, 2]
    part = sb.load("people[epochs=2]", tmp_path / "seedbed.shard-2-of-2.db")
    assert [each.seed for each in part.assignments] == [1]


def test_a_shard_without_runs_makes_no_store(tmp_path: Path) -> None:
    done = seedbed("run people -s 0:3 --shard 4/4", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "shard 4/4 has no run, since there are only 3 runs" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-s 0:3 --shard 5/4", "there is no shard 5/4: they go from 1/4 to 4/4"),
        ("-s 0:3 --shard 1/4 --store postgresql://me:secret@host/x", "a shard is for a file of its own"),
        ("--until accuracy±0.01 --shard 1/4", "leave --shard out"),
    ],
)
def test_what_does_not_go_together_is_told(line: str, message: str, tmp_path: Path) -> None:
    done = seedbed(f"run people {line}", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert not list(tmp_path.iterdir())
