"""Where is looked for what made two runs part."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedbed.auditing import origins
from seedbed.auditing.conditions import made
from seedbed.auditing.lab import Observation
from seedbed.auditing.observing import Window
from seedbed.auditing.setting import Setting
from seedbed.auditing.tape import Kind, Parting, Tape, TapeWriter


def tape(folder: Path, steps: int, batches: int = 1, *, gpus: bool = False, apart: int | None = None) -> Tape:
    """As a training leaves it, with so many batches a step; apart from others from a step on."""
    writer = TapeWriter(folder)
    for kind in (Kind.STRUCTURE, Kind.WEIGHTS, Kind.GENERATORS):
        writer.add(kind, 0, "", 0)
    for step in range(1, steps + 1):
        for _ in range(batches):
            writer.add(Kind.BATCH, step, "rows", step)
            writer.add(Kind.GENERATORS, step, "before the step", step)
            if gpus:
                writer.add(Kind.GPUS, step, "before the step", step)
        writer.add(Kind.STEP, step, "", step + 1000 * (apart is not None and step >= apart))
        writer.add(Kind.GENERATORS, step, "after the step", step)
    writer.close()
    return Tape(folder)


def parted(found: Tape, kind: Kind, step: int) -> Parting:
    place = next(k for k in range(len(found)) if (found[k].kind, found[k].step) == (kind, step))
    return Parting(place, found[place], found[place])


@pytest.mark.parametrize("gpus", [False, True])
@pytest.mark.parametrize("batches", [1, 4])
def test_of_a_step_all_is_looked_at_since_its_first_batch_was_seen(batches, gpus, tmp_path):
    own = tape(tmp_path, 3, batches, gpus=gpus)
    found = parted(own, Kind.STEP, 2)
    first = parted(own, Kind.BATCH, 2).place
    assert origins._nearest(found, own) == Window(first + (3 if gpus else 2), found.place)


def test_a_step_near_the_start_is_looked_at_before_all_that_came_before_it(tmp_path):
    own = tape(tmp_path, 300)
    near = parted(own, Kind.STEP, 2)
    assert list(origins._windows(near, own)) == [Window(near.place, near.place), Window(0, near.place)]
    rows = parted(own, Kind.BATCH, 2)
    assert list(origins._windows(rows, own)) == [Window(0, rows.place), Window(rows.place, rows.place)]


def test_far_from_the_start_wider_and_wider_parts_are_looked_at(tmp_path):
    own = tape(tmp_path, 300)
    found = parted(own, Kind.STEP, 100)
    assert [found.place - each.start for each in origins._windows(found, own)] == [0, 50, 250, found.place]
    late = parted(own, Kind.STEP, 290)
    assert [late.place - each.start for each in origins._windows(late, own)] == [0, 50, 250]


class Runs:
    """In the place of a lab: each pair of runs parts at the next of these steps, and nothing is recorded of them."""

    def __init__(self, folder: Path, steps: list[int]) -> None:
        self._folder, self._steps, self.windows = folder, steps, list[Window]()

    def closely(self, settings, window, limit, *, all_rows=False):
        self.windows.append(window)
        step = self._steps[min(len(self.windows), len(self._steps)) - 1]
        folders = [self._folder / f"{len(self.windows)}{k}" for k in range(2)]
        for k, folder in enumerate(folders):
            tape(folder, 300, apart=step if k else None)
        return [Observation(s, f, None, None) for s, f in zip(settings, folders, strict=True)]

    def observe(self, settings, limit):
        """With other draws the first of the steps is where a run parts from the others, else the last."""
        found = []
        for setting in settings:
            apart = self._steps[0] if setting.other_draws else self._steps[-1]
            folder = self._folder / f"{setting.other_draws} {setting.repetition}"
            tape(folder, limit, apart=apart)
            found.append(Observation(setting, folder, None, None))
        return found

    def capped(self, steps):
        return steps

    def known(self, setting):
        return None

    def forget(self, seen):
        pass


def test_where_equal_runs_part_earlier_the_next_time_that_is_where_is_looked_next(tmp_path):
    own = tape(tmp_path / "own", 300)
    lab = Runs(tmp_path, [150])
    condition = made("again", Setting())[0]
    found = parted(own, Kind.STEP, 290)
    assert origins._repeated(lab, condition, found, own) == (None, None, True)
    first, second = lab.windows[:2]
    place = parted(own, Kind.STEP, 150).place
    assert place < first.start
    assert second.start <= place <= second.end


@pytest.mark.parametrize(
    ("with_other_draws", "again", "feeds"),
    [(2, None, True), (None, None, False), (2, 2, False)],  # the last is another one each time
)
def test_what_evaluation_draws_is_trained_on_where_other_draws_alone_change_training(
    with_other_draws, again, feeds, tmp_path
):
    condition = made("evaluation", Setting())[0]
    tape(tmp_path / "plain", 4, apart=1)
    tape(tmp_path / "undone", 4)
    one, other = (
        Observation(setting, tmp_path / name, None, None)
        for setting, name in ((condition.against, "plain"), (condition.setting, "undone"))
    )
    lab = Runs(tmp_path, [with_other_draws, again])
    assert origins.feeds_training(lab, condition, one, other) is feeds
