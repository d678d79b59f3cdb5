"""The spread over seeds that differences are measured by: of the study in the store, where it is of what is audited."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import seedbed as sb
from seedbed.auditing import spread
from seedbed.seeds import Assignment

PLAIN = Assignment.plain(0)
TRIALS = """
import seedbed as sb

@sb.trial
def own(seed: int, scale: float = 1.0) -> dict[str, float]:
    return {{"score": scale * (seed % 7) + {added}}}
"""


def experiment(rows: int = 40, lr: float = 0.1) -> sb.Experiment:
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(1))
    return sb.Experiment(
        name="tiny",
        model=lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        data=sb.Data(train=TensorDataset(x, (x[:, 0] > 0).long())),
        loss=nn.CrossEntropyLoss(),
        optimizer=functools.partial(torch.optim.SGD, lr=lr),
        batch_size=20,
        epochs=2,
        metrics={"accuracy": sb.metrics.accuracy},
    )


def kept(subject: sb.Experiment, store: Path, runs: int = spread.ENOUGH) -> None:
    sb.run(subject, range(runs), store=store, engine="reference", workers=0, verify=False)


def found(subject: sb.Experiment, store: Path) -> spread.Spread | None:
    compared = spread.comparison(subject, PLAIN, store)
    return spread.over_seeds(subject, "train/accuracy", PLAIN, store, compared, {"workers": 0, "engine": "reference"})


def test_of_the_study_in_the_store_where_it_is_the_same_experiment(tmp_path):
    store = tmp_path / "s.db"
    kept(experiment(), store)
    assert found(experiment(), store).source == "8 runs of study tiny"


@pytest.mark.parametrize(
    ("other", "words"), [({"lr": 0.2}, "optimizer: SGD(dampening=0"), ({"rows": 60}, "data of split 0: hash")]
)
def test_a_study_of_another_experiment_is_not_taken_for_it(tmp_path, other, words):
    store = tmp_path / "s.db"
    kept(experiment(), store)
    own = found(experiment(**other), store)
    assert own.runs == spread.MADE
    assert "12 seeds trained for it" in own.source
    assert "the stored study tiny is of another experiment: " in own.source
    assert words in own.source
    assert len(sb.load("tiny", store)) == spread.ENOUGH  # nothing is added to it


def test_of_too_few_runs_seeds_are_trained(tmp_path):
    store = tmp_path / "s.db"
    kept(experiment(), store, runs=2)
    assert found(experiment(), store).source == "12 seeds trained for it by the reference engine"


def test_without_a_store_none_is_made(tmp_path):
    store = tmp_path / "none.db"
    assert spread.comparison(experiment(), PLAIN, store) is None
    assert not store.exists()


def test_data_that_are_others_each_time_are_no_study(tmp_path):
    store = tmp_path / "s.db"
    kept(experiment(), store)
    calls = []

    def data(split: int) -> sb.Data:
        calls.append(split)
        return experiment(rows=40 + len(calls)).data

    compared = spread.comparison(replace(experiment(), data=data), PLAIN, store)
    assert compared is not None
    assert compared.differences


@pytest.mark.parametrize(("added", "words"), [("0.0", ""), ("(seed == 99)", ", whose source has changed since")])
def test_a_trial_whose_source_has_changed_is_said_to_be(tmp_path, monkeypatch, added, words):
    from seedbed import targets

    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(TRIALS.format(added="0.0"))
    sb.run(targets.build("own.py:own", {}), range(10), store="s.db", workers=0)
    Path("own.py").write_text(TRIALS.format(added=added))
    trial = targets.build("own.py:own", {})
    compared = spread.comparison(trial, PLAIN, "s.db")
    own = spread.over_seeds(trial, "score", PLAIN, "s.db", compared, {})
    assert own.source == f"10 runs of study own{words}"
