"""What is read as the result of a program, and what is kept of the text."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.programs import Program
from seedbed.programs.output import KEPT_FIRST, KEPT_LAST, NoMetricError, Transcript, last_lines, numbers, reader
from seedbed.seeds import Assignment

ASSIGNMENT = Assignment.plain(7)
NAMES = st.text("abc", min_size=1, max_size=3)
SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | NAMES | st.lists(st.integers(), max_size=2)
NESTED = st.dictionaries(NAMES, SIMPLE | st.dictionaries(NAMES, SIMPLE, max_size=2), max_size=2)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}/")
        elif type(value) in (int, float):
            found[prefix + name] = float(value)
    return found


@given(st.dictionaries(NAMES, SIMPLE | NESTED, max_size=4))
def test_every_number_of_a_json_object_and_nothing_else(values: dict[str, Any]) -> None:
    found, expected = numbers(json.dumps(values)), flat(values)
    assert list(found) == list(expected)
    assert repr(found) == repr(expected)  # NaN is NaN


@given(st.text() | st.text('{}[]",:1e-\\u0 NaIfity').map(lambda text: f"{{{text}}}"))
def test_no_text_is_too_odd(text: str) -> None:
    for name, value in numbers(text).items():
        assert isinstance(value, float)
        name.encode()
        assert name.isprintable()


def test_extremes() -> None:
    assert numbers('{"a": 1' + "0" * 400 + ', "b": -1' + "0" * 400 + "}") == {"a": math.inf, "b": -math.inf}
    assert numbers('{"a": 1' + "0" * 10_000 + "}") == {}  # more digits than Python reads
    assert numbers('{"a": ' * 100_000 + "1" + "}" * 100_000) == {}
    assert numbers('{"": 1, "b": {"": 2, "c": 3}, "d": null}') == {"b/c": 3.0}
    assert numbers('{"a\\u0000\\ud800": 1}') == {"a\ufffd?": 1.0}
    assert numbers('{"a": {"\\u001b[31m\\n": 1}}') == {"a/\ufffd[31m\ufffd": 1.0}  # no command to a terminal
    assert numbers("[1]") == numbers("1") == numbers('{"a": true}') == numbers("{'a': 1}") == {}


def read(program: Program, *pieces: tuple[bool, bytes]) -> dict[str, float]:
    result = reader(program, ASSIGNMENT)
    transcript = Transcript(result)
    for standard, data in pieces:
        transcript.add(data, standard=standard)
    transcript.end()
    return result.scores()


def out(text: str) -> tuple[bool, bytes]:
    return True, text.encode()


def err(text: str) -> tuple[bool, bytes]:
    return False, text.encode()


PROGRAM = Program(["x"])


@pytest.mark.parametrize(
    "pieces",
    [
        [out('{"a": 1}\n{"a": 2}\n')],
        [out('{"a": 2}')],
        [out('{"a": 2}\nbye\n{"b": "text"}\n{"c": [1]}\n[3]\n{}\n{broken}\n')],
        [out('{"a"'), err('{"a": 3}\n'), out(": 2}\n"), err("x")],
        [out(' 10%\r 20%\r{"a": 2}\r\n')],
        [out("x" * 3_000_000), out('\n{"a": 2}\n'), out("y" * 3_000_000)],
        [out('{"a": 2}\n'), err("noise\n" * 500_000)],
        [out('{"a": 2}\n' + "z" * 2_000_000), out('{"a": 3}\n')],
    ],
)
def test_the_last_line_of_standard_output_with_a_number_is_the_result(pieces: list[tuple[bool, bytes]]) -> None:
    assert read(PROGRAM, *pieces) == {"a": 2.0}


def test_no_such_line() -> None:
    with pytest.raises(
        NoMetricError, match=r"^printed no metric: the result is the last line.*JSON.*--metric NAME=REG"
    ):
        read(PROGRAM, out("acc 3\n"), err('{"a": 3}\n'))


def test_patterns_are_looked_for_in_both_streams_line_by_line() -> None:
    program = Program(["x"], metrics={"acc": r"^acc: (\S+)$", "loss": r"loss=(\S+)"})
    assert read(program, out("acc"), err("loss=1e-3\n"), out(": nan\n"), err("my acc: 3\n"))["loss"] == 1e-3
    spans = Program(["x"], metrics={"a": r"epoch 3\n\s*acc (\d+)"})
    assert read(spans, out("epoch 2\n acc 1\nepoch 3\n acc 2\n")) == {"a": 2.0}


LOSSES = out("".join(f"loss {number}\n" for number in range(200_000)))  # more than is searched at once


@pytest.mark.parametrize(("key", "value"), [("loss:first", 0.0), ("loss:last", 199_999.0)])
def test_the_first_and_the_last_match(key: str, value: float) -> None:
    assert read(Program(["x"], metrics={key: r"loss (\d+)"}), LOSSES, err("end\n")) == {"loss": value}


@pytest.mark.parametrize(
    ("key", "pattern", "text", "value"),
    [
        ("loss", "loss = ([0-9.]+)", "loss = nan", math.nan),
        ("loss", "loss = ([0-9.]+)", "loss = -inf", -math.inf),
        ("loss", "loss = ([0-9.]+)", "loss = -.5", -0.5),
        ("loss", "loss = ([0-9.]+),", "loss = NaN, acc = 3,", math.nan),
        ("loss:last", "loss = ([0-9.]+)", "loss = 0.5\nloss = nan\nloss = nan", math.nan),
        ("loss:last", "loss = ([0-9.]+)", "loss = 0.5\nloss = nan\nloss = 0.25", 0.25),
        ("loss:first", "loss = ([0-9.]+)", "loss = -1\nloss = 0.25", -1.0),
        ("loss", r"loss (?:nan|is) (\d+)", "loss nan 3, loss -3 4", 3.0),
        ("loss", r"loss = (nan|[\d.]+)", "loss = nan", math.nan),
        ("loss", r"loss = (\S+)", "loss = -9.5e-05", -9.5e-05),
        ("loss", r"loss-([\d.]+)", "loss-0.5", 0.5),
        ("loss", r"loss = ([\d.]+)\d* ?%", "loss = 12.500 %", 12.5),
        ("loss", r"loss (\d+)", "loss 3.", 3.0),
    ],
)
def test_a_number_that_the_pattern_does_not_foresee(key: str, pattern: str, text: str, value: float) -> None:
    """A run that diverged has no result of an earlier epoch, and a loss below 0 is not left out."""
    found = read(Program(["x"], metrics={key: pattern}), out(f"{text}\n"))
    assert repr(found) == repr({"loss": value})  # NaN is NaN


@pytest.mark.parametrize(
    ("pattern", "text", "whole", "part"),
    [
        ("loss = ([0-9.]+)", "loss = 9.5e-05", "9.5e-05", "9.5"),
        ("loss.*([0-9.]+)", "loss = 0.93", "0.93", "3"),
        ("loss.*?([0-9.]+)", "loss = -0.5", "-0.5", "0.5"),
        (r"loss = (\d+)", "loss = 0.5", "0.5", "0"),
    ],
)
def test_a_part_of_a_number_is_none(pattern: str, text: str, whole: str, part: str) -> None:
    message = rf"^printed {whole} where metric loss stands, of which .* finds '{part}' alone: its group must take"
    with pytest.raises(NoMetricError, match=message):
        read(Program(["x"], metrics={"loss": pattern}), out(f"{text}\n"))


@pytest.mark.parametrize(
    ("key", "pattern", "message"),
    [
        ("loss", r"loss (\d+)", "200000 times.*'0' first and '199999' last.*loss:last=REGEX or loss:first=REGEX"),
        ("loss", r"lost (\d+)", r"^printed no metric loss: nothing matches 'lost"),
        ("loss:last", r"loss 77(\w*e*)$", "no number for metric loss.*finds ''"),
        ("loss:first", r"(loss) 8", "finds 'loss'"),
        ("loss:first", r"loss 8|(never)", "finds nothing"),
    ],
)
def test_what_is_no_result(key: str, pattern: str, message: str) -> None:
    pieces = [LOSSES] if "77" not in pattern else [out("loss 77\n")]
    with pytest.raises(NoMetricError, match=message):
        read(Program(["x"], metrics={key: pattern}), *pieces)


def test_a_file_must_be_of_this_run(tmp_path: Path) -> None:
    program = Program(["x"], metrics_file=str(tmp_path / "m-{seed}.json"))
    path = tmp_path / "m-7.json"
    result = reader(program, ASSIGNMENT)
    with pytest.raises(NoMetricError, match=r"m-7.json was not written by this run$"):
        result.scores()
    path.write_text('{\n"acc": 0.5,\n"test": {"loss": NaN}\n}\n')
    assert str(result.scores()) == "{'acc': 0.5, 'test/loss': nan}"
    result = reader(program, ASSIGNMENT)
    with pytest.raises(NoMetricError, match="not written by this run: what is there is of an earlier time"):
        result.scores()
    os.utime(path, ns=(0, 0))
    result = reader(program, ASSIGNMENT)
    path.write_text(path.read_text().replace("0.5", "0.6"))
    os.utime(path, ns=(0, 0))  # as on a file system whose clock is coarse
    assert result.scores()["acc"] == 0.6


def test_a_jsonl_file_s_last_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"acc": 1}\n')
    result = reader(Program(["x"], metrics_file=str(path)), ASSIGNMENT)
    with path.open("a") as file:
        file.write('{"acc": 2}\n{"acc": 3}\n{"done": true}\n{"acc"')
    assert result.scores() == {"acc": 3.0}


@pytest.mark.parametrize(
    ("name", "content", "message"), [("m.json", "[1]", "no JSON object"), ("m.jsonl", "x\n", "no line")]
)
def test_a_file_without_a_number(name: str, content: str, message: str, tmp_path: Path) -> None:
    result = reader(Program(["x"], metrics_file=str(tmp_path / name)), ASSIGNMENT)
    (tmp_path / name).write_text(content)
    with pytest.raises(NoMetricError, match=f"holds {message}"):
        result.scores()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    result = reader(Program(["x"], metrics_file=str(tmp_path / "m")), ASSIGNMENT)
    (tmp_path / "m").mkdir()
    with pytest.raises(NoMetricError, match="is no file"):
        result.scores()


def test_the_middle_of_a_long_text_is_left_out() -> None:
    transcript = Transcript(reader(PROGRAM, ASSIGNMENT))
    lines = [f"{number:07d}\n".encode() for number in range(500_000)]
    for start in range(0, len(lines), 1000):
        transcript.add(b"".join(lines[start : start + 1000]), standard=bool(start % 2000))
    transcript.end()
    text = transcript.text
    left_out = 8 * len(lines) - KEPT_FIRST - KEPT_LAST
    assert text.startswith("0000000\n0000001\n")
    assert text.endswith("0499998\n0499999\n")
    assert f"\n... {left_out:,} bytes are left out here ...\n" in text
    assert len(text) < KEPT_FIRST + KEPT_LAST + 100


@given(st.lists(st.tuples(st.booleans(), st.text("ab\n\r\0ä").map(str.encode)), max_size=20))
def test_no_line_is_broken_by_another(pieces: list[tuple[bool, bytes]]) -> None:
    transcript = Transcript(reader(PROGRAM, ASSIGNMENT))
    for standard, data in pieces:
        transcript.add(data, standard=standard)
    transcript.end()
    lines = transcript.text.split("\n")
    for stream in (True, False):
        wanted = b"".join(data for standard, data in pieces if standard is stream).decode().replace("\0", "\ufffd")
        found = iter(lines)
        assert all(line in found for line in wanted.split("\n")[: -1 if wanted.endswith("\n") else None] if wanted)


def test_the_end_of_a_text() -> None:
    assert last_lines("".join(f"{number}\n" for number in range(50))).split("\n") == [str(n) for n in range(30, 50)]
    assert last_lines(" 1%\r 2%\r 3%\n") == " 3%"
    assert len(last_lines("x" * 10_000)) < 600
