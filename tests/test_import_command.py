"""``seedbed import`` as a user meets it, and what the other commands say of imported studies."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import seedbed as sb
from seedbed.store import add_scores
from tests.trainings import TRAININGS

SCORES = """seed,method,test_acc,test_loss
0,baseline,0.812,0.52
1,baseline,0.798,0.55
2,baseline,nan,nan
0,dropout,0.823,0.50
1,dropout,0.811,0.51
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text(SCORES)
    return tmp_path


def test_a_table_becomes_a_study_a_group(seedbed) -> None:
    status, out, err = seedbed("import scores.csv")
    assert status == 0
    assert [line.split("\t") for line in out.splitlines()] == [
        ["study", "runs", "added", "diverged", "test_acc, mean ± sd", "test_loss, mean ± sd"],
        ["baseline", "3", "3", "1", "0.8050 ± 0.0099", "0.5350 ± 0.0212"],
        ["dropout", "2", "2", "0", "0.8170 ± 0.00849", "0.5050 ± 0.00707"],
    ]
    assert err.splitlines() == [
        "scores.csv: 5 rows; a row is a run",
        "seeds: column 'seed' (guessed)",
        "groups: column 'method' (guessed): baseline (3 runs), dropout (2 runs)",
        "scores: guessed columns 'test_acc' (larger is better, guessed from its name), "
        "'test_loss' (smaller is better, guessed from its name)",
        "diverged, since a score is NaN, infinite or absent: baseline (1)",
    ]
    study = sb.load("baseline")
    assert study.identity == sb.Study.from_scores(sb.read_scores("scores.csv"))["baseline"].identity
    assert study["test_acc"].tolist()[:2] == [0.812, 0.798]
    assert (study.summary().n, study.summary().n_diverged) == (2, 1)
    with pytest.raises(sb.InputError, match="baseline has no curves: its scores were imported"):
        study.curves("test_acc")


def test_importing_again_adds_what_is_new_and_says_so(seedbed, folder: Path) -> None:
    seedbed("import scores.csv")
    status, out, err = seedbed("import scores.csv")
    assert status == 0
    assert [line.split("\t")[2] for line in out.splitlines()] == ["added", "0", "0"]
    assert err.endswith("nothing new: every run is in seedbed.db already\n")
    (folder / "more.csv").write_text("test_acc,test_loss,seed,method\n0.79,0.6,7,baseline\n0.812,0.52,0,baseline\n")
    status, out, err = seedbed("import more.csv")
    assert out.splitlines()[1].split("\t")[:3] == ["baseline", "2", "1"]
    assert "nothing new" not in err
    assert [run.assignment.seed for run in sb.load("baseline").runs] == [0, 1, 2, 7]
    assert "baseline: 4 runs imported from more.csv, scores.csv\n" in seedbed("show baseline")[1]


def test_another_value_of_a_stored_run_is_refused_and_nothing_is_stored(seedbed, folder: Path) -> None:
    seedbed("import scores.csv")
    (folder / "scores.csv").write_text(SCORES.replace("0.811", "0.911") + "9,baseline,0.8,0.5\n")
    status, out, err = seedbed("import scores.csv")
    assert (status, out) == (2, "")
    assert "the study 'dropout' holds other values:\n  seed 1, test_acc: 0.811 stored, 0.911 now\n" in err
    assert "--name" in err
    assert "seedbed delete dropout" in err
    assert len(sb.load("baseline")) == 3  # of one file all studies are stored, or none
    assert seedbed("import scores.csv --name again")[0] == 0
    assert [each.name for each in sb.studies()] == ["baseline", "dropout", "again/baseline", "again/dropout"]


