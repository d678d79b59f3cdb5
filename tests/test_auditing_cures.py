"""Which runs are trained to try a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.auditing import cures
from seedbed.auditing.conditions import made
from seedbed.auditing.findings import Origin
from seedbed.auditing.lab import Observation
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, Record, TapeWriter

AT = Parting(3, Record(3, Kind.STEP, 1, "", 1), Record(3, Kind.STEP, 1, "", 2))


class Runs:
    """In the place of a lab: runs that are all the same, but for those under these settings."""

    def __init__(self, folder: Path, other: int | None = None) -> None:
        self._folder, self._other, self.asked = folder, other, list[Setting]()

    def observe(self, settings, limit=None):
        return [self._observed(each) for each in settings]

    def __getitem__(self, setting):
        return self._observed(setting)

    def _observed(self, setting: Setting) -> Observation:
        if setting not in self.asked:
            self.asked.append(setting)
        number = self.asked.index(setting)
        writer = TapeWriter(self._folder / str(number))
        writer.add(Kind.STEP, 1, "", 7 if number == self._other else 6)
        writer.close()
        return Observation(setting, self._folder / str(number), None, None, {"steps": 1, "seconds_per_step": 0.5})


def tried(lab: Runs, name: str, *, unstable: bool):
    condition = made(name, Setting())[0]
    (found,) = cures.tried(lab, condition, Origin(AT), ("deterministic",), None, unstable=unstable)
    return found


@pytest.mark.parametrize("name", ["again", "threads=2"])
def test_where_a_difference_comes_and_goes_six_runs_must_be_the_same(name, tmp_path):
    lab = Runs(tmp_path)
    found = tried(lab, name, unstable=True)
    assert (found.works, found.runs) == (True, 6)
    with_it = [each for each in lab.asked if each.torch]
    assert len(with_it) == len(set(with_it)) == 6
    assert tried(Runs(tmp_path / "b", other=4), name, unstable=True).works is False


def test_otherwise_two_do(tmp_path):
    lab = Runs(tmp_path)
    found = tried(lab, "threads=2", unstable=False)
    assert (found.works, found.runs) == (True, 2)
    assert len([each for each in lab.asked if each.torch]) == 2
