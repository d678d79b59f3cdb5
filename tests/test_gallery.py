"""The ready experiments and their data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import seedbed as sb
from seedbed import targets
from seedbed.gallery import EXPERIMENTS, people_data
from seedbed.gallery.digits import digits
from seedbed.gallery.people import SHIPPED, PeopleNet, people

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import plain_script


def test_the_generator_gives_the_shipped_files_byte_for_byte(tmp_path: Path) -> None:
    people_data.write(tmp_path)
    for name, rows in people_data.ROWS.items():
        assert (tmp_path / name).read_bytes() == (SHIPPED / name).read_bytes()
        assert len((tmp_path / name).read_text().splitlines()) == rows


def test_no_row_is_of_the_demonstration(demonstration: Path) -> None:
    theirs = set(demonstration.read_text().splitlines())
    ours = {line for name in people_data.ROWS for line in (SHIPPED / name).read_text().splitlines()}
    assert not theirs & ours


def test_the_network_begins_with_the_plain_scripts_bits() -> None:
    torch.manual_seed(3)
    ours = PeopleNet((10, 10), "xavier").state_dict()
    torch.manual_seed(3)
    theirs = plain_script.Net().state_dict()
    assert list(ours) == list(theirs)
    assert all(ours[name].numpy().tobytes() == theirs[name].numpy().tobytes() for name in ours)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_can_be_made_by_its_name(name: str) -> None:
    experiment = targets.build(name, {"epochs": "1"})
    assert (experiment.name, experiment.epochs) == (name, 1)
    assert experiment.study_name == f"{name}[epochs=1]"


def test_with_a_file_of_ones_own_there_is_no_test_set_unless_given() -> None:
    own = SHIPPED / "people_test.txt"
    assert list(people().data.evaluate) == ["train", "test"]
    assert list(people(data=own).data.evaluate) == ["train"]
    assert list(people(data=own, test_data=own).data.evaluate) == ["train", "test"]


def test_every_split_of_digits_has_all_rows_once_and_all_classes() -> None:
    data = [digits().data(split) for split in (0, 1)]
    for each in data:
        train, test = each.train.tensors, each.evaluate["test"].tensors
        assert (len(train[0]), len(test[0])) == (1437, 360)
        assert set(test[1].tolist()) == set(range(10))
        assert float(train[0].max()) == 1.0
    sums = [torch.cat([d.train.tensors[0], d.evaluate["test"].tensors[0]]).sum().item() for d in data]
    assert sums[0] == pytest.approx(sums[1])
    assert not torch.equal(data[0].evaluate["test"].tensors[0], data[1].evaluate["test"].tensors[0])


@pytest.mark.parametrize("make", [people, digits])
@pytest.mark.parametrize("bad", [{"lr": 0.0}, {"lr": float("inf")}, {"hidden": (0,)}, {"optimizer": "lbfgs"}])
def test_choices_that_cannot_be_are_refused(make: object, bad: dict) -> None:
    with pytest.raises(sb.InputError):
        make(**bad)


def test_a_number_beyond_float32_is_refused_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("1 1e300 1 0 0 0.3 1\n")
    with pytest.raises(sb.InputError, match="column 2"):
        people(data=file)
    file.write_bytes(b"\xef\xbb\xbf1 0.2 1 0 0 0.3 1\n")
    assert len(people(data=file).data.train) == 1