@pytest.mark.parametrize(
    ("second", "line"),
    [
        ("seed,method,test_acc\n3,dropout,0.8\n", "score test_loss: smaller is better stored, absent now"),
        ("method,test_acc,test_loss\ndropout,0.8,0.5\n", "seeds: known stored, unknown now"),
    ],
)
def test_what_is_imported_must_be_of_one_kind(second: str, line: str, seedbed, folder: Path) -> None:
    seedbed("import scores.csv")
    (folder / "second.csv").write_text(second)
    status, _, err = seedbed("import second.csv")
    assert status == 2
    assert f"the study 'dropout' holds other scores:\n  {line}\n" in err
    assert len(sb.load("dropout")) == 2


def test_a_direction_that_is_told_takes_the_place_of_a_guess(seedbed, folder: Path) -> None:
    (folder / "a.csv").write_text("seed,gap\n0,0.1\n")
    seedbed("import a.csv")
    assert sb.load("a").identity.guessed_directions == ("gap",)
    assert seedbed("import a.csv --smaller-is-better")[0] == 0
    told = sb.load("a").identity
    assert (told.larger_is_better, told.guessed_directions) == ({"gap": False}, ())
    (folder / "a.csv").write_text("seed,gap\n0,0.1\n1,0.2\n")
    assert seedbed("import a.csv")[0] == 0  # a guess gives way to what was told
    assert sb.load("a").identity == told
    status, _, err = seedbed("import a.csv --larger-is-better")
    assert status == 2
    assert "score gap: smaller is better stored, larger is better now" in err


def test_computed_and_imported_runs_do_not_mix(seedbed, folder: Path) -> None:
    sb.run(TRAININGS["sgd"].experiment(), range(2), name="baseline", workers=0, engine="reference")
    status, _, err = seedbed("import scores.csv")
    assert status == 2
    assert "the runs of the study 'baseline' were computed by the reference engine: no score can be imported" in err
    assert [each.name for each in sb.studies()] == ["baseline"]
    seedbed("import scores.csv --name old")
    for engine in ("auto", "reference"):
        with pytest.raises(sb.IdentityError, match="the study 'old/dropout' holds imported scores: no run can be comp"):
            sb.run(TRAININGS["sgd"].experiment(), range(9), name="old/dropout", workers=0, engine=engine)
    assert len(sb.load("old/dropout")) == 2
    with pytest.raises(sb.InputError, match="was computed, not imported"):
        add_scores([sb.load("baseline")], "other.db")


def test_json_is_all_that_is_printed(seedbed) -> None:
    status, out, err = seedbed("import scores.csv --json --metric test_acc")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["said"][0] == "scores.csv: 5 rows; a row is a run"
    assert told["studies"][0] == {
        "study": "baseline",
        "runs": 3,
        "added": 3,
        "diverged": 1,
        "seeds_known": True,
        "scores": {
            "test_acc": {
                "mean": sb.load("baseline").summary().mean,
                "sd": sb.load("baseline").summary().sd,
                "larger_is_better": True,
                "direction_guessed": True,
            }
        },
    }


def test_show_does_not_say_what_is_not_known(seedbed, folder: Path) -> None:
    seedbed("import scores.csv")
    status, out, _ = seedbed("show baseline --lines")
    assert status == 0
    assert "seed =    0 | test_acc = 0.8120 | test_loss = 0.5200\n" in out
    assert "seed =    2 | test_acc = nan | test_loss = nan  diverged\n" in out
    assert "\nbaseline: 3 runs imported from scores.csv\n" in out
    assert "n = 2 converged runs; 1 diverged, counted apart." in out
    assert "Varied: the seed. Fixed: whatever the imported runs had in common (not known here)." in out
    told = json.loads(seedbed("show baseline --json")[1])
    assert (told["engine"], told["seeds_known"], told["settings"]["seeds"]) == ("imported", True, "known")
    assert told["summary"]["test_acc"]["scope"]["fixed"] == ["whatever the imported runs had in common"]
    line = next(each for each in seedbed("studies")[1].splitlines() if each.startswith("baseline"))
    assert line.split("\t")[1:6] == ["3", "1", "0", "imported", "-"]
    (folder / "numbered.csv").write_text("acc\n0.5\n0.7\n")
    seedbed("import numbered.csv")
    out = seedbed("show numbered --lines")[1]
    assert "run =    1 | acc = 0.7000\n" in out
    assert "0.7000 (run 1)" in out
    assert "Varied: the run (seeds are not known)." in out
    assert json.loads(seedbed("show numbered --json")[1])["summary"]["acc"]["minimum_at"] == ["run=0"]


