"""Scores that exist already: given as lists, and read from tables in every form; what is bad is told with its place."""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seedbed as sb
from seedbed.records import Status
from seedbed.scores import Scores, as_scores, read_scores
from seedbed.seeds import Assignment

LONG = "seed,method,test_acc\n0,A,0.8\n1,A,0.7\n0,B,0.6\n1,B,0.5\n"


@pytest.fixture
def read(tmp_path: Path):
    """Read scores from text, as a file of that suffix."""

    def call(text: str | bytes, suffix: str = ".csv", **columns) -> Scores:
        path = tmp_path / f"scores{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_scores(path, **columns)

    return call


def plain(scores: Scores) -> dict[str, dict[str, dict[str, float]]]:
    """Group to run to metric to value, as text where NaN must equal NaN."""
    return {
        name: {a.key: {m: repr(v) for m, v in each.items()} for a, each in zip(g.assignments, g.scores, strict=True)}
        for name, g in scores.groups.items()
    }


def test_long_form_is_a_run_a_row_and_says_what_was_guessed(read) -> None:
    found = read(LONG)
    assert plain(found) == {
        "A": {"seed=0": {"test_acc": "0.8"}, "seed=1": {"test_acc": "0.7"}},
        "B": {"seed=0": {"test_acc": "0.6"}, "seed=1": {"test_acc": "0.5"}},
    }
    assert (found.metrics, found.larger_is_better, found.guessed) == (("test_acc",), {"test_acc": True}, ("test_acc",))
    assert (found.seed_column, found.group_column, found.source) == ("seed", "method", "scores.csv")
    assert found.seeds_known
    assert found.grouped
    assert found.said == (
        "scores.csv: 4 rows; a row is a run",
        "seeds: column 'seed' (guessed)",
        "groups: column 'method' (guessed): A, B (2 runs each)",
        "scores: guessed column 'test_acc' (larger is better, guessed from its name)",
    )
    np.testing.assert_array_equal(found.groups["A"].values("test_acc"), [0.8, 0.7])


def test_what_is_told_is_not_said_to_be_guessed(read) -> None:
    text = "s,lr,loss,acc\n0,0.1,1.5,0.8\n0,0.2,1.4,0.9\n"
    found = read(text, seed="s", group="lr", metric=["loss"], larger_is_better=True)
    assert list(found.groups) == ["0.1", "0.2"]
    assert found.larger_is_better == {"loss": True}
    assert found.said[1:] == (
        "seeds: column 's'",
        "groups: column 'lr': 0.1, 0.2 (1 run each)",
        "scores: column 'loss' (larger is better)",
        "not read: 'acc'",
    )


def test_the_metrics_stand_in_the_order_in_which_they_are_asked_for(read) -> None:
    text = "seed,loss,acc\n0,1.5,0.8\n"
    assert read(text).metrics == ("loss", "acc")
    assert read(text, metric=("acc", "loss", "acc")).metrics == ("acc", "loss")


def test_a_score_a_row_is_gathered_into_runs(read) -> None:
    text = "seed,method,metric,value\n0,A,acc,0.8\n0,A,loss,1\n1,A,acc,0.7\n0,B,acc,\n"
    assert plain(read(text)) == {
        "A": {"seed=0": {"acc": "0.8", "loss": "1.0"}, "seed=1": {"acc": "0.7"}},
        "B": {"seed=0": {"acc": "nan"}},
    }
    assert read(text, metric="loss").metrics == ("loss",)
    with pytest.raises(sb.InputError, match="no metric 'los': did you mean 'loss'"):
        read(text, metric="los")
    with pytest.raises(sb.InputError, match="line 2, column 'metric': a score has no name"):
        read("seed,metric,value\n0,,0.8\n1,acc,0.7\n2,acc,0.7\n")


@pytest.mark.parametrize(("text", "seeds"), [("seed,A,B\n5,.8,.7\n6,.9,\n", (5, 6)), ("A,B\n.8,.7\n.9,\n", (0, 1))])
def test_wide_form_has_a_column_a_group_and_no_run_where_a_cell_is_empty(text: str, seeds: tuple, read) -> None:
    found = read(text)
    assert plain(found) == {
        "A": {f"seed={seeds[0]}": {"score": "0.8"}, f"seed={seeds[1]}": {"score": "0.9"}},
        "B": {f"seed={seeds[0]}": {"score": "0.7"}},
    }
    assert found.seeds_known is (seeds[0] == 5)
    assert "a row is a seed, and each column of numbers a group (guessed; " in found.said[0]
    assert "no run where a cell is empty: B (1)" in found.said
    assert ("not paired" in " ".join(found.said)) is not found.seeds_known


