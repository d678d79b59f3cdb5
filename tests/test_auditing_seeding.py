"""Calls that seed or make generators, told with their lines."""

from __future__ import annotations

import pickle
import random
import time

import numpy as np
import pytest
import torch

from seedbed.auditing import seeding

CALLS = {
    "random.seed": lambda: random.seed(5),
    "random.Random": lambda: random.Random(5),
    "numpy.random.seed": lambda: np.random.seed(5),
    "numpy.random.default_rng": lambda: np.random.default_rng(5),
    "numpy.random.RandomState": lambda: np.random.RandomState(5),
    "torch.manual_seed": lambda: torch.manual_seed(5),
}
UNSEEDED = {
    "random.Random": lambda: random.Random(),
    "numpy.random.default_rng": lambda: np.random.default_rng(),
    "numpy.random.RandomState": lambda: np.random.RandomState(),
    "numpy.random.seed": lambda: np.random.seed(),
    "torch.seed": lambda: torch.seed(),
    "torch.manual_seed": lambda: torch.manual_seed(time.time_ns() % 2**31),
}


def told(call):
    found = []
    with seeding.watched(lambda *each: found.append(each)):
        call()
    return found


@pytest.mark.parametrize("name", CALLS)
def test_a_seeded_generator_is_told_the_same_each_time(name):
    one, other = told(CALLS[name]), told(CALLS[name])
    assert one == other
    ((call, _, directly),) = one
    assert call == f"{name} at tests/test_auditing_seeding.py:{CALLS[name].__code__.co_firstlineno}"
    assert directly


@pytest.mark.parametrize("name", UNSEEDED)
def test_an_unseeded_one_is_told_otherwise_each_time(name):
    ((one, first, _),), ((other, second, _),) = told(UNSEEDED[name]), told(UNSEEDED[name])
    assert one == other
    assert one.startswith(f"{name} at ")
    assert first != second


def test_what_a_library_makes_for_itself_is_told_apart():
    from sklearn.utils import check_random_state

    ((call, _, directly),) = told(lambda: check_random_state(7))
    assert call.startswith("numpy.random.RandomState at tests/test_auditing_seeding.py")
    assert not directly


def test_everything_is_as_it_was_afterwards():
    holders = (random, np.random, torch, torch.random)
    before = [dict(vars(holder)) for holder in holders]
    told(lambda: None)
    assert [dict(vars(holder)) for holder in holders] == before


def test_generators_made_meanwhile_are_what_they_would_have_been():
    made = []
    told(lambda: made.extend([np.random.RandomState(3), random.Random(3), np.random.default_rng(3)]))
    state, python, generator = made
    assert isinstance(state, np.random.RandomState)
    assert state.randint(1000) == np.random.RandomState(3).randint(1000)
    assert python.random() == random.Random(3).random()
    assert generator.random() == np.random.default_rng(3).random()
    with seeding.watched(lambda *_: None):
        assert isinstance(np.random.mtrand._rand, np.random.RandomState)  # as sklearn asks
        again = pickle.loads(pickle.dumps(np.random.RandomState(3)))
        assert again.randint(1000) == np.random.RandomState(3).randint(1000)


@pytest.mark.parametrize("name", UNSEEDED)
def test_a_call_can_be_seeded_to_see_what_comes_of_it(name):
    ((call, _, _),) = told(UNSEEDED[name])
    found = []
    for _ in range(2):
        with seeding.watched(lambda *each: found.append(each), {call}):
            UNSEEDED[name]()
    assert found[0] == found[1]
    with seeding.watched(lambda *each: found.append(each), {"another call"}):
        UNSEEDED[name]()
    assert found[2] != found[1]


def test_what_a_seeded_call_returns_is_what_it_would():
    def made():
        return random.Random(), np.random.default_rng(), np.random.RandomState(), torch.seed()

    calls = {call for call, _, _ in told(made)}
    with seeding.watched(lambda *_: None, calls):
        python, generator, state, seed = made()
    assert python.random() == random.Random(0).random()
    assert generator.random() == np.random.default_rng(0).random()
    assert state.random_sample() == np.random.RandomState(0).random_sample()
    assert seed == 0


def test_what_pythons_own_modules_and_modules_that_are_loaded_make_for_themselves_is_not_told(tmp_path, monkeypatch):
    import tempfile

    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "made_when_loaded.py").write_text("import random\nown = random.Random()\n")
    monkeypatch.syspath_prepend(str(installed))
    assert not told(lambda: tempfile._RandomNameSequence().rng)
    assert not told(lambda: __import__("made_when_loaded"))
