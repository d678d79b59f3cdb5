"""Runs of several splits: what studies say of them, the corrected resampled t, components, and ``--interval``."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed import stats
from seedbed.errors import InputError
from seedbed.records import EvaluationSet
from seedbed.seeds import Assignment, grid
from seedbed.words import hunting
from tests.studies import DIVERGED, FAILED, Kept, nothing, refusal, study_of

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(3, 5)) + RNG.normal(size=5)  # scores [seed, split]
CROSSED = grid(seed="0:3", split="0:5")
OWN = [Assignment.plain(seed, seed) for seed in range(5)]


def rows(train: int | None = 80, test: int = 20, splits: int = 5) -> Kept:
    """An archive of splits of so many rows."""
    sets = [EvaluationSet("test", test, True, 2, np.zeros(0))]
    if train is not None:
        sets.insert(0, EvaluationSet("train", train, False, 2, np.zeros(0)))
    return Kept(dict.fromkeys(range(splits), tuple(sets)))


def crossed(archive: Kept | None = None, scores: Any = None, name: str = "study") -> sb.Study:
    return study_of(CROSSED, TABLE.ravel() if scores is None else scores, archive=archive or rows(), name=name)


def test_a_summary_says_that_splits_overlap() -> None:
    for study in (crossed(), study_of(OWN, TABLE[0])):
        note = study.summary().notes[0]
        assert note.startswith(
            "the 5 splits are of one data set (unless each draws rows of its own) and share training"
        )
        assert "the interval of the mean holds for other splits of these rows, and is too short for other rows" in note
        assert "method corrected (seedbed show --interval corrected), of Nadeau and Bengio" in note
    broken = study_of(CROSSED[:-1], TABLE.ravel()[:-1]).summary()
    assert nothing(broken.mean_low)
    assert "their scores are not independent; method corrected" in broken.notes[0]
    for study in (study_of("0:5", TABLE[0]), crossed().filter(splits=3)):
        assert not any("splits" in note for note in study.summary().notes)


def test_the_corrected_interval_is_of_the_splits_means() -> None:
    study, expected = crossed(), stats.mean_interval(TABLE.mean(axis=0), method="corrected", n_train=80, n_test=20)
    found, summary = study.mean_interval(method="corrected"), study.summary(method="corrected")
    assert (found.estimate, found.low, found.high) == pytest.approx((expected.estimate, expected.low, expected.high))
    assert (summary.mean_low, summary.mean_high) == (found.low, found.high)
    assert summary.mean == pytest.approx(TABLE.mean())
    assert (summary.mean_method, found.method) == ("corrected resampled t",) * 2
    assert found.note == (
        "the mean's interval is over 5 splits of 80 training and 20 test rows; runs of a split are averaged first, 3 "
        "in each of 5 splits; seeds are the same in several splits, and held fixed: others are not covered"
    )
    assert found.scope == summary.mean_scope == stats.Scope(
        ("split", "data sets of this size"), ("seeds", "hyperparameters")
    )  # fmt: skip
    assert summary.scope == study.scope
    assert summary.notes[:3] == tuple(found.note.split("; "))
    assert any("no interval is given for a further run" in note for note in summary.notes)
    assert nothing(summary.sem)
    assert study.mean_interval(confidence=0.8, method="corrected").high < found.high
    # A table that is not whole has a mean for each split all the same.
    assert study_of(CROSSED[:-1], TABLE.ravel()[:-1], archive=rows()).mean_interval(method="corrected").low is not None


def test_seeds_of_their_own_for_each_split_are_covered() -> None:
    found = study_of(OWN, TABLE[0], archive=rows()).mean_interval(method="corrected")
    assert found.estimate == pytest.approx(TABLE[0].mean())
    assert found.scope.resampled == ("split", "data sets of this size", "seeds")
    assert "averaged" not in found.note
    roles = study_of(grid(init="0:2", order="3:5", split="0:5"), np.arange(20.0), archive=rows())
    scope = roles.mean_interval(method="corrected").scope
    assert scope.fixed == ("initial weights", "order", "noise (seed 0)", "hyperparameters")


def test_what_is_left_out_of_the_splits_means() -> None:
    lost = TABLE.ravel().tolist()
    lost[0], lost[4], lost[9], lost[14] = FAILED, DIVERGED, DIVERGED, DIVERGED
    study = crossed(scores=lost)
    found = study.mean_interval(method="corrected")
    means = [TABLE[1:, 0].mean(), *TABLE[:, 1:4].mean(axis=0)]
    assert found.estimate == pytest.approx(np.mean(means))
    assert "2 to 3 in each of 4 splits" in found.note
    assert "of the splits' means, 3 runs are left out: they diverged or failed" in found.note
    assert "1 split has no converged run: left out" in found.note
    summary = study.summary(method="corrected")
    assert (summary.n, summary.n_diverged) == (11, 3)
    assert summary.mean == found.estimate  # of the splits, not of the runs
    # Plain seeds and roles are never thrown together.
    mixed = study_of([*CROSSED, *grid(init="0:2", split="0:5")], [*TABLE.ravel(), *np.full(10, 9.0)], archive=rows())
    assert mixed.mean_interval(method="corrected").estimate == pytest.approx(TABLE.mean())


def test_other_methods_of_the_mean() -> None:
    scores = np.random.default_rng(1).exponential(size=30)
    study = study_of("0:30", scores)
    for method in ("t", "bca", "studentized"):
        expected = stats.mean_interval(scores, 0.9, method, rng=1)
        assert study.mean_interval(None, 0.9, method, rng=1) == expected
        summary = study.summary(None, 0.9, method, rng=1)
        assert (summary.mean_low, summary.mean_method) == (expected.low, expected.method)
    assert any("method studentized allows for it" in note for note in study.summary().notes)
    assert not any("method studentized" in note for note in study.summary(method="studentized").notes)
    table = np.random.default_rng(2).normal(size=(4, 3))
    assert study_of(grid(init="0:4", order="0:3"), table.ravel()).mean_interval().low == pytest.approx(
        stats.crossed_mean_interval(table).low
    )


@pytest.mark.parametrize(
    ("study", "options", "message"),
    [
        (study_of("0:5", TABLE[0]), {}, "the corrected t is of several splits, and converged runs of study are of 1"),
        (crossed(rows(train=None)), {}, "is trained on is not stored, since no evaluation set of it is its training"),
        (crossed(rows(train=None)), {}, "give n_train (the command: --n-train)"),
        (crossed(Kept()), {}, "give n_train"),
        (crossed(Kept()), {"n_train": 80}, "study is tested on is not stored, since it has no evaluation set 'test'"),
        (crossed(Kept({**rows().sets, 4: rows(81).sets[0]})), {}, "splits of study differ in how many rows each is"),
        (
            sb.Study.from_scores({"A": TABLE.ravel()}, seeds=CROSSED)["A"],
            {"n_train": 80},
            "a split of A is tested on is not stored, since nothing is stored of its examples: give n_test",
        ),
    ],
)  # fmt: skip
def test_rows_that_are_not_known_are_asked_for(study: sb.Study, options: dict[str, int], message: str) -> None:
    for call in (study.mean_interval, study.summary):
        assert message in refusal(functools.partial(call, method="corrected", **options))


def test_rows_may_be_given() -> None:
    imported = sb.Study.from_scores({"A": TABLE.ravel()}, seeds=CROSSED)["A"]
    for study in (imported, crossed(rows(train=None)), crossed()):
        found = study.mean_interval(method="corrected", n_train=60, n_test=40)
        expected = stats.mean_interval(TABLE.mean(axis=0), method="corrected", n_train=60, n_test=40)
        assert found.low == pytest.approx(expected.low)
    assert crossed(rows(train=None)).mean_interval(method="corrected", n_train=80).low == pytest.approx(
        crossed().mean_interval(method="corrected").low
    )


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("t", {"n_train": 80}, "n_train and n_test are of method corrected; t takes none"),
        ("nadeau", {}, "method must be t, bca, studentized or corrected, got 'nadeau'"),
        ("bca", {}, "method bca supposes independent runs, and these share seeds (3 plain x 5 of split)"),
        ("corrected", {"n_train": 0, "n_test": 20}, "n_train must be a whole number of at least 1, got 0"),
    ],
)
def test_methods_that_do_not_fit_are_refused(method: Any, options: Any, message: str) -> None:
    for call in (crossed().mean_interval, crossed().summary):
        assert message in refusal(functools.partial(call, method=method, **options))


def test_scores_of_training_rows_have_no_corrected_interval() -> None:
    study = study_of(CROSSED, {"test/accuracy": TABLE.ravel(), "train/accuracy": TABLE.ravel()}, archive=rows())
    found = study.summary("train/accuracy", method="corrected")
    assert nothing(found.mean_low, found.mean_high)
    assert found.notes[0] == "train/accuracy is of the training rows: the corrected t is of rows that are held out"
    assert "is of the training rows" in refusal(lambda: study.mean_interval("train/accuracy", method="corrected"))


# Two studies


def test_two_studies_are_compared_split_by_split() -> None:
    other = TABLE + np.random.default_rng(3).normal(0.3, 0.5, TABLE.shape)
    a, b = crossed(name="a"), crossed(scores=other.ravel(), name="b")
    found = sb.compare(a, b, method="corrected")
    expected = stats.compare(TABLE.mean(axis=0), other.mean(axis=0), method="corrected", n_train=80, n_test=20)
    for field in ("difference", "low", "high", "p_value", "n_a", "test", "p_exact", "detectable"):
        assert getattr(found, field) == pytest.approx(getattr(expected, field))
    assert "paired on 5 splits of 80 training and 20 test rows" in found.notes
    assert found.notes.count("runs of a split are averaged first, 3 in each of 5 splits") == 1
    assert found.scope.resampled == ("split", "data sets of this size")
    assert "method corrected (--interval corrected) averages the runs of each split" in refusal(
        lambda: sb.compare(a, b)
    )
    assert "leave paired out" in refusal(lambda: sb.compare(a, b, method="corrected", paired=False))
    assert "takes none" in refusal(lambda: sb.compare(a, b, n_train=3))
    many = sb.compare_many([a, b, crossed(name="c", scores=-other.ravel())], method="corrected")
    assert many.pairs["a", "b"].difference == pytest.approx(found.difference)
    assert many.pairs["a", "b"].high - many.pairs["a", "b"].low > found.high - found.low


def test_splits_that_one_study_lacks_are_dropped() -> None:
    a, b = crossed(name="a"), crossed(name="b").filter(splits="1:4")
    found = sb.compare(a, replace(b, runs=b.runs[1:]), method="corrected")  # one run less in split 1
    assert (found.n_a, found.dropped) == (3, 6)
    assert "6 runs of splits that are not shared are dropped" in found.notes
    assert "b: runs of a split are averaged first, 2 to 3 in each of 3 splits" in found.notes
    assert "a and b share 1 split: at least 2 are needed" in refusal(
        lambda: sb.compare(a.filter(splits="0:2"), b, method="corrected")
    )
    unlike = crossed(rows(train=70), name="c")
    assert "differ in their training and test rows, 70 and 20 and 80 and 20" in refusal(
        lambda: sb.compare(a, unlike, method="corrected")
    )
    assert "b has no run to compare" in refusal(
        lambda: sb.compare(a, crossed(scores=[FAILED] * 15, name="b"), method="corrected")
    )


def test_a_comparison_of_runs_of_several_splits_says_that_they_overlap() -> None:
    a, b = (study_of(OWN, TABLE[i], archive=rows()) for i in range(2))
    found = sb.compare(a, b)
    assert (found.test, found.n_a) == ("paired t", 5)
    assert any("the interval of the difference holds for other splits of these rows" in note for note in found.notes)
    assert not any(
        "splits" in note for note in sb.compare(study_of("0:3", [1, 2, 4]), study_of("0:3", [2, 2, 3])).notes
    )


# Components


def test_three_roles_are_taken_apart() -> None:
    table = np.random.default_rng(4).normal(size=(3, 4, 2)) + np.arange(3.0)[:, None, None]
    study = study_of(grid(init="0:3", order="0:4", split="0:2"), table.ravel())
    found, expected = study.decompose(), stats.crossed_components(table, ("init", "order", "split"))
    assert found.components == expected.components
    assert list(found.components) == [
        "init", "order", "split", "init x order", "init x split", "order x split", "residual"
    ]  # fmt: skip
    assert all(part.low is not None for part in found.components.values())
    assert found.notes[0].startswith("the 2 splits are of one data set")
    assert found.scope == study.scope
    with pytest.raises(InputError, match="runs of 2 splits: take those of one apart at a time"):
        study.isolate()
    lost = table.ravel().tolist()
    lost[3] = DIVERGED  # init 0, order 1, split 1
    whole = study_of(grid(init="0:3", order="0:4", split="0:2"), lost).decompose()
    assert whole.components == stats.crossed_components(np.delete(table, 1, axis=1), tuple(found.levels)).components
    assert "missing or diverged: order 1" in whole.notes[0]


def test_plain_seeds_and_splits_are_taken_apart() -> None:
    found = crossed().decompose()
    assert found.components == stats.crossed_components(TABLE, ("seed", "split")).components
    assert found.levels == {"seed": 3, "split": 5}
    beside = study_of([*CROSSED, *grid(init="0:2", split="0:2")], [*TABLE.ravel(), 1.0, 2.0, 3.0, 5.0])
    assert beside.decompose().levels == {"init": 2, "split": 2}
    assert "15 runs with plain seeds are left out" in beside.decompose().notes
    assert "its runs have plain seeds" in refusal(study_of("0:3", [1, 2, 3]).decompose)


# The command


def rows_of(split: int, lr: float = 0.5) -> sb.Data:
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(60, 4, generator=drawn)
    y = (x.sum(1) + torch.randn(60, generator=drawn) > 0).long()
    order = torch.randperm(60)  # seeded by the split
    train, test = (TensorDataset(x[part], y[part]) for part in (order[:40], order[40:]))
    return sb.Data(train=train, evaluate={"train": train, "test": test})


def small(lr: float = 0.5) -> sb.Experiment:
    return sb.Experiment(
        name="small", model=functools.partial(nn.Linear, 4, 2), loss=nn.CrossEntropyLoss(), data=rows_of,
        optimizer=functools.partial(torch.optim.SGD, lr=lr), batch_size=10, epochs=2,
        metrics={"accuracy": sb.metrics.accuracy},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("splits")
    options: dict[str, Any] = {"store": path / "seedbed.db", "workers": 0, "engine": "reference"}
    sb.run(small(), sb.grid(seed=range(3), split=range(4)), name="slow", **options)
    sb.run(small(2.0), sb.grid(seed=range(3), split=range(4)), name="fast", **options)
    sb.run(small(), sb.grid(init=range(3), order=range(2), split=range(3)), name="roles", **options)
    return path


def test_show_offers_the_corrected_interval(printed, folder: Path) -> None:
    study = sb.load("slow", folder / "seedbed.db")
    assert "the 4 splits are of one data set" in printed("show slow")
    out = printed("show slow --interval corrected")
    assert " over splits and data sets of this size).\n" in out
    assert "other data not included" not in out
    assert "the mean's interval is over 4 splits of 40 training and 20 test rows.\n" in out
    assert (
        "Intervals of means are Nadeau and Bengio's corrected resampled t over splits and data sets of this size.\n"
        in out
    )
    told = json.loads(printed("show slow --interval corrected --json"))["summary"]
    found = study.mean_interval(method="corrected")
    assert told["test/accuracy"]["mean_low"] == pytest.approx(found.low)
    assert told["test/accuracy"]["mean_method"] == "corrected resampled t"
    assert told["test/accuracy"]["mean_scope"]["resampled"] == ["split", "data sets of this size"]
    assert told["train/accuracy"]["mean_low"] is None
    wider = json.loads(printed("show slow --interval corrected --n-test 40 --json"))["summary"]["test/accuracy"]
    assert wider["mean_low"] < told["test/accuracy"]["mean_low"]
    sentence = printed("show slow --interval corrected --cite").splitlines()[0]
    assert ", Nadeau and Bengio's corrected resampled t, over splits and data sets of this size)." in sentence
    assert "does not cover other data" not in sentence


def test_compare_offers_the_corrected_interval(printed) -> None:
    out = printed("compare slow fast --interval corrected")
    assert out.startswith("slow minus fast: test/accuracy (larger is better), 4 splits, the runs of each averaged\n")
    assert "; corrected resampled t, p " in out
    for label in ("split by split\ta split of slow beats one of fast", "within a split\t", "correlation over splits\t"):
        assert label in out
    assert "Paired on 4 splits of 40 training and 20 test rows.\n" in out
    assert "Intervals are over splits and data sets of this size; fixed: seeds, hyperparameters.\n" in out
    told = json.loads(printed("compare slow fast --interval corrected --json"))
    assert (told["test"], told["n_a"]) == ("corrected resampled t", 4)
    many = printed("compare slow fast roles --interval corrected")
    assert "3 studies, all pairs: test/accuracy (larger is better), 3 splits, the runs of each averaged" in many


def test_decompose_prints_a_component_of_every_role(printed) -> None:
    out = printed("decompose roles --metric test/accuracy")
    assert out.startswith("Test accuracy of roles, 3 x 2 x 3 seeds of initial weights, order and split\n")
    assert [line.split("\t")[0] for line in out.splitlines() if "\t" in line] == [
        "source", "initial weights", "order", "split", "initial weights x order", "initial weights x split",
        "order x split", "interaction of all, and noise",
    ]  # fmt: skip
    assert "told of one split at a time (--split 0)" in out
    told = json.loads(printed("decompose roles --metric test/accuracy --json"))
    assert set(told["components"]["components"]["init x split"]) >= {"variance", "low", "high"}
    out = printed("decompose slow --metric test/accuracy")
    assert out.startswith("Test accuracy of slow, seeds 0 to 2, 4 splits\n")
    assert "\nseeds\t" in out
    assert "\nsplit\t" in out


def test_plan_and_best_say_what_their_numbers_are_of(printed) -> None:
    assert "share training rows: all of this holds for other splits" in printed("plan slow --width 0.1")
    study = study_of(OWN, TABLE[0], archive=rows())
    assert "share training rows" in hunting.notes(hunting.hunt(study, "test/accuracy", 2, 0.95))[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show slow --split 0 --interval corrected", "the corrected t is of several splits"),
        ("show slow --n-train 10", "n_train and n_test are of method corrected; t takes none"),
        ("show slow --interval bca", "method bca supposes independent runs, and these share seeds"),
        ("show slow --interval welch", "'welch' is not one of 't', 'bca', 'studentized', 'corrected'"),
        ("compare slow fast", "method corrected (--interval corrected) averages the runs of each split"),
        ("compare slow fast --interval corrected --unpaired", "leave paired out"),
        ("compare slow fast --interval bca", "'bca' is not one of 't', 'corrected'"),
    ],
)
def test_bad_input_is_told(line: str, message: str, seedbed) -> None:
    status, out, err = seedbed(line)
    assert (status, out) == (2, "")
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err