def test_the_form_can_be_forced(read) -> None:
    text = "seed,SGD,Adam\n0,.8,.7\n1,.9,.6\n"
    assert list(read(text).groups) == ["SGD", "Adam"]
    long = read(text, form="long")
    assert (list(long.groups), long.metrics, long.grouped) == (["scores"], ("SGD", "Adam"), False)
    named = read("seed,acc_a,acc_b\n0,.8,.7\n", form="wide", metric="test_loss")
    assert (list(named.groups), named.metrics) == (["acc_a", "acc_b"], ("test_loss",))
    assert "guessed" not in named.said[0]
    with pytest.raises(sb.InputError, match="with --form wide it names what the cells hold"):
        read(text, metric="test_acc")
    with pytest.raises(sb.InputError, match="form must be one of long, wide"):
        read(text, form="tall")
    with pytest.raises(sb.InputError, match="no column of numbers is left for groups"):
        read("seed,name\n0,x\n", form="wide")
    with pytest.raises(sb.InputError, match="hold one score, and 2 are named"):
        read(text, form="wide", metric=["a", "b"])
    with pytest.raises(sb.InputError, match="the other columns are seeds"):
        read(LONG, form="wide", group="method")


@pytest.mark.parametrize("header", ["seed_3,seed_4", "3,4", "s3,s4", "Seed 3,Seed 4", "run_3,run_4"])
def test_a_group_a_row_has_its_seeds_in_the_names_of_the_columns(header: str, read) -> None:
    found = read(f"method,{header},mean\nA,.8,.7,.75\nB,.9,,.9\n")
    known = "run" not in header
    first, second = ("seed=3", "seed=4") if known else ("seed=0", "seed=1")
    assert plain(found) == {"A": {first: {"score": "0.8"}, second: {"score": "0.7"}}, "B": {first: {"score": "0.9"}}}
    assert found.seeds_known is known
    assert "not read: 'mean'" in found.said


def test_a_group_a_row_must_be_one_row(read) -> None:
    with pytest.raises(sb.InputError, match="line 3, column 'method': a row is a group, and 'A' stands above already"):
        read("method,0,1\nA,1,2\nA,3,4\n")
    with pytest.raises(sb.InputError, match=r"line 3.*there is no column of groups"):
        read("0,1\n1,2\n3,4\n")
    assert list(read("0,1\n1,2\n").groups) == ["scores"]


def test_without_seeds_runs_are_numbered_and_known_to_be_so(read) -> None:
    found = read("method,acc\nA,0.8\nB,0.7\nA,0.6\n")
    assert [a.seed for a in found.groups["A"].assignments] == [0, 1]
    assert not found.seeds_known
    assert found.said[1] == "seeds: no column of seeds; runs are numbered, and not paired with those of other groups"
    assert read("run,method,acc\n0,A,0.8\n", seed="run").seeds_known  # not guessed: run 0 of two groups is no pair


def test_roles_and_splits_have_columns_of_their_own(read) -> None:
    found = read("init,order,split_seed,acc\n0,1,2,0.8\n3,1,2,0.7\n")
    assert found.groups["scores"].assignments == (
        Assignment.roles(init=0, order=1, split=2),
        Assignment.roles(init=3, order=1, split=2),
    )
    assert found.seeds_known
    found = read("seed,split,acc\n0,0,0.8\n0,1,0.7\n")
    assert found.groups["scores"].assignments == (Assignment.plain(0), Assignment.plain(0, 1))
    # Words are no seeds, and a split alone tells no runs apart.
    assert read("seed,init,acc\n0,he,0.8\n1,xavier,0.9\n").groups["scores"].assignments[1] == Assignment.plain(1)
    assert not read("split,acc\n0,0.8\n0,0.9\n").seeds_known


@pytest.mark.parametrize("word", ["", "nan", "NaN", "n/a", "NA", "none", "null", "-", "inf", "-Infinity"])
def test_a_run_without_a_number_is_a_diverged_one(word: str, read) -> None:
    found = read(f"seed,acc\n0,{word}\n1,0.8\n")
    assert found.groups["scores"].diverged.tolist() == [True, False]
    assert "diverged, since a score is NaN, infinite or absent: scores (1)" in found.said


