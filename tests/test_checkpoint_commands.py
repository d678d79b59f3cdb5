"""``--at`` as a user meets it, on curves that runs recorded; and what the scores of an earlier epoch are."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed.words import text


def small(epochs: int = 6, lr: float = 0.5) -> sb.Experiment:
    drawn = torch.Generator().manual_seed(0)

    def rows(count: int) -> TensorDataset:
        x = torch.randn(count, 4, generator=drawn)
        return TensorDataset(x, (x.prod(1) + torch.randn(count, generator=drawn) > 0).long())

    train = rows(30)
    return sb.Experiment(
        name="small",
        model=lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2)),
        loss=nn.CrossEntropyLoss(),
        data=sb.Data(train=train, evaluate={"train": train, "val": rows(30), "test": rows(30)}),
        optimizer=functools.partial(torch.optim.SGD, lr=lr),
        batch_size=10,
        epochs=epochs,
        metrics={"accuracy": sb.metrics.accuracy},
    )


@sb.trial
def logging(seed: int, trial: sb.Recorder) -> dict[str, float]:
    for epoch in (1, 2, 3):
        trial.log(epoch, {"val/loss": (epoch - 2 + seed / 10) ** 2, "test/accuracy": epoch / 4})
    return {"test/accuracy": 0.75, "val/loss": (1 + seed / 10) ** 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints")
    options: dict[str, Any] = {"store": path / "seedbed.db", "workers": 0, "engine": "reference"}
    sb.run(small(), range(6), name="all", curves=1, **options)
    sb.run(small(), sb.grid(init=range(2), order=range(2)), name="all", **options)  # without curves
    sb.run(small(lr=0.1), range(6), name="slower", curves=1, **options)
    sb.run(small(), sb.grid(init=range(3), order=range(3)), name="crossed", curves=2, **options)
    sb.run(small(), range(2), name="bare", **options)
    sb.run(logging, range(4), store=options["store"], workers=0)
    (path / "scores.csv").write_text("seed,method,acc\n0,A,0.5\n1,A,0.6\n0,B,0.7\n1,B,0.6\n")
    return path


def stored(folder: Path, name: str) -> sb.Study:
    return sb.load(name, folder / "seedbed.db")


@pytest.mark.parametrize("epoch", [1, 4])
def test_an_epochs_scores_are_those_of_a_training_that_ends_there(folder: Path, epoch: int, tmp_path: Path) -> None:
    ended = sb.run(small(epochs=epoch), range(6), store=tmp_path / "s.db", workers=0, engine="reference")
    found = stored(folder, "all").plain.at(epoch=epoch)
    for score in ended.scores:
        assert np.array_equal(found[score], ended[score])


def test_the_best_epoch_is_that_of_the_curves(folder: Path) -> None:
    study = stored(folder, "all").plain
    epochs, losses = study.curves("val/loss")
    found = study.at(best="val/loss")
    assert np.array_equal(found.chosen_epochs, epochs[losses.argmin(axis=1)])
    assert np.array_equal(found["val/loss"], losses.min(axis=1))
    assert np.array_equal(study.at("last")["val/loss"], losses[:, -1])


def test_show_names_the_rule(printed, folder: Path) -> None:
    rule = "best:val/loss,patience=2"
    study = stored(folder, "all").plain.at(rule)
    out = printed(f"show all --at {rule} --metric test/accuracy --lines")
    first, *lines = out.splitlines()
    assert first.endswith(f"  at epoch {study.chosen_epochs[0]:.0f}")
    assert any(
        line.startswith("Test accuracy at the epoch of best val/loss, patience 2, seeds 0 to 5, this data: mean ")
        for line in lines
    )
    assert text.epochs_line(study) in lines
    assert text.epochs_line(study).startswith("Scores are at the epoch of best val/loss, patience 2: median ")
    assert out.count("Scores are at the epoch") == 1  # said once, of all scores
    assert "biased" not in out
    assert "val/accuracy: the epoch was chosen by val/loss, which is of the same examples (val), so this" in printed(
        f"show all --at {rule} --metric val/accuracy"
    )
    assert "Notes on" in printed(f"show all --at {rule}")
    told = json.loads(printed(f"show all --at {rule} --json"))
    assert told["checkpoint"]["rule"] == rule
    assert told["checkpoint"]["epochs"]["n"] == 6
    assert [run["epoch"] for run in told["runs"]] == study.chosen_epochs.tolist()
    assert told["summary"]["test/loss"]["notes"][0] == "scores are at the epoch of best val/loss, patience 2"
    assert told["summary"]["test/loss"]["mean"] == pytest.approx(study["test/loss"].mean())
    assert json.loads(printed("show all --json"))["checkpoint"] is None


def test_show_cites_the_rule(printed) -> None:
    sentence = printed("show all --at best:val/loss --cite --metric val/accuracy").splitlines()[0]
    assert "Scores are at the epoch of best val/loss: median " in sentence
    assert sentence.endswith("so this score is optimistically biased: new examples would score worse on average.")
    fixed = printed("show all --at epoch:3 --cite").splitlines()[0]
    assert fixed.endswith("Scores are at epoch 3. No data chose it, if it was fixed before any score was looked at.")
    assert (
        printed("show all --at last --cite")
        .splitlines()[0]
        .endswith("Scores are of the last epoch (6); no data chose it.")
    )


def test_compare_names_the_rule(printed, folder: Path) -> None:
    out = printed("compare all slower --at best:val/loss --metric test/loss")
    assert out.startswith(
        "all minus slower: test/loss at the epoch of best val/loss (smaller is better), 6 pairs of runs with the same"
    )
    assert "Scores are at the epoch of best val/loss.\n" in out
    assert "fixed: data, split, hyperparameters, checkpoint rule (the epoch of best val/loss).\n" in out
    told = json.loads(printed("compare all slower --at best:val/loss --metric test/loss --json"))
    a, b = (stored(folder, name).plain.at(best="val/loss")["test/loss"] for name in ("all", "slower"))
    assert told["difference"] == pytest.approx((a - b).mean())
    assert told["checkpoints"]["slower"]["rule"] == "best:val/loss"
    many = json.loads(printed("compare all slower logging --at last --metric test/accuracy --json"))
    assert [each["rule"] for each in many["checkpoints"].values()] == ["last"] * 3


def test_decompose_plan_and_best_name_the_rule(printed) -> None:
    out = printed("decompose crossed --at best:val/loss,patience=2 --metric test/loss")
    assert out.startswith("Test loss of crossed at the epoch of best val/loss, patience 2, 3 x 3 seeds of initial")
    assert "Scores are at the epoch of best val/loss, patience 2.\n" in out
    assert "is of the last epoch only: of scores at the epoch of best val/loss, patience 2, the test set's" in out
    assert "checkpoint" in json.loads(printed("decompose crossed --at epoch:2 --metric test/loss --json"))
    out = printed("best all --at best:val/loss --metric val/loss")
    assert out.startswith("Validation loss of all at the epoch of best val/loss, seeds 0 to 5\n")
    assert "The epoch was chosen by this very score, so it is optimistically biased" in out
    assert "lead is worth on other examples is known of the last epoch alone.\n" in out
    assert json.loads(printed("best all --at best:val/loss --json"))["checkpoint"]["rule"] == "best:val/loss"
    out = printed("plan all --at best:val/loss --width 0.1 --metric val/loss")
    assert out.startswith("all, val/loss at the epoch of best val/loss: sd over seeds ")
    assert "The epoch was chosen by this very score" in out
    assert json.loads(printed("plan all --at best:val/loss --width 0.1 --json"))["checkpoint"]["epochs"]["n"] == 6


def test_export_has_the_rule_and_the_epochs(printed, folder: Path) -> None:
    header, *rows = printed("export all -s 0:6 --at best:val/loss").splitlines()
    columns = header.split(",")
    cells = [dict(zip(columns, row.split(","), strict=True)) for row in rows]
    assert {each["checkpoint"] for each in cells} == {"best:val/loss"}
    assert [int(each["epoch"]) for each in cells] == stored(folder, "all").plain.at(
        best="val/loss"
    ).chosen_epochs.tolist()
    assert "checkpoint" not in printed("export all -s 0:6").splitlines()[0]


def test_a_trial_has_steps(printed) -> None:
    out = printed("show logging --at best:val/loss --metric test/accuracy")
    assert "Scores are at the step of best val/loss: median 2, from 2 to 2 (recorded to 3); none of 4 runs is" in out
    assert "mean 50.00 % (all 4 runs are equal: no interval)" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show bare --at best:val/loss", "run the same again with --curves (in Python: curves=1), which adds them"),
        ("show all --roles --at best:val/loss", "all has no curves, and a checkpoint rule chooses among recorded"),
        ("export all --at best:val/loss", "4 of 10 runs of all have no curves (the first: init=0 order=0 noise=0)"),
        ("show all --at best:val/los", "did you mean val/loss?"),
        ("show all --at best:val/loss,patience=0", "patience must be a whole number of at least 1, got 0"),
        ("show crossed --at best:val/loss,patience=1", "patience 1 is less than the 2 epochs between recorded ones"),
        ("show crossed --at epoch:3", "which recorded 2, 4, 6)"),
        ("show all --at later", "a checkpoint rule is best:SCORE, best:SCORE,patience=N, epoch:N or last"),
        ("compare all bare --at best:val/loss", "bare has no curves"),
        ("compare scores.csv --at last", "A has no curves: its scores were imported"),
        ("decompose slower --at best:val/loss", "is of the last epoch only: of scores at the epoch of best val/loss"),
        ("export all --weights w --at last", "kept weights are of the last epoch only"),
    ],
)
def test_bad_input_is_told(line: str, message: str, seedbed) -> None:
    status, out, err = seedbed(line)
    assert (status, out) == (2, "")
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err
