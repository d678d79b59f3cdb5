"""Finding an experiment by what is typed, and making parameters of text."""

from __future__ import annotations

import enum
import typing
from pathlib import Path
from typing import Any, Literal, Optional

import pytest

import seedbed as sb
from seedbed import targets


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", int, 3),
        ("-3", int, -3),
        ("0.5", float, 0.5),
        ("1e-3", float, 1e-3),
        ("a b", str, "a b"),
        ("x", Any, "x"),
        ("data/rows.txt", Path, Path("data/rows.txt")),
        ("YES", bool, True),
        ("0", bool, False),
        ("RED", Colour, Colour.RED),
        ("adam", Literal["sgd", "adam"], "adam"),
        ("2", Literal[1, 2], 2),
        ("none", int | None, None),
        ("4", Optional[int], 4),  # noqa: UP045 - the older form is still written
        ("7", int | str, 7),
        ("seven", int | str, "seven"),
        ("10,20", tuple[int, ...], (10, 20)),
        ("(10, 20)", tuple[int, ...], (10, 20)),
        ("10", tuple[int, ...], (10,)),
        ("10x20", tuple[int, ...], (10, 20)),
        ("0.5x2", list[float], [0.5, 2.0]),
        ("axb", list[str], ["axb"]),
        ("", tuple[int, ...], ()),
        ("0.9,5", tuple[float, int], (0.9, 5)),
        ("[a,b]", list[str], ["a", "b"]),
        ("a,b", tuple, ("a", "b")),
        ("a,b", list, ["a", "b"]),
    ],
)
def test_text_becomes_a_value_of_its_annotation(text: str, kind: Any, value: Any) -> None:
    made = targets.convert("it", text, kind)
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("x", int, "it must be a whole number, got 'x'"),
        ("1.5", int, "it must be a whole number, got '1.5'"),
        ("x", float, "it must be a number, got 'x'"),
        ("maybe", bool, "it must be true or false, got 'maybe'"),
        ("GREEN", Colour, "it must be one of RED, BLUE; got 'GREEN'"),
        ("rms", Literal["sgd", "adam"], "it must be one of sgd, adam; got 'rms'"),
        ("1,x", tuple[int, ...], "it must be a whole number, got 'x'"),
        ("1,2,3", tuple[float, float], "it must be 2 values joined by commas, got '1,2,3'"),
        ("x", int | float, "it must be a number, got 'x'"),
        ("x", dict, "cannot be given on a command line"),
    ],
)
def test_text_that_does_not_fit_is_told(text: str, kind: Any, message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        targets.convert("it", text, kind)


HEAD = "import functools, torch, seedbed as sb\nfrom torch.utils.data import TensorDataset\n"
WHOLE = (
    HEAD
    + """
def mine(width: "Later" = 3, rate=0.5, *, must=None):
    x = torch.zeros(4, width)
    return sb.Experiment(
        name="mine", model=lambda: torch.nn.Linear(width, 2),
        data=sb.Data(train=TensorDataset(x, torch.zeros(4).long())), loss=torch.nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=rate), batch_size=2, epochs=1,
    )
def needs(width: int): return mine(width)
def raises(): raise KeyError("gone")
def leaves(): raise SystemExit(3)
def plain(seed, rate=0.5): return {"accuracy": rate}
number = 5
"""
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)  # and what loading a file adds is taken back afterwards
    path = tmp_path / "targets_test_file.py"
    path.write_text(WHOLE)
    return path


def test_a_files_function_is_found_and_its_parameters_converted_by_their_defaults(file: Path) -> None:
    experiment = targets.build(f"{file}:mine", {"width": "5", "rate": "0.25"})  # the annotation cannot be read
    assert experiment.study_name == "mine[rate=0.25,width=5]"
    assert experiment.model().in_features == 5


def test_a_modules_function_is_found() -> None:
    assert targets.build("seedbed.gallery.people:people", {"epochs": "3"}).epochs == 3


def test_parameters_in_brackets_make_a_studys_name_a_target(file: Path) -> None:
    for target, name in (
        (f"{file}:mine[rate=0.25,width=5]", "mine[rate=0.25,width=5]"),
        (f"{file}:mine[ rate=0.25 ]", "mine[rate=0.25]"),
        (f"{file}:mine[]", "mine"),
        ("people[hidden=4x4,lr=0.02]", "people[hidden=4x4,lr=0.02]"),
        ("people[hidden=(4,4),lr=0.02]", "people[hidden=4x4,lr=0.02]"),
    ):
        assert targets.build(target, {}).study_name == name
    assert targets.build("people[lr=0.02]", {"epochs": "3"}).study_name == "people[epochs=3,lr=0.02]"


@pytest.mark.parametrize(
    ("target", "parameters", "message"),
    [
        ("{file}:mien", {}, "has no 'mien': did you mean 'mine'"),
        ("{file}:number", {}, "must be a function that returns a seedbed.Experiment, or a trial; got 5"),
        ("{file}:", {}, "targets_test_file.py:NAME; its functions are mine, needs, raises, leaves, plain"),
        ("{file}", {}, "which experiment of .*targets_test_file.py.* its functions are mine, needs, raises, leaves, p"),
        ("no_such_file.py", {}, "there is no file no_such_file.py; an experiment in a file is written file.py:name"),
        (":mine", {}, "a target is file.py:name"),
        ("{file}:mine", {"widht": "3"}, "no parameter 'widht': did you mean 'width'"),
        ("{file}:mine", {"colour": "3"}, "no parameter 'colour'. Its parameters are: width, rate, must"),
        (
            "{file}:mine[rate]",
            {},
            r"brackets of a target hold NAME=VALUE joined by commas, got 'rate' in .*mine\[rate\]",
        ),
        ("people[hidden=4,4]", {}, "got '4' in .*; a value that has commas stands in parentheses"),
        ("people[lr=1,lr=2]", {}, "parameter lr is given twice in "),
        ("people[lr=1]", {"lr": "2"}, "parameter lr is given twice: in the brackets of the target, and beside it"),
        ("peopel[lr=1]", {}, "did you mean 'people'"),
        ("{file}:needs", {}, "missing a required argument: 'width'; give it with -p NAME=VALUE"),
        ("{file}:plain", {}, "is a function of the seed, and no trial yet: decorate it with @seedbed.trial"),
        ("{file}:plain", {"seed": "3"}, "must return a seedbed.Experiment"),
        ("{file}:raises", {}, r"cannot be made: KeyError: 'gone' \(raised in .*targets_test_file.py, line 1\d\)"),
        ("{file}:leaves", {}, "cannot be made: SystemExit: 3"),
        ("no_such_file.py:mine", {}, "there is no file no_such_file.py"),
        ("no.such.module:mine", {}, "there is no module 'no.such.module'; a file is written no.such.module.py:name"),
        ("peopel", {}, "there is no ready experiment 'peopel': did you mean 'people'"),
        ("zzz", {}, "there is no ready experiment 'zzz'. Ready ones are people, digits"),
    ],
)
def test_what_cannot_be_found_or_made_is_told(target: str, parameters: dict, message: str, file: Path) -> None:
    with pytest.raises(sb.InputError, match=message):
        targets.build(target.format(file=file), parameters)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module_at_all", "needs a module that is not installed: no_such_module_at_all"),
        ("def broken(:", "is no valid Python, line 1"),
        ("1 / 0", r"cannot be loaded: ZeroDivisionError.*line 1\)"),
        ("import sys; sys.exit()", "cannot be loaded: SystemExit"),
        ("x = 1\0", "is no valid Python: source code string cannot contain null bytes"),
        ("import seedbed as sb; sb.run(None, 0)", "was being loaded .*if __name__ == '__main__'"),
    ],
)
@pytest.mark.parametrize("as_module", [False, True])
def test_a_file_that_cannot_be_loaded_is_told(text: str, message: str, as_module: bool, file: Path) -> None:
    broken = file.with_name(f"targets_test_broken_{abs(hash(text))}.py")
    broken.write_text(text)
    with pytest.raises(sb.InputError, match=message):
        targets.build(f"{broken.stem if as_module else broken}:mine", {})


def test_annotations_of_the_ready_experiments_can_be_read() -> None:
    for name in ("people", "digits"):
        assert typing.get_type_hints(targets.find(name))["return"] is sb.Experiment