def test_a_metric_that_a_run_does_not_report_does_not_make_it_diverged(read) -> None:
    found = read("seed,acc,f1\n0,0.8,\n1,0.7,0.6\n2,0.7,nan\n3,,\n").groups["scores"]
    assert found.diverged.tolist() == [False, False, True, True]
    assert dict(found.scores[0]) == {"acc": 0.8}
    assert np.isnan(found.values("f1")).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("\ufeff" + LONG, ".csv"),
        (LONG.replace(",", ";"), ".csv"),
        (LONG.replace(",", "\t"), ".tsv"),
        (LONG.replace(",", " , ").replace("\n", "\r\n"), ".csv"),
        (LONG.replace("\n", ",\n"), ".csv"),  # a comma at the end of each line
        (LONG.replace("A", '"A"').replace("\n", "\n\n"), ".CSV"),
        ('"seed";"method";"test_acc"\n' + LONG.partition("\n")[2].replace(",", ";"), ".csv"),
    ],
)
def test_every_dialect_of_csv_reads_alike(text: str, suffix: str, read) -> None:
    assert plain(read(text, suffix)) == plain(read(LONG))


def records() -> list[dict]:
    return [
        {**row, "seed": int(row["seed"]), "test_acc": float(row["test_acc"])}
        for row in csv.DictReader(io.StringIO(LONG))
    ]


def test_json_reads_as_csv_does(read) -> None:
    lines = "\n".join(map(json.dumps, records()))
    assert plain(read(lines, ".jsonl")) == plain(read(json.dumps(records()), ".json")) == plain(read(LONG))
    found = read(
        '{"seed": 0, "acc": NaN}\n\n{"seed": 1}\n{"acc": 0.123456789012345678, "seed": 2, "x": null}', ".ndjson"
    )
    assert found.groups["scores"].diverged.tolist() == [True, True, False]
    assert found.groups["scores"].scores[2]["acc"] == 0.123456789012345678


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow: pip install 'seedbed[parquet]'")
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "scores.parquet"
    columns = {name: [row[name] for row in records()] for name in records()[0]}
    parquet.write_table(pyarrow.table({**columns, "__index_level_0__": [0, 1, 2, 3]}), path)
    assert [plain(read_scores(path))[g] for g in "AB"] == [
        {f"seed={s}": {"test_acc": repr(v)} for s, v in enumerate(values)} for values in ([0.8, 0.7], [0.6, 0.5])
    ]
    path.write_bytes(b"no parquet")
    with pytest.raises(sb.InputError, match="is no Parquet file, or is damaged"):
        read_scores(path)


