"""``show --cite``, ``compare``, ``decompose``, ``plan`` and ``best`` as a user meets them: text, JSON and refusals."""

from __future__ import annotations

import functools
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed.store import add_scores, load
from seedbed.words import terminal

SCORES = """seed,method,test_acc,loss
0,base,0.80,2.0
1,base,0.81,2.1
2,base,0.82,2.2
3,base,0.83,2.3
0,new,0.85,1.9
1,new,0.84,2.0
2,new,0.87,2.0
3,new,0.86,2.2
0,third,0.79,2.5
1,third,0.83,2.4
2,third,0.80,2.1
3,third,0.82,2.6
"""
NUMBERED = "method,acc\n" + "".join(f"{m},{v}\n" for m, v in zip("AAAAABBBB", [81.5, 80.1, 82.3, 81, 81.9, 83.5, 82.1,
                                                                             84.3, 83], strict=True))  # fmt: skip


def small(lr: float = 0.1) -> sb.Experiment:
    """Classes that a few epochs do not learn well, so that seeds differ."""
    drawn = torch.Generator().manual_seed(0)

    def rows(count: int) -> TensorDataset:
        x = torch.randn(count, 4, generator=drawn)
        return TensorDataset(x, (x.sum(1) + torch.randn(count, generator=drawn) > 0).long())

    train = rows(40)
    return sb.Experiment(
        name="small", model=functools.partial(nn.Linear, 4, 2), loss=nn.CrossEntropyLoss(),
        data=sb.Data(train=train, evaluate={"train": train, "test": rows(50)}),
        optimizer=functools.partial(torch.optim.SGD, lr=lr), batch_size=10, epochs=2,
        metrics={"accuracy": sb.metrics.accuracy},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of small studies, and tables beside it."""
    path = tmp_path_factory.mktemp("studies")
    options: dict[str, Any] = {"store": path / "seedbed.db", "workers": 0, "engine": "reference"}
    sb.run(small(), range(24), name="slow", **options)
    sb.run(small(), sb.grid(init=range(4), order=range(4)), name="slow", **options)
    sb.run(small(0.5), range(4, 24), name="fast", **options)
    sb.run(small(), range(1), name="one", **options)
    made = {
        "percent": [81.5, 80.1, 82.3, 81.0, 81.9],
        "equal": [0.85] * 4,
        "diverging": [0.7, None, 0.75, 0.72, None, 0.74],
        "never": [None, None],
    }
    for name, values in made.items():
        studies = sb.Study.from_scores({name: values}, metric="test_acc", larger_is_better=True)
        add_scores(list(studies.values()), options["store"])
    (path / "scores.csv").write_text(SCORES)
    (path / "numbered.csv").write_text(NUMBERED)
    (path / "alone.csv").write_text("seed,acc\n0,0.5\n1,0.6\n")
    return path


def strict_json(text: str) -> Any:
    """The value of a JSON text; NaN and Infinity are none."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def fields(out: str) -> dict[str, str]:
    """Label to text of the lines that have a tab."""
    return dict(line.split("\t", 1) for line in out.splitlines() if "\t" in line)


def stored(folder: Path, name: str) -> sb.Study:
    return sb.load(name, folder / "seedbed.db")


def test_show_cites(printed, folder: Path) -> None:
    sentence, _, *rows = printed("show slow --cite --metric test/accuracy").splitlines()
    summary = stored(folder, "slow").plain.summary("test/accuracy")
    assert sentence.startswith(
        f"Test accuracy of slow was {summary.mean * 100:.0f} % on average over seeds (seeds 0 to 2"
    )
    assert "n = 24; " in sentence
    assert sentence.endswith("Scores are of the last epoch (2); no data chose it.")
    assert rows[2].startswith("| slow | test/accuracy, % | 24 | ")
    assert rows[5].startswith(r"slow & test/accuracy, \% & 24 & ")
    assert "4 x 4 seeds of initial weights and order; n = 16" in printed("show slow --cite --roles")


def test_show_keeps_roles_and_plain_seeds_apart(printed) -> None:
    out = printed("show slow")
    assert "n = 24 converged runs." in out
    assert out.splitlines()[1].startswith("Test accuracy, seeds 0 to 23, this data: mean ")
    assert (
        "Not among these numbers: 16 runs with a seed for each role; --roles shows them, and seedbed decompose takes "
        "their spread apart." in out
    )
    out = printed("show slow --roles --metric test/loss")
    assert out.splitlines()[1].startswith("Test loss, 4 x 4 seeds of initial weights and order, this data: mean ")
    assert "(run init=" in out
    assert "Not among these numbers: 24 runs with plain seeds; they are shown without --roles." in out
    told = strict_json(printed("show slow --roles --json"))
    assert len(told["runs"]) == 16
    assert told["summary"]["test/loss"]["next_low"] is None


def test_show_claims_no_interval_where_there_is_none(printed) -> None:
    out = printed("show one")
    assert re.search(r"^Test accuracy, seed 0, this data: \d+\.00 % \(one run: no interval\)\.$", out, re.M)
    assert "Varied: nothing (one run)." in out
    assert "Intervals" not in out
    out = printed("show equal")
    assert "mean 85.00 % (all 4 runs are equal: no interval)" in out
    assert fields(out)["test_acc"].split("\t")[1] == "-"
    assert "Intervals" not in out
    out = printed("show never")
    assert "test_acc, 2 runs: no run converged." in out
    assert "0 runs:" not in out
    assert strict_json(printed("show never --json"))["summary"]["test_acc"]["mean"] is None


def test_compare_two_studies(printed, folder: Path) -> None:
    out = printed("compare slow fast --metric test/accuracy")
    a, b = stored(folder, "slow").plain["test/accuracy"][4:], stored(folder, "fast")["test/accuracy"]
    assert out.startswith("slow minus fast: test/accuracy (larger is better), 20 pairs of runs with the same seed\n")
    facts = fields(out)
    difference = float(facts["difference of means"].split()[0])
    assert difference == pytest.approx((a - b).mean(), abs=6e-4)
    wins, ties = int((a > b).sum()), int((a == b).sum())
    assert facts["within a seed"] == f"slow better {wins}, equal {ties}, fast better {20 - wins - ties}"
    assert re.match(r"a run of slow beats one of fast \d+ % of the time   95 % CI \d+ to \d+ %$", facts["run by run"])
    assert "Paired on the 20 seeds that are shared; 4 other runs are dropped.\n" in out
    assert "Intervals are over seeds; fixed: data, split, hyperparameters.\n" in out
    told = strict_json(printed("compare slow fast --metric test/accuracy --json"))
    assert told["difference"] == pytest.approx((a - b).mean())
    assert (told["a"], told["b"], told["n_a"], told["paired"]) == ("slow", "fast", 20, True)
    unpaired = strict_json(printed("compare slow fast --metric test/accuracy --unpaired --json"))
    assert (unpaired["n_a"], unpaired["n_b"], unpaired["paired"]) == (24, 20, False)


def test_the_verdict_is_about_the_higher_mean_and_what_is_better(printed) -> None:
    out = printed("compare slow slow")
    assert out.splitlines()[1] == "Unresolved: these runs do not say which mean is higher."
    assert fields(out)["correlation over seeds"] == "1.0000   95 % CI -"
    told = printed("compare slow fast --metric test/loss --unpaired").splitlines()[1]
    assert told == "slow is higher on average, which is worse."
    told = printed("compare slow fast --margin 50% --metric test/accuracy").splitlines()[1]
    assert told == "Equivalent within the margin of ± 0.5."


def test_compare_leaves_diverged_runs_out_and_says_so(printed) -> None:
    out = printed("compare diverging equal")
    assert "4 and 4 runs, not paired" in out
    assert "No seeds are known of diverging, equal: runs are compared without pairing.\n" in out
    assert "2 runs are left out: they diverged.\n" in out
    assert strict_json(printed("compare diverging equal --json"))["dropped"] == 2


def test_compare_a_table(seedbed) -> None:
    status, out, err = seedbed("compare scores.csv --metric test_acc")
    assert status == 0
    assert "groups: column 'method' (guessed)" in err
    header, *rows = [line.split("\t") for line in out.splitlines() if "\t" in line]
    assert header == ["pair", "difference", "joint CI", "p", "first beats second", "verdict"]
    assert [row[0] for row in rows] == ["base minus new", "base minus third", "new minus third"]
    assert float(rows[0][1]) == pytest.approx(0.815 - 0.855)
    assert "Intervals hold jointly at 95 %" in out
    status, out, _ = seedbed("compare scores.csv --metric loss --json --confidence 0.9")
    told = strict_json(out)
    assert (status, told["metric"], told["confidence"]) == (0, "loss", 0.9)
    assert [(pair["a"], pair["b"]) for pair in told["pairs"]] == [("base", "new"), ("base", "third"), ("new", "third")]
    assert told["pairs"][0]["difference"] == pytest.approx(2.15 - 2.025)
    status, out, _ = seedbed("compare numbered.csv --margin 3")
    assert status == 0
    assert out.startswith("A minus B: acc (larger is better), 5 and 4 runs, not paired\n")
    assert all(each not in {"A", "B", "base"} for each in [found.name for found in sb.studies()])  # nothing is stored


def test_decompose_a_crossed_design(printed, folder: Path) -> None:
    out = printed("decompose slow --metric test/accuracy")
    assert out.startswith("Test accuracy of slow, 4 x 4 seeds of initial weights and order\n")
    rows = [line.split("\t")[0] for line in out.splitlines() if "\t" in line]
    assert rows[:4] == ["source", "initial weights", "order", "interaction and noise"]
    assert "The finite test set:\n" in out
    assert "made by the 50 examples\t" in out
    assert "24 runs with plain seeds are left out.\n" in out
    assert "Intervals are over initial weights and order; fixed: noise (seed 0), data, split, hyperparameters.\n" in out
    told = strict_json(printed("decompose slow --metric test/accuracy --json"))
    components = stored(folder, "slow").decompose("test/accuracy")
    assert told["components"]["init"]["variance"] == pytest.approx(components.init.variance)
    assert told["trained_on"] is False
    trained = printed("decompose slow --metric train/accuracy")
    assert "train/accuracy is of the training rows, which are no sample of test examples" in trained
    assert "The finite test set" not in trained
    assert "chosen on half of the training rows" in trained


def test_decompose_plain_seeds_tells_the_test_set_apart(printed) -> None:
    out = printed("decompose fast --metric test/accuracy")
    assert "source\t" not in out
    facts = fields(out)
    observed, made, left = (
        float(facts[label].split()[0])
        for label in ("observed variance over seeds", "made by the 50 examples", "left: variance of performance")
    )
    assert made > 0
    assert observed == pytest.approx(made + left, rel=0.01, abs=1e-5)
    assert "fast has no crossed design to take apart" in out
    told = strict_json(printed("decompose fast --metric test/accuracy --json"))
    assert (told["components"], told["luck"]["n_examples"]) == (None, 50)


def test_plan(printed, folder: Path) -> None:
    summary = stored(folder, "slow").plain.summary("test/accuracy")
    needed = sb.stats.seeds_needed(summary.sd, 0.05), sb.stats.seeds_needed(summary.sd_high, 0.05)
    out = printed("plan slow --detect 0.05")
    assert out.startswith("slow, test/accuracy: sd over seeds 0.")
    assert "from 24 converged runs\n" in out
    assert fields(out) == {
        "a difference of 0.05, found with 80 % power": f"{needed[0]} seeds per method at this sd, {needed[1]} at its "
        "upper end"
    }
    assert "stated before looking" in out
    assert fields(printed("plan slow --detect 5%")) == fields(out)
    width = sb.stats.seeds_for_width(summary.sd, 0.02)
    out = printed("plan slow --width 2%")
    assert fields(out)["the mean, known to ± 0.02 at 95 %"].startswith(f"{width} seeds at this sd, ")
    assert "stated before looking" not in out  # no difference is asked for
    told = strict_json(printed("plan slow --detect 0.05 --width 0.02 --paired 0.5 --power 0.9 --json"))
    assert (told["n"], told["sd"]) == (24, pytest.approx(summary.sd))
    pairs = sb.stats.seeds_needed(summary.sd, 0.05, 0.9, paired=True, correlation=0.5)
    assert [(each["of"], each["seeds"]) for each in told["plans"]] == [
        ("pairs of runs of correlation 0.5", pairs),
        ("seeds", width),
    ]


def test_plan_from_little(printed) -> None:
    out = printed("plan percent --detect 1")
    assert "The sd is known poorly from 5 runs: plan with its upper end.\n" in out
    assert "sd over runs 0.85 (95 % CI 0.51 to 2.45) from 5 converged runs" in out
    out = printed("plan diverging --width 1%")
    assert "2 of 6 runs diverged: the numbers are of seeds that converge, and more have to be started.\n" in out
    assert "from 4 converged runs\n" in out


def test_best(printed, folder: Path) -> None:
    study = stored(folder, "slow").plain
    values = study["test/accuracy"]
    out = printed("best slow --metric test/accuracy")
    assert out.startswith("Test accuracy of slow, seeds 0 to 23\n")
    assert f"Best (larger is better): {values.max():.4f}, " in out
    header, *rows = [line.split("\t") for line in out.splitlines() if line.count("\t") == 3]
    assert header == ["best of", "score on average", "95 % CI", "minus the mean"]
    assert [int(row[0]) for row in rows] == [1, 2, 3, 5, 10, 20]
    assert float(rows[0][1]) == pytest.approx(values.mean(), abs=1e-3)
    assert rows[0][3] == "0"
    assert all(row[3].startswith("+") for row in rows[1:])
    assert [row[2] == "-" for row in rows] == [False, True, True, True, True, True]
    assert "No interval for the best of 2, 3, 5, 10 and 20: that of the best of k takes 20 k runs.\n" in out
    assert "The best seed, chosen on half of the examples and judged on the other half:\n" in out
    told = strict_json(printed("best slow --metric test/accuracy -k 5 --json"))
    assert list(told["best_of"]) == ["5"]
    assert told["best_of"]["5"]["estimate"] == pytest.approx(study.expected_best(5, "test/accuracy").estimate)
    assert told["best"] == [f"seed={seed}" for seed in np.flatnonzero(values == values.max())]


def test_best_of_a_loss_is_the_least(printed, folder: Path) -> None:
    values = stored(folder, "fast")["test/loss"]
    out = printed("best fast --metric test/loss -k 20")
    assert f"Best (smaller is better): {values.min():.4f}, " in out
    row = next(line.split("\t") for line in out.splitlines() if line.startswith("20\t"))
    assert float(row[1]) == pytest.approx(values.min(), abs=6e-5)
    assert row[3].startswith("-")
    assert "The best of 20 is the best of all runs there are: it says nothing of other seeds.\n" in out


def test_best_of_numbered_diverged_and_equal_runs(printed) -> None:
    out = printed("best percent")
    assert out.splitlines()[:2] == [
        "test_acc of percent, 5 runs",
        "Mean of a single run: 81.4. Best (larger is better): 82.300, 1.5 sd from the mean of the others, by run 2; no "
        "other of 5 runs is as good.",
    ]
    assert strict_json(printed("best percent --json"))["best"] == ["run=2"]
    out = printed("best diverging -k 2")
    assert "no other of 4 runs is as good" in out
    assert "2 of 6 runs diverged: all of this is of seeds that converge.\n" in out
    out = printed("best equal -k 3")
    assert "by runs 0, 1, 2 and 1 more; 4 of 4 runs are as good." in out
    assert "\n3\t0.8500\t-\t0\n" in out
    assert "there is no other run." in printed("best one")
    assert strict_json(printed("best one --json"))["luck"]["deviations"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show slow --metric auc", "slow has no score 'auc'; it has train/accuracy, train/loss, test/accuracy, "),
        ("show slow --metric loss", "slow has 'loss' of several evaluation sets: say train/loss or test/loss"),
        ("show fast --roles", "fast has no run with a seed for each role"),
        ("show nothing --cite", "has no study 'nothing'"),
        ("compare slow fast --metric auc", "slow has no score 'auc'"),
        ("compare slow fast --metric loss", "say train/loss or test/loss"),
        ("compare slow percent", "percent has no score 'test/accuracy': did you mean test_acc? It has test_acc"),
        ("compare slow", "a comparison needs at least two studies, got 'slow' alone"),
        ("compare alone.csv", "alone.csv holds one group: name the column that tells the methods apart with --group"),
        ("compare none.csv", "none.csv cannot be read"),
        ("compare slow fast --group method", "--group is of a table"),
        ("compare slow fast --margin -0.1", "--margin must be a number above 0, got -0.1"),
        ("compare slow fast --margin 5", "--margin 5: test/accuracy of slow lies between 0 and 1; for 5 perc"),
        ("compare percent equal --margin 1%", "test_acc of percent is no share between 0 and 1"),
        ("compare slow fast --margin small", "'small' is no number such as 0.005 or 0.5%"),
        ("compare slow fast --confidence 2", "confidence must be a number between 0 and 1, got 2.0"),
        ("compare scores.csv numbered.csv", "has no study 'scores.csv'"),
        ("compare percent equal --paired", "runs cannot be paired: no seeds are known of percent, equal"),
        ("compare never equal", "nothing is left to compare"),
        ("compare slow fast --seeds 50", "slow has no run of seeds 50"),
        ("decompose percent", "percent has no crossed design to take apart"),
        ("decompose percent", "test_acc was imported without what was predicted for each example"),
        ("decompose fast --metric test/loss", "test/loss is no share of right examples"),
        ("decompose slow --confidence 2", "seedbed: confidence must be a number between 0 and 1, got 2.0\n"),
        ("decompose slow --metric auc", "slow has no score 'auc'"),
        ("plan slow", "plan for what? Give --detect"),
        ("plan equal --detect 0.1", "the spread over seeds is not known: 4 converged runs with equal scores"),
        ("plan one --width 0.1", "the spread over seeds is not known: 1 converged run."),
        ("plan slow --width 0", "--width must be a number above 0, got 0"),
        ("plan slow --detect nan", "--detect must be a number above 0, got nan"),
        ("plan slow --detect 5", "for 5 percentage points say 5%"),
        ("plan percent --width 0.2%", "say the number in its own units, without a percent sign"),
        ("plan slow --detect 0.1 --power 1", "power must be a number between 0 and 1"),
        ("plan slow --detect 0.1 --paired 1", "correlation must lie between -1 and 1"),
        ("plan slow --width 0.1 --confidence 2", "confidence must be a number between 0 and 1"),
        ("plan slow --width 0.1 --metric loss", "say train/loss or test/loss"),
        ("best slow -k 25", "the best of 25 cannot be told from 24 converged runs: k must be at most 24"),
        ("best slow -k 0", "0 is not in the range x>=1"),
        ("best slow --metric auc", "slow has no score 'auc'"),
        ("best slow --confidence 2", "confidence must be a number between 0 and 1"),
        ("best never", "never has no converged run to choose from"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_nothing_is_printed(line: str, message: str, seedbed) -> None:
    status, out, err = seedbed(line)
    assert (status, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    lines = err.splitlines()
    assert len(lines) == len(set(lines))  # nothing is said twice


def test_progress_of_long_runs_is_told_before_any_is_finished(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    study = replace(load("slow", folder / "seedbed.db"), runs=())
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    file = io.StringIO()
    watcher = terminal.ProgressWatcher(Console(file=file, width=100))
    watcher.begun(study, 20)
    now[0] = 60.0
    watcher.progressed(5.0)
    now[0] = 61.0
    watcher.progressed(5.1)  # not every time
    assert file.getvalue().splitlines()[1:] == ["0/20 runs, 5.0 more under way, 180 s left"]
    bar = terminal.ProgressWatcher(Console(file=io.StringIO(), force_terminal=True, width=100))
    bar.begun(study, 20)
    bar.progressed(5.0)
    assert bar._bar is not None
    assert bar._bar.tasks[0].completed == 5.0
    bar.close()


def test_facts_are_wrapped_beside_their_labels_on_a_terminal() -> None:
    rows = [("short", "words " * 15), ("a longer label", "one")]
    file = io.StringIO()
    terminal.facts(rows, Console(file=file, force_terminal=True, width=50, color_system=None))
    lines = file.getvalue().splitlines()
    assert [line[:16] for line in lines] == ["short           ", " " * 16, " " * 16, "a longer label  "]
    assert all(len(line) <= 50 for line in lines)
    assert " ".join(line[16:] for line in lines[:3]).split() == ["words"] * 15
    file = io.StringIO()
    terminal.facts(rows[1:], Console(file=file, width=50))
    assert file.getvalue() == "a longer label\tone\n"
