"""Studies beside each other: which runs are paired, what is dropped and counted, and what is not compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed import Study, stats
from seedbed.comparing import compare, compare_many, names_of
from seedbed.errors import InputError
from seedbed.records import EvaluationSet
from seedbed.seeds import Assignment, grid
from seedbed.stats.interval import IMPORTED_RUNS
from tests.studies import DIVERGED, FAILED, Kept, plain, refusal, study_of, swapped

A = study_of("0:6", [0.5, 0.7, 0.6, 0.9, 0.8, 0.65], name="A")
B = study_of("2:9", [0.4, 0.75, 0.7, 0.6, 0.1, 0.2, 0.3], name="B")
C = study_of("1:5", [0.3, 0.35, 0.2, 0.45], name="C")


def test_runs_of_the_same_seed_are_paired_and_the_others_dropped_and_counted() -> None:
    found = compare(A, B, confidence=0.9, margin=0.01)
    expected = stats.compare([0.6, 0.9, 0.8, 0.65], [0.4, 0.75, 0.7, 0.6], True, 0.9, 0.01)
    assert (found.paired, found.n_a, found.n_b, found.dropped) == (True, 4, 4, 5)
    assert found.notes == ("paired on the 4 seeds that are shared; 5 other runs are dropped", *expected.notes)
    assert found == replace(expected, dropped=5, notes=found.notes)
    assert compare(A, A.select("5,4,3,2,1,0")).notes[0] == "the differences do not vary: no t test can be made"


@given(st.permutations(range(6)), st.permutations(range(7)))
def test_the_order_of_runs_does_not_matter(of_a: list[int], of_b: list[int]) -> None:
    before, after = compare(A, B), compare(swapped(A, of_a), swapped(B, of_b))
    assert (after.low, after.high, after.p_exact) == pytest.approx((before.low, before.high, before.p_exact))
    assert (after.wins, after.dropped, after.notes) == (before.wins, before.dropped, before.notes)


def test_without_pairing_all_runs_count() -> None:
    found = compare(A, B, paired=False)
    assert found == stats.compare(A["accuracy"], B["accuracy"])
    assert (found.paired, found.n_a, found.n_b, found.dropped, found.notes) == (False, 6, 7, 0, ())


@pytest.mark.parametrize(
    ("first", "shared", "said"), [(6, 0, "no seeds are shared"), (5, 1, "one seed alone is shared")]
)
def test_where_no_two_seeds_are_shared_runs_are_not_paired(first: int, shared: int, said: str) -> None:
    other = study_of(range(first, first + 3), [0.4, 0.7, 0.5])
    found = compare(A, other)
    assert (found.paired, found.n_a, found.n_b, found.dropped) == (False, 6, 3, 0)
    assert found.notes[0] == f"{said}: runs are compared without pairing"
    message = refusal(lambda: compare(A, other, paired=True))
    assert message == f"A and study share {shared} seeds: at least 2 are needed to pair"


def test_two_shared_seeds_are_enough() -> None:
    found = compare(A, study_of("4:9", [0.1, 0.2, 0.3, 0.4, 0.5]))
    assert (found.paired, found.n_a, found.dropped) == (True, 2, 7)


def test_diverged_runs_take_their_partners_along_and_failed_ones_were_never_there() -> None:
    a = study_of("0:6", [0.5, DIVERGED, 0.6, 0.9, FAILED, 0.65], name="A")
    found = compare(a, B)
    # Shared: 2, 3 and 5. Of A go 0 and 1, of B 4, 6, 7 and 8.
    assert (found.n_a, found.dropped) == (3, 6)
    b = study_of("0:4", [0.4, 0.5, DIVERGED, 0.7], name="B")
    found = compare(a, b)
    assert (found.n_a, found.n_b) == (2, 2)  # 0 and 3: 1 and 2 diverged in one of both
    assert found.dropped == 1 + 4  # run 5 of A, and two pairs
    assert found.difference == pytest.approx(0.15)
    assert "paired on the 4 seeds that are shared; 1 other runs are dropped" in found.notes
    assert "4 runs are left out: they diverged, or their partner did" in found.notes
    apart = compare(a, b, paired=False)
    assert (apart.n_a, apart.n_b, apart.dropped) == (4, 3, 2)


def test_seeds_of_two_splits_are_other_seeds() -> None:
    other = study_of([Assignment.plain(i, split=1) for i in range(6)], A["accuracy"], name="B")
    assert not compare(A, other).paired


def test_plain_seeds_are_compared_where_there_are_such_beside_roles() -> None:
    crossed = grid(init="0:3", order="0:3")
    mixed = study_of([*crossed, *plain(*range(6))], [*[9.0] * 9, *A["accuracy"]], name="mixed")
    assert compare(mixed, B).difference == compare(A, B).difference
    # By roles, and sharing none: paired by all their seeds.
    rows = [
        study_of(grid(init="0:5", order=3), values, name=n) for n, values in (("x", [1, 2, 3, 4, 6]), ("y", range(5)))
    ]
    found = compare(*rows)
    assert (found.paired, found.n_a, found.wins) == (True, 5, stats.Wins(5, 0, 0))
    assert found.scope.resampled == ("initial weights",)
    assert "order (seed 3)" in found.scope.fixed
    other = study_of(grid(init="0:5", order=4), range(5))
    assert compare(rows[0], other).scope.fixed == ("noise (seed 0)", "data", "split", "hyperparameters")


@pytest.mark.parametrize(
    "seeds",
    [grid(init="0:3", order="0:3"), grid(seed="0:3", split="0:3"), grid(init="0:3", order="0:3")[:-1]],
)
@pytest.mark.parametrize("paired", [None, True, False])
def test_runs_that_share_seeds_are_not_compared(seeds: tuple[Assignment, ...], paired: bool | None) -> None:
    crossed = study_of(seeds, np.arange(len(seeds)), name="crossed")
    for pair in ((A, crossed), (crossed, A), (crossed, crossed)):
        message = refusal(lambda pair=pair: compare(*pair, paired=paired))
        assert message.startswith("runs of crossed share seeds (3 ")
        assert "compare plain seeds, or select runs that share none" in message
    assert "runs of crossed share seeds" in refusal(lambda: compare_many([A, B, crossed], paired=paired))
    # One row of it may be.
    assert compare(crossed.select(seeds[0::3][:2]), A, paired=False).n_a == 2


def test_a_failed_cell_does_not_make_a_crossed_design_independent() -> None:
    crossed = study_of(grid(init="0:2", order="0:2"), [FAILED, 1, 2, FAILED])  # what is left shares no seed
    assert compare(crossed, A, paired=False).n_a == 2
    crossed = study_of(grid(init="0:2", order="0:2"), [FAILED, 1, 2, DIVERGED])
    assert "share seeds" in refusal(lambda: compare(crossed, A))


# Scores and their directions


def test_the_scores_direction_decides_what_is_better() -> None:
    ways = {"test/accuracy": True, "test/loss": False}
    a = study_of("0:4", {"test/accuracy": [1, 2, 3, 5], "test/loss": [4, 5, 6, 9]}, larger_is_better=ways, name="a")
    b = study_of("0:4", {"test/accuracy": [0, 0, 0, 1], "test/loss": [1, 1, 3, 5]}, larger_is_better=ways, name="b")
    found, losses = compare(a, b), compare(a, b, metric="loss")
    assert (found.larger_is_better, found.wins.a, found.better) == (True, 4, "a")
    assert (losses.larger_is_better, losses.wins.b, losses.verdict, losses.better) == (False, 4, "a higher", "b")
    assert compare_many([a, b], metric="loss").pairs["a", "b"].better == "b"
    assert losses.difference == compare(a, b, metric="test/loss").difference == pytest.approx(3.5)
    upside_down = study_of("0:4", [1, 2, 3, 4], larger_is_better=False)
    with pytest.raises(InputError, match="the studies do not agree whether a larger test/accuracy is better"):
        compare(a, upside_down)


def test_the_score_is_the_first_studys_primary_one_unless_named() -> None:
    other = study_of("0:4", {"test/f1": [1, 2, 3, 4], "test/accuracy": [5, 7, 6, 8]})
    assert compare(A, other).difference == pytest.approx(0.675 - 6.5)
    with pytest.raises(InputError, match="A has no score 'test/f1'; it has test/accuracy"):
        compare(other, A)
    with pytest.raises(InputError, match="A has no score 'f1'"):
        compare(A, other, metric="f1")


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InputError, match="study has no run to compare"):
        compare(A, study_of("0:2", [FAILED, FAILED]))
    with pytest.raises(InputError, match="A has no run to compare"):
        compare(A.select("99"), B)
    with pytest.raises(InputError, match="nothing is left to compare: no converged pair"):
        compare(A, study_of("0:2", [DIVERGED, DIVERGED]))
    with pytest.raises(InputError, match="no converged run of one of them"):
        compare(A, study_of("0:2", [DIVERGED, DIVERGED]), paired=False)
    with pytest.raises(InputError, match="compare takes studies, got list; for arrays there is"):
        compare(A, [1.0, 2.0])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="margin must be a number above 0"):
        compare(A, B, margin=-1)


# Imported scores


def imported(seeds: Any = None, **more: Any) -> dict[str, Study]:
    return Study.from_scores({"X": [0.5, 0.7, 0.6], "Y": [0.4, 0.65, 0.5]}, seeds, metric="accuracy", **more)


def test_imported_runs_are_paired_only_where_their_seeds_are_known() -> None:
    x, y = imported().values()
    found = compare(x, y)
    assert (found.paired, found.n_a, found.scope) == (False, 3, IMPORTED_RUNS)
    assert "no seeds are known of X, Y: runs are compared without pairing" in found.notes
    with pytest.raises(InputError, match="runs cannot be paired: no seeds are known of X, Y"):
        compare(x, y, paired=True)
    known = imported(range(3))
    assert compare(known["X"], known["Y"]).wins == stats.Wins(3, 0, 0)
    one = compare(known["X"], y)
    assert not one.paired
    assert "no seeds are known of Y: runs are compared without pairing" in one.notes
    assert not any("not known" in note for note in compare(x, y, paired=False).notes)
    # Numbers 0, 1 and 2 are all that the runs of Y have in common with a study's seeds.
    made = study_of("0:3", {"accuracy": [0.1, 0.2, 0.3]}, name="made")
    assert not compare(made, y).paired
    assert compare(made, known["Y"]).paired


def test_a_guessed_direction_is_told() -> None:
    found = compare(*imported(range(3)).values())
    assert "that a larger accuracy is better was guessed from its name" in found.notes
    assert not any("guessed" in note for note in compare(*imported(range(3), larger_is_better=True).values()).notes)
    losses = Study.from_scores({"X": [1.0, 2.0], "Y": [2.0, 4.0]}, range(2), metric="loss")
    found = compare(*losses.values())
    assert "that a smaller loss is better was guessed from its name" in found.notes
    assert found.wins == stats.Wins(2, 0, 0)


# Examples


def evaluated_on(targets: Any, *, seeds: str = "0:3", split: int = 0, name: str = "test") -> Study:
    described = EvaluationSet(name, len(targets), True, 2, np.asarray(targets))
    runs = [Assignment.plain(int(s), split) for s in range(*map(int, seeds.split(":")))]
    return study_of(runs, [0.1, 0.3, 0.2][: len(runs)], archive=Kept({split: (described,)}))


def test_other_examples_are_told() -> None:
    here = evaluated_on([0, 1, 1])
    note = "the studies were evaluated on different examples: what differs between those is in the difference"
    for other in (evaluated_on([0, 1, 0]), evaluated_on([0, 1])):
        assert note in compare(here, other).notes
        assert note in compare_many([here, here, other]).notes
    assert note not in compare(here, evaluated_on([0, 1, 1])).notes
    assert note in compare(here, evaluated_on([1, 1, 1], split=3)).notes  # each of its own split
    # Of a set that is not recorded, of another one, and of imported scores nothing is known.
    for other in (A, evaluated_on([1, 0, 0], name="validation"), *imported().values()):
        metric = None if "accuracy" not in other.scores else "accuracy"
        pair = (here, other) if metric is None else (other, here)
        assert note not in compare(*pair).notes


# Several studies


def test_several_studies_are_compared_on_the_seeds_that_all_share() -> None:
    found = compare_many([A, B, C], confidence=0.9)
    expected = stats.compare_many({"A": [0.6, 0.9, 0.8], "B": [0.4, 0.75, 0.7], "C": [0.35, 0.2, 0.45]}, True, 0.9)
    assert found.names == ("A", "B", "C")
    assert found.pairs == expected.pairs
    assert found.p_adjusted == expected.p_adjusted
    assert found.notes == ("paired on the 3 seeds that are shared; 8 other runs are dropped", *expected.notes)
    assert not found.exploratory
    shuffled = compare_many([swapped(A, [5, 3, 1, 0, 2, 4]), swapped(B, range(6, -1, -1)), C], confidence=0.9)
    for key, pair in found.pairs.items():
        assert shuffled.pairs[key].low == pytest.approx(pair.low)


def test_several_studies_without_shared_seeds_are_not_paired() -> None:
    far = study_of("5:8", [0.1, 0.3, 0.2], name="far")  # shares one seed with A, and none with C
    found = compare_many([A, B, C, far])
    assert all(not pair.paired and pair.dropped == 0 for pair in found.pairs.values())
    assert found.pairs["A", "far"].n_a == 6
    assert "no seeds are shared: runs are compared without pairing" in found.notes
    with pytest.raises(InputError, match="A and B and C and far share 0 seeds"):
        compare_many([A, B, C, far], paired=True)
    assert compare_many([A, B, C], paired=False).pairs["A", "C"].n_b == 4


def test_another_score_than_the_primary_one_is_exploratory() -> None:
    both = [study_of("0:3", {"test/a": [1, 2, 4], "test/b": [i, 5, 6]}, name=f"s{i}") for i in range(3)]
    assert not compare_many(both).exploratory
    assert not compare_many(both, metric="a").exploratory
    assert compare_many(both, metric="b").exploratory
    for too_few in ([], [A]):
        with pytest.raises(InputError, match=f"at least two studies, got {len(too_few)}"):
            compare_many(too_few)


def test_drawn_arrangements_repeat_by_their_seed() -> None:
    rng = np.random.default_rng(0)
    a, b = (study_of("0:30", rng.normal(size=30), name=n) for n in "ab")
    assert compare(a, b, rng=1) == compare(a, b, rng=1)
    assert compare(a, b, rng=1).p_exact != compare(a, b, rng=2).p_exact
    assert compare_many([a, b], rng=1).pairs["a", "b"].p_exact == compare(a, b, rng=1).p_exact


def test_studies_of_one_name_are_told_apart() -> None:
    assert names_of([A, B, A, A]) == ("A", "B", "A (2)", "A (3)")
    second = study_of("0:2", [1, 2], name="A (2)")
    assert names_of([second, A]) == ("A (2)", "A")
    assert names_of([second, A, A]) == ("A (2)", "A", "A (3)")
    assert names_of([A, A, second]) == ("A", "A (2)", "A (2) (2)")
    assert compare_many([second, A, A]).names == ("A (2)", "A", "A (3)")
    assert math.isfinite(compare(second, A).difference)


def test_of_two_studies_another_score_than_the_primary_one_is_exploratory() -> None:
    scores = {"test/accuracy": [0.7, 0.8, 0.9], "test/loss": [0.4, 0.3, 0.2]}
    a, b = (study_of(range(3), scores, name=name) for name in ("a", "b"))
    assert not any("exploratory" in note for note in compare(a, b).notes)
    assert not any("exploratory" in note for note in compare(a, b, metric="test/accuracy").notes)
    (note,) = (note for note in compare(a, b, metric="loss").notes if "exploratory" in note)
    assert note.startswith("exploratory: test/loss is not the primary score of a, which is test/accuracy")