def test_parquet_without_its_library_says_what_to_install(read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(sb.InputError, match=r"needs pyarrow: pip install 'seedbed\[parquet\]'"):
        read(b"PAR1", ".parquet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "scores.csv is empty"),
        (" \n\n", "scores.csv is empty"),
        (",,\n", "scores.csv has a header and no rows"),
        ("seed,acc\n", "scores.csv has a header and no rows"),
        ("seed,acc\n0,0.8\n1,0.9x\n", "scores.csv, line 3, column 'acc': '0.9x' is not a number"),
        ("seed,acc\n0,0.8\n1,diverged\n2,diverged\n", "line 3, column 'acc': 'diverged' is not a number"),
        ("seed,acc\n0,1_0\n", "line 2, column 'acc': '1_0' is not a number"),
        ("seed,acc\n0,81.5%\n", "line 2, column 'acc': '81.5%' has a percent sign: leave it out, or write the share"),
        ("seed;acc\n0;0,85\n", "line 2, column 'acc': '0,85' has a comma: write numbers with a decimal point"),
        ("seed,acc\n0,0,85\n", "line 2: 3 cells under a header of 2 columns; a cell with a comma stands in quotes"),
        ("seed,acc\n0,0.8\n\n1\n", "line 4: 1 cells under a header of 2 columns"),
        ("seed,acc\n1.5,0.8\n", "line 2, column 'seed': '1.5' is no seed: a seed is a whole number"),
        ("seed,acc\n-1,0.8\n", "line 2, column 'seed': '-1' is no seed"),
        ("seed,acc\n0,0.8\n4294967296,0.8\n", "line 3, column 'seed': seed must be a whole number from 0"),
        ("seed,acc\n0,0.8\n,0.8\n", "line 3, column 'seed': a run has no seed"),
        ("seed,method,acc\n0,A,0.8\n1,,0.8\n", "line 3, column 'method': a run has no group"),
        ("seed,acc\n0,0.8\n1,0.7\n0,0.9\n", "line 4, column 'seed': seed 0 is there twice: acc is 0.8 in line 2 and"),
        ("seed,method,acc\n0,A,0.8\n0,A,0.9\n", "seed 0 is there twice in 'A'"),
        ("seed,method,data,acc\n0,A,x,0.8\n0,A,y,0.9\n", "they differ in 'data': leave the others' rows out"),
        ("seed,lr,acc\n0,1,0.8\n0,2,0.9\n", "they differ in 'lr': name what tells groups with --group"),
        ("seed,A,B\n0,1,2\n0,3,4\n", "seed 0 is there twice in 'A': score is 1 in line 2 and 3 in line 3"),
        ("init,order,acc\n0,1,0.8\n0,1,0.9\n", "seed init=0 order=1 noise=0 is there twice"),
        ("seed,acc,acc\n0,0.8,0.8\n", "scores.csv has two columns 'acc': which one is meant?"),
        ("seed,name\n0,x\n", "no column of numbers is left for scores among 'seed', 'name': name one with --metric"),
        ("seed,x,y,acc\n0,a,b,1\n1,a,d,1\n2,c,d,1\n", "which column tells the groups? Name one of 'x', 'y' with"),
        ('seed,acc\n0,"0.8\n', "line 2: it is no valid CSV"),
        ("seed,method,acc\n0,A\x07,0.8\n", "line 2, column 'method': a group's name must be printable"),
        (b"seed,acc\n0,\xff\n", "line 2: it is not text in UTF-8"),
        ("seed,acc\n0,1\n".encode("utf-16"), "is text in UTF-16: save it as UTF-8"),
    ],
)  # fmt: skip
def test_bad_input_is_told_with_file_line_and_column(text: str | bytes, message: str, read) -> None:
    with pytest.raises(sb.InputError) as told:
        read(text)
    assert message in str(told.value)
    assert "scores.csv" in str(told.value)


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ('{"seed": 0, "acc": 0.8\n', ".jsonl", "scores.jsonl, line 1: it is no valid JSON"),
        ('{"seed": 0}\n[1]', ".jsonl", "line 2: a row is an object of names and values, got a list"),
        ('{"seed": 0, "acc": 1}\n{"seed": 1, "acc": [1]}', ".jsonl", "line 2, column 'acc': '["),
        ('[{"seed": 0, "acc": 1}, {"seed": 1, "acc": true}]', ".json", "row 2, column 'acc': 'true' is not a number"),
        ('[{"seed": 0, "acc": 1}, {"seed": 0.5, "acc": 1}]', ".json", "row 2, column 'seed': '0.5' is no seed"),
        ('{"A": [1, 2]}', ".json", "scores.json must be a list of objects, one a run; got an object"),
        ("[]", ".json", "holds no rows"),
        ("seed,acc\n", ".txt", "is told by the end of its name, one of .csv, .tsv, .jsonl"),
    ],
)
def test_bad_json_is_told_likewise(text: str, suffix: str, message: str, read) -> None:
    with pytest.raises(sb.InputError) as told:
        read(text, suffix)
    assert message in str(told.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(sb.InputError, match=r"none\.csv cannot be read: No such file"):
        read_scores(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(sb.InputError, match=r"folder\.csv is a folder"):
        read_scores(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"seed": "sed"}, "no column 'sed': did you mean 'seed'?"),
        ({"metric": "Test_Acc"}, "no column 'Test_Acc': did you mean 'test_acc'?"),
        ({"group": "zzz"}, "no column 'zzz': it has 'seed', 'method', 'test_acc'"),
        ({"metric": "seed", "seed": "seed"}, "the column 'seed' holds seeds"),
        ({"metric": "method", "group": "method"}, "the column 'method' holds groups"),
        ({"seed": "seed", "group": "seed"}, "cannot hold both seeds and groups"),
        ({"metric": "method"}, "line 2, column 'method': 'A' is not a number"),
        ({"larger_is_better": {"acc": True}}, "names 'acc', which is no metric here; there are test_acc"),
        ({"larger_is_better": "no"}, "larger_is_better must be True or False, got 'no'"),
    ],
)
def test_columns_that_are_named_must_be_there(columns: dict, message: str, read) -> None:
    with pytest.raises(sb.InputError) as told:
        read(LONG, **columns)
    assert message in str(told.value)