def test_what_is_exported_is_imported_again(seedbed, folder: Path) -> None:
    (folder / "numbered.csv").write_text("acc\n0.5\n0.7\n")
    (folder / "roles.csv").write_text("init,order,acc\n0,1,0.5\n1,1,0.7\n")
    for name, known in (("baseline", True), ("numbered", False), ("roles", True)):
        seedbed(f"import {'scores' if name == 'baseline' else name}.csv")
        status, out, _ = seedbed(f"export {name}")
        assert status == 0
        assert all(row["wall_seconds"] == "" for row in csv.DictReader(io.StringIO(out)))
        (folder / f"again-{name}.csv").write_text(out)
        assert seedbed(f"import again-{name}.csv")[0] == 0
        again, before = sb.load(f"again-{name}"), sb.load(name)
        assert (again.seeds_known, again.assignments) == (known, before.assignments)
        assert [repr(run.scores) for run in again.runs] == [repr(run.scores) for run in before.runs]
    status, _, err = seedbed("export baseline --weights kept")
    assert status == 2
    assert "baseline has no weights: its scores were imported" in err


def test_an_export_of_computed_runs_is_imported_with_its_failures_left_out(seedbed, folder: Path) -> None:
    sb.run(TRAININGS["sgd"].experiment(), range(3), workers=0, engine="reference")
    out = seedbed("export trained")[1]
    blank = "," * (out.splitlines()[0].count(",") - 5)
    (folder / "elsewhere.csv").write_text(out + f"3,3,3,3,0,failed{blank}\n")
    status, _, err = seedbed("import elsewhere.csv")
    assert status == 0
    assert "left out: 1 run that failed" in err
    assert "not read: 'init', 'order', 'noise', 'wall_seconds', 'weights_hash', 'mixed'" in err
    study = sb.load("elsewhere")
    assert study["test/loss"].tolist() == sb.load("trained")["test/loss"].tolist()
    assert study.identity.larger_is_better == sb.load("trained").identity.larger_is_better


def test_an_imported_study_is_deleted(seedbed) -> None:
    seedbed("import scores.csv")
    status, _, err = seedbed("delete baseline --yes")
    assert (status, err) == (0, "baseline deleted, with 3 runs\n")
    assert [each.name for each in sb.studies()] == ["dropout"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import none.csv", "none.csv cannot be read"),
        ("import scores.csv --metric test_ac", "no column 'test_ac': did you mean 'test_acc'"),
        ("import bad.csv", "bad.csv, line 2, column 'acc': '0.9x' is not a number"),
        ("import scores.csv --name ''", "a study's name must be printable and not empty"),
        ("import scores.csv --form tall", "Invalid value for '--form'"),
        ("import", "Missing argument 'FILE'"),
    ],
)
def test_bad_input_writes_nothing(line: str, message: str, seedbed, folder: Path) -> None:
    (folder / "bad.csv").write_text("seed,acc\n0,0.9x\n")
    status, out, err = seedbed(line)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (folder / "seedbed.db").exists()


def test_studies_made_in_python_are_stored(store: Path) -> None:
    studies = sb.Study.from_scores({"A": [0.1, None], "B": [0.2]}, name="mine")
    assert add_scores(list(studies.values()), store) == [2, 1]
    loaded = sb.load("mine/A", store)
    assert loaded.identity == studies["A"].identity
    assert [run.status.value for run in loaded.runs] == ["done", "diverged"]
    assert add_scores([loaded], store) == [0]
