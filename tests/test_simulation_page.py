"""The simulation page: its script repeats itself, its claims hold in its own figures, and it names every function."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seedbed import stats

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "benchmarks" / "coverage.py"


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("simulation.tables")


def table(heading: str) -> dict[str, dict[str, str]]:
    """The first table under a heading: rows by their first cell, cells by their column, without bold."""
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    lines = re.findall(r"^\|(.+)\|$", section.split("\n#")[0], flags=re.MULTILINE)
    cells = [[cell.strip().strip("*") for cell in line.split(" | ")] for line in lines]
    columns = cells[0]
    first = next((i for i, row in enumerate(cells[2:], 2) if row[0].strip() == ""), len(cells))  # of the next table
    return {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in cells[2:first]}


ROWS = (
    "mean: t, n = 5",
    "mean: studentized, n = 5",
    "two methods: 3 and 3 runs, spread 3 : 1",
    "resampled: 5 splits, 20 of 100 rows tested on",
    "probability: 3 and 3 runs, true probability 0.5",
    "components: 5 × 5, skewed",
    "luck: 3 runs, 50 examples, accuracies' sd 0.04",
    "sequence: mean_sequence, assume normal, 200 looks",
)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_the_same_whenever_it_is_made(tables: ModuleType, name: str) -> None:
    (row,) = (row for row in tables.ROWS if row.name == name)
    found = row.run(60)
    assert row.run(60) == found
    assert row.run(90) != found
    assert all(figure.draws == 60 for figure in found.values())


def test_rows_have_names_of_their_own(tables: ModuleType) -> None:
    names = [row.name for row in tables.ROWS]
    assert len(set(names)) == len(names)


def test_the_script_goes_on_from_its_cache(tmp_path: Path) -> None:
    def made(only: str, page: str) -> str:
        command = [sys.executable, SCRIPT, "--draws", "40", "--only", only, "--cache", tmp_path / "rows.json"]
        done = subprocess.run([*command, "-o", tmp_path / page], capture_output=True, text=True, check=True)
        return done.stderr

    assert "next: Student t, n = 3" in made("next: Student t, n = 3", "first.md")
    made("next: Student t", "second.md")
    assert "n = 3" not in made("next: Student t", "third.md")  # nothing is left to do
    assert (tmp_path / "second.md").read_bytes() == (tmp_path / "third.md").read_bytes()
    kept = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert kept["draws"] == 40
    assert len(kept["rows"]) == 4


def test_what_falls_short_is_bold(tables: ModuleType) -> None:
    figure = importlib.import_module("simulation.rows").Figure
    shown = importlib.import_module("simulation.page")._shown
    assert shown(figure(0.9396, "coverage", 100, 0.95)) == "94.0"  # as it is shown, it is not below 94
    assert shown(figure(0.9394, "coverage", 100, 0.95)) == "**93.9**"
    assert (shown(figure(0.055, "size", 100, 0.05)), shown(figure(0.056, "size", 100, 0.05))) == ("5.5", "**5.6**")
    assert shown(figure(None, "coverage", 100, 0.95)) == "none"
    assert shown(figure(0.95, "coverage", 100, 0.95, given=0.9)) == "95.0 (10.0 none)"


def drawn(heading: str) -> int:
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1].split("\n#")[0]
    found = re.search(r"^([\d,]+) draws a figure", section, flags=re.MULTILINE)
    assert found, f"{heading}: no number of draws is stated"
    return int(found[1].replace(",", ""))


def test_the_default_interval_of_the_mean_covers_normal_data() -> None:
    found = table("Mean of one sample")
    assert drawn("Mean of one sample") >= 40_000
    for n in (3, 5, 10, 20):
        assert 94 <= float(found[f"t, n = {n}"]["normal"]) <= 96


def test_default_tests_keep_their_level_with_equal_numbers_and_spreads() -> None:
    unpaired, pairs = table("Two methods, unpaired"), table("Two methods on shared seeds")
    for heading in ("Two methods, unpaired", "Two methods on shared seeds"):
        assert drawn(heading) >= 40_000
    for n in (3, 5, 10, 20):
        for shape in ("normal", "skewed", "two modes"):
            assert float(unpaired[f"{n} and {n} runs, equal spread"][f"Welch, {shape}"]) <= 5.5
            assert float(unpaired[f"{n} and {n} runs, equal spread"][f"permutation, {shape}"]) <= 5.5
            for correlation in (0, 0.7):
                row = pairs[f"{n} pairs, correlation {correlation}, equal spread"]
                assert float(row[f"paired t, {shape}"]) <= 5.5
                assert float(row[f"sign flips, {shape}"]) <= 5.5


def infers(kind: Any) -> bool:
    """Whether a result of this type holds an interval or a p-value."""
    if kind is stats.Interval:
        return True
    if not dataclasses.is_dataclass(kind):
        return any(infers(argument) for argument in typing.get_args(kind))
    fields = typing.get_type_hints(kind)
    return bool({"low", "p_value", "mean_low"} & set(fields)) or any(infers(each) for each in fields.values())


FUNCTIONS = {name: each for name in stats.__all__ if inspect.isfunction(each := getattr(stats, name))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_page_names_every_function_of_an_interval_or_a_p_value(name: str) -> None:
    function = FUNCTIONS[name]
    if infers(typing.get_type_hints(function)["return"]) or name == "adjust":
        assert f"`{name}`" in PAGE


HEADINGS = {heading.lower() for heading in re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_point_to_headings_of_the_page(name: str) -> None:
    text = " ".join((FUNCTIONS[name].__doc__ or "").split())
    pointers = re.findall(r"Simulated: docs/simulation\.md, ([^.]+)\.", text)
    for pointer in pointers:
        assert all(part.strip() in HEADINGS for part in pointer.split(";"))
    not_simulated = {"best_seed_holdout"}  # its ends are of splits, and no interval
    if infers(typing.get_type_hints(FUNCTIONS[name])["return"]) and name not in not_simulated:
        assert pointers, f"{name} does not say where its simulation stands"