NAMES = st.text(st.sampled_from("abcxyzABC"), min_size=1, max_size=5).map("n_{}".format)
VALUES = st.floats(allow_infinity=True, allow_nan=True)


@st.composite
def tables(draw, metrics: st.SearchStrategy) -> dict[str, dict[int, dict[str, float]]]:
    """Group to seed to metric to value."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    chosen = draw(metrics)
    return {
        name: {
            seed: {metric: draw(VALUES) for metric in chosen}
            for seed in draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True))
        }
        for name in names
    }


def expected(table: Mapping[str, Mapping[int, Mapping[str, float]]]) -> dict:
    return {
        name: {f"seed={seed}": {m: repr(float(v)) for m, v in run.items()} for seed, run in runs.items()}
        for name, runs in table.items()
    }


def round_trip(rows: list[list], **columns) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return plain(read_scores(path, **columns))


@given(tables(st.lists(NAMES.map("m{}".format), min_size=1, max_size=3, unique=True)))
def test_what_is_written_in_long_form_is_read(table: dict) -> None:
    metrics = list(next(iter(next(iter(table.values())).values())))
    rows = [[seed, name, *run.values()] for name, runs in table.items() for seed, run in runs.items()]
    found = round_trip([["seed", "method", *metrics], *rows], seed="seed", group="method", metric=metrics)
    assert found == expected(table)
    cells = [[seed, name, m, v] for name, runs in table.items() for seed, run in runs.items() for m, v in run.items()]
    assert round_trip([["seed", "method", "metric", "value"], *cells], group="method") == expected(table)


@given(tables(st.just(["score"])))
def test_what_is_written_in_wide_form_is_read(table: dict) -> None:
    seeds = sorted({seed for runs in table.values() for seed in runs})

    def cell(name: str, seed: int) -> float | str:
        return table[name][seed]["score"] if seed in table[name] else ""

    down = [["seed", *table], *([seed, *(cell(name, seed) for name in table)] for seed in seeds)]
    across = [["method", *(f"seed_{s}" for s in seeds)], *([n, *(cell(n, s) for s in seeds)] for n in table)]
    by_seed = round_trip(down, form="wide")
    by_group = round_trip(across, form="wide", group="method")
    assert by_seed == by_group == {n: dict(sorted(r.items(), key=order)) for n, r in expected(table).items()}


def order(item: tuple[str, object]) -> int:
    return int(item[0].removeprefix("seed="))


def test_lists_become_a_study_a_group() -> None:
    studies = sb.Study.from_scores({"A": [0.81, 0.79, 0.8], "B": np.array([0.84, math.nan, 0.8])}, seeds=range(3))
    study = studies["B"]
    assert list(studies) == ["A", "B"]
    assert (study.name, len(study), study.scores, study.identity.engine) == ("B", 3, ("score",), "imported")
    assert [run.status for run in study.runs] == [Status.DONE, Status.DIVERGED, Status.DONE]
    assert study.summary().mean == pytest.approx(0.82)
    assert (study.summary().n, study.summary().n_diverged) == (2, 1)
    assert study.summary().scope.fixed == ("whatever the imported runs had in common",)
    assert study.extremes() == ((Assignment.plain(2),), (Assignment.plain(0),))
    assert [run.assignment.seed for run in study.select([2, 0]).runs] == [2, 0]
    assert len(study.filter(seeds="0:2")) == 2
    assert study.seeds_known
    assert study.identity.guessed_directions == ("score",)
    assert study.to_pandas()["score"].tolist()[0] == 0.84
    assert study.rows()[0]["wall_seconds"] is None
    assert pickle.loads(pickle.dumps(studies["A"])).rows() == studies["A"].rows()


def test_several_metrics_names_and_directions_in_python() -> None:
    lists = {"A": {"acc": [0.8, 0.7], "loss": [1, None]}}
    study = sb.Study.from_scores(lists, seeds={"A": "5,3"}, name="paper", larger_is_better={"acc": True})["A"]
    assert study.name == "paper/A"
    assert study.identity.larger_is_better == {"acc": True, "loss": False}
    assert study.identity.guessed_directions == ("loss",)
    assert [run.assignment.seed for run in study.runs] == [5, 3]
    assert dict(study.run(3).scores) == {"acc": 0.7}
    assert study["loss"].tolist()[0] == 1.0
    roles = sb.Study.from_scores({"A": [1.0, 2.0]}, seeds=sb.grid(init="0:2"), metric="reward")["A"]
    assert (roles.scores, roles.runs[1].assignment.init) == (("reward",), 1)


def test_runs_without_seeds_are_known_to_be_numbered() -> None:
    study = sb.Study.from_scores({"A": [0.5], "B": [0.5, 0.6]})["A"]
    assert not study.seeds_known
    assert not study.identity.seeds_known
    assert study.rows()[0]["seed"] is None
    assert study.summary().n == 1


def test_a_file_becomes_studies(read) -> None:
    scores = read(LONG)
    studies = sb.Study.from_scores(scores, name="x")
    assert [each.name for each in studies.values()] == ["x/A", "x/B"]
    alone = read("seed,acc\n0,1\n")
    assert [[e.name for e in sb.Study.from_scores(alone, name=n).values()] for n in (None, "x")] == [["scores"], ["x"]]
    assert next(iter(studies["A"].environments.values())).identity == {"imported_from": "scores.csv"}
    with pytest.raises(sb.InputError, match="give them to read_scores"):
        sb.Study.from_scores(scores, seeds=range(2))


@pytest.mark.parametrize(
    "ask",
    [
        lambda study: study.curves("score"),
        lambda study: study.predictions("test"),
        lambda study: study.correct("test"),
        lambda study: study.targets("test"),
        lambda study: study.weights(0),
    ],
)
def test_imported_scores_have_nothing_else(ask) -> None:
    study = sb.Study.from_scores({"A": [0.5, 0.6]}, seeds=range(2))["A"]
    with pytest.raises(sb.InputError, match=r"A has no .*: its scores were imported, and hold nothing else"):
        ask(study)


@pytest.mark.parametrize(
    ("given_scores", "seeds", "message"),
    [
        ({}, None, "scores are given by group"),
        ([0.5, 0.6], None, "scores are given by group"),
        ({"A": []}, None, "the group 'A' has no scores: its list is empty"),
        ({"A": {}}, None, "the group 'A' has no scores"),
        ({"A": 0.5}, None, "the scores of 'A' must be a list of numbers, got 0.5"),
        ({"A": "0.5"}, None, "must be a list of numbers"),
        ({"A": [0.5, "0.6"]}, None, "score 1 of 'A' (score) must be a number, got '0.6'"),
        ({"A": [True]}, None, "must be a number, got True"),
        ({"A": np.zeros((2, 2))}, None, "score 0 of 'A' (score) must be a number"),
        ({"A": {"x": [1, 2], "y": [1]}}, None, "metrics of unequal length: 2 of 'x', 1 of 'y'"),
        ({"A": [1, 2], "B": [1]}, range(2), "the group 'B' has 1 runs and 2 seeds: unequal lengths"),
        ({"A": [1, 2]}, [3, 3], "seed 3 is given twice for the group 'A', at places 0 and 1"),
        ({"A": [1]}, [-1], "seed must be a whole number from 0"),
        ({"A": [1]}, 5, "seeds must be one for each run, such as range(1), got 5"),
        ({"A": [1], "B": [1]}, {"A": [0]}, "no seeds are given for the group 'B'; there are seeds of A"),
        ({"": [1]}, None, "a group's name must be printable and not empty, got ''"),
        ({5: [1]}, None, "a group's name must be printable and not empty, got 5"),
        ({"A": {"": [1]}}, None, "a metric's name must be printable and not empty"),
    ],
)  # fmt: skip
def test_bad_lists_are_told(given_scores, seeds, message: str) -> None:
    with pytest.raises(sb.InputError) as told:
        as_scores(given_scores, seeds)
    assert message in str(told.value)
    with pytest.raises(sb.InputError):
        sb.Study.from_scores(given_scores, seeds)


def test_a_bad_prefix_is_told() -> None:
    with pytest.raises(sb.InputError, match="a study's name must be printable and not empty"):
        sb.Study.from_scores({"A": [1]}, name=" ")
