"""Which conditions there are, and what is said of those that cannot be asked."""

from __future__ import annotations

import pytest

import seedbed as sb
from seedbed import cores
from seedbed.auditing.conditions import FAMILIES, Circumstances, check, check_threads, chosen, made, proposed
from seedbed.auditing.setting import Setting

BASE = Setting()
EXPERIMENT = Circumstances(capability="avx2", fills_memory=True)
TRIAL = Circumstances(capability="avx2", is_trial=True, fills_memory=True)
PROGRAM = Circumstances(capability="avx2", is_program=True, fills_memory=True)


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 4)


def names(found):
    return [each.name for each in found]


def test_what_is_proposed_for_an_experiment():
    assert names(proposed(BASE, EXPERIMENT)) == [
        "again", "hash=1", "hash=2", "memory", "threads=2", "threads=2 again", "threads=4", "threads=4 again", "onednn",
        "deterministic", "evaluation", "isa=default", "engine=lanes", "engine=stacked", "float64",
    ]  # fmt: skip


def test_what_depends_on_how_rows_are_loaded():
    items = Circumstances(capability="", loads_items=True)
    assert [n for n in names(proposed(BASE, items)) if n.startswith("workers")] == ["workers=1", "workers=2"]
    trial = Circumstances(capability="", loads_items=True, is_trial=True)
    assert "workers=0" in names(proposed(BASE, trial))


def test_of_trials_and_programs_only_what_can_be_set():
    assert not {"engine=lanes", "float64", "evaluation"} & set(names(proposed(BASE, TRIAL)))
    assert set(names(proposed(BASE, PROGRAM))) == {
        "again", "hash=1", "hash=2", "memory", "threads=2", "threads=2 again", "threads=4", "threads=4 again",
        "isa=default",
    }  # fmt: skip


def test_every_number_of_threads_is_asked_against_the_base_and_against_itself():
    one, again = made("threads=3", BASE)
    assert (one.against, one.setting.threads) == (BASE, 3)
    assert (again.against, again.kind) == (one.setting, "same")
    assert names(proposed(Setting(threads=4), TRIAL)).count("threads=1") == 1


def test_a_family_stands_for_all_that_is_proposed_of_it_and_a_value_for_itself():
    assert names(chosen(["threads"], BASE, TRIAL)) == ["threads=2", "threads=2 again", "threads=4", "threads=4 again"]
    assert names(chosen(["threads=7", "again"], BASE, TRIAL)) == ["threads=7", "threads=7 again", "again"]


def test_what_the_base_has_already_is_a_repetition():
    (hashed,) = chosen(["hash=0"], BASE, EXPERIMENT)
    assert hashed.is_repetition
    assert hashed.setting != hashed.against
    assert [each.is_repetition for each in chosen(["threads=1"], BASE, TRIAL)] == [True]


BAD = ["agian", "threads=0", "threads=x", "again=2", "isa=neon", "workers=-1", "", "engine=mine", "device=abacus:x"]


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_none(name):
    with pytest.raises(sb.InputError):
        check([name])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("engine", TRIAL),
        ("float64", TRIAL),
        ("workers", EXPERIMENT),
        ("workers=2", EXPERIMENT),
        ("onednn", PROGRAM),
        ("evaluation", TRIAL),
        ("device", EXPERIMENT),
        ("isa", Circumstances(capability="")),
        ("memory", Circumstances(capability="", fills_memory=False)),
    ],
)
def test_conditions_that_are_none_here_are_refused_with_the_reason(name, found):
    with pytest.raises(sb.InputError, match=name.partition("=")[0]):
        chosen([name], BASE, found)


def test_every_family_is_made_and_changes_something():
    for family in FAMILIES:
        value = {"hash": "=3", "threads": "=2", "workers": "=1", "isa": "=avx2", "engine": "=lanes", "device": "=cuda"}
        condition = made(family + value.get(family, ""), BASE)[0]
        assert condition.family == family
        assert condition.setting != condition.against


def test_settings_add_up():
    both = BASE.but(torch={"onednn": False}).but(torch={"deterministic_algorithms": "warn"}, threads=2)
    assert dict(both.torch) == {"onednn": False, "deterministic_algorithms": "warn"}
    assert BASE.but(variables={"A": "1"}).environment == {"PYTHONHASHSEED": "0", "A": "1"}


def test_no_names_and_too_many_threads_are_refused():
    for call in (lambda: check([]), lambda: check(["threads=9999"]), lambda: check_threads(9999)):
        with pytest.raises(sb.InputError):
            call()
    check_threads(64)
    check(["threads=16"])
