"""Statistics of studies: what their seeds form decides what may be said, and whatever is left out is counted."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from seedbed import Study, stats
from seedbed.errors import InputError
from seedbed.records import EvaluationSet, Status
from seedbed.seeds import Assignment, grid
from seedbed.stats.examples import TRAINING_ROWS
from seedbed.stats.interval import IMPORTED_RUNS
from tests.studies import DIVERGED, FAILED, Kept, additive, classified, nothing, plain, refusal, study_of, swapped

TABLE = additive(6, 5, 1.0, 0.5, 0.3, seed=0)  # scores [init, order] of 30 runs
CELLS = grid(init="0:6", order="0:5")
RNG = np.random.default_rng(0)
ANSWERS = RNG.random((30, 40)) < 0.7 + 0.2 * RNG.uniform(-1, 1, (30, 1))  # of 30 runs on 40 examples


def lost(scores: Any, places: dict[int, str]) -> list[Any]:
    """Scores with a status in these places."""
    return [places.get(i, score) for i, score in enumerate(np.ravel(scores))]


# Scores, directions, parts


def test_scores_are_known_by_their_full_name_or_by_what_no_other_set_has() -> None:
    study = study_of("0:2", {"test/accuracy": [1, 2], "test/loss": [3, 4], "train/loss": [5, 6]})
    assert study.check_score() == "test/accuracy"
    assert study.check_score("accuracy") == "test/accuracy"
    assert study.check_score("train/loss") == "train/loss"
    assert study["accuracy"].tolist() == [1, 2]
    with pytest.raises(InputError, match="'loss' of several evaluation sets: say test/loss or train/loss"):
        study.check_score("loss")
    with pytest.raises(InputError, match="no score 'f1'; it has test/accuracy, test/loss, train/loss"):
        study["f1"]
    with pytest.raises(InputError, match="no score 'test'"):
        study.check_score("test")


def test_each_score_has_its_direction() -> None:
    ways = {"test/accuracy": True, "test/loss": False}
    study = study_of("0:2", {"test/accuracy": [1, 2], "test/loss": [3, 4]}, larger_is_better=ways)
    assert (study.larger_is_better(), study.larger_is_better("loss")) == (True, False)
    with pytest.raises(InputError, match="no score 'f1'"):
        study.larger_is_better("f1")


def test_parts_of_a_study_keep_its_order() -> None:
    seeds = [*plain(5), Assignment.roles(1, 2), *plain(3), Assignment.roles(1, 1)]
    study = study_of(seeds, [1, 2, DIVERGED, FAILED])
    assert study.plain.assignments == plain(5, 3)
    assert study.by_roles.assignments == (Assignment.roles(1, 2), Assignment.roles(1, 1))
    assert study.done.assignments == (seeds[0], seeds[1])
    assert [study.count(status) for status in Status] == [2, 1, 1]
    assert study["test/accuracy"].tolist()[:2] == [1, 2]
    assert nothing(*study["test/accuracy"][2:])  # what a diverged run scored is no number to use


def test_the_scope_is_of_what_varied() -> None:
    assert study_of("0:3", [1, 2, 3]).scope == stats.Scope(("seeds",), ("data", "split", "hyperparameters"))
    assert study_of("4", [1]).scope.resampled == ("seeds",)
    crossed = study_of(grid(init="0:2", order="0:2", noise=7), [1, 2, 3, 4]).scope
    assert crossed == stats.Scope(
        ("initial weights", "order"), ("noise (seed 7)", "data", "split", "hyperparameters")
    )  # fmt: skip
    splits = study_of([Assignment.plain(i, i) for i in range(3)], [1, 2, 3]).scope
    assert splits == stats.Scope(("seeds", "split"), ("data", "hyperparameters"))
    assert Study.from_scores({"A": [1.0, 2.0]})["A"].scope == IMPORTED_RUNS


def test_a_selection_of_nothing_is_refused_by_every_statistic() -> None:
    empty = classified("0:4", ANSWERS[:4]).select("7")
    for call in (
        lambda: empty.design,
        lambda: empty.scope,
        empty.summary,
        empty.test_set_luck,
        empty.best_seed_holdout,
        empty.seeds_and_examples_interval,
        empty.disagreement,
        empty.ensemble_gain,
        lambda: empty.expected_best(1),
    ):
        assert refusal(call) == "no run of study is selected"


# Summaries


def test_a_summary_of_independent_runs_is_that_of_their_scores() -> None:
    scores = np.random.default_rng(1).normal(size=12)
    for seeds in (plain(*range(12)), grid(init="0:12"), [Assignment.roles(i, 50 - i, 3 * i) for i in range(12)]):
        study = study_of(seeds, lost(scores, {3: FAILED, 5: DIVERGED}))
        found = study.summary(confidence=0.9)
        expected = stats.summarize([math.nan if i == 5 else x for i, x in enumerate(scores) if i != 3], 0.9)
        assert (found.n, found.n_diverged, found.mean) == (10, 1, expected.mean)
        assert (found.mean_low, found.mean_high) == (expected.mean_low, expected.mean_high)
        assert (found.sd_low, found.next_high, found.notes) == (expected.sd_low, expected.next_high, expected.notes)
        assert found.scope == found.diverged_rate.scope == study.scope


def test_a_summary_needs_a_run_that_ended() -> None:
    assert study_of("0:2", [DIVERGED, DIVERGED]).summary().n == 0
    assert study_of(grid(init="0:2", order="0:2"), [DIVERGED] * 4).summary().notes == ("no run converged",)
    with pytest.raises(InputError, match="study has no run to summarize: all have failed"):
        study_of("0:2", [FAILED, FAILED]).summary()
    with pytest.raises(InputError, match="no score 'x'"):
        study_of("0:2", [1, 2]).summary("x")


def test_runs_of_a_crossed_design_are_not_counted_as_independent() -> None:
    study = study_of(CELLS, TABLE.ravel())
    found, mean, both = study.summary(), stats.crossed_mean_interval(TABLE), stats.isolate(TABLE).both_vary
    student = stats.mean_interval(TABLE.ravel())
    assert (found.mean, found.n) == (pytest.approx(TABLE.mean()), 30)
    assert (found.mean_low, found.mean_high) == (mean.low, mean.high)
    assert found.mean_high - found.mean_low > 1.5 * (student.high - student.low)
    assert (found.sd, found.sd_low, found.sd_high) == (both.estimate, both.low, both.high)
    assert found.sd > np.std(TABLE, ddof=1)  # pairs that share a seed differ less
    assert found.sd_method.endswith(", of runs that share no seed")
    assert nothing(found.sem, found.next_low, found.next_high)
    assert found.next_method == ""
    assert found.notes[0] == (
        "runs share seeds (6 of initial weights x 5 of order): the interval of the mean allows for it, and none is "
        "given for a further run"
    )
    assert found.scope == study.scope
    shuffled = swapped(study, np.random.default_rng(3).permutation(30))
    assert shuffled.summary().mean_low == pytest.approx(found.mean_low)
    assert study.summary(confidence=0.8).mean_low == stats.crossed_mean_interval(TABLE, 0.8).low


def test_plain_seeds_crossed_with_splits_share_seeds_too() -> None:
    found = study_of(grid(seed="0:6", split="0:5"), TABLE.ravel()).summary()
    assert found.mean_low == stats.crossed_mean_interval(TABLE).low
    assert found.notes[0].startswith("the 5 splits are of one data set")
    assert "6 plain x 5 of split" in found.notes[1]


def test_three_roles_have_an_interval_of_the_mean_alone() -> None:
    table = np.random.default_rng(4).normal(size=(3, 2, 4)) + np.arange(3.0)[:, None, None]
    found = study_of(grid(init="0:3", order="0:2", noise="0:4"), table.ravel()).summary()
    assert (found.mean_low, found.mean_high) == pytest.approx(
        (stats.crossed_mean_interval(table).low, stats.crossed_mean_interval(table).high)
    )
    assert nothing(found.sd_low, found.sd_high, found.sem)
    assert any("of the interval of the mean: with 2 levels of a role" in note for note in found.notes)


def test_a_crossed_design_with_a_diverged_run_is_made_whole_for_its_intervals() -> None:
    study = study_of(CELLS, lost(TABLE, {7: DIVERGED}))  # init 1, order 2: 6 runs of an order, 5 of an init
    found, whole = study.summary(), np.delete(TABLE, 1, axis=0)
    assert (found.n, found.n_diverged) == (29, 1)
    assert found.mean == pytest.approx(np.delete(TABLE.ravel(), 7).mean())
    assert found.mean_high == stats.crossed_mean_interval(whole).high
    assert any(note.endswith("missing or diverged: init 1") for note in found.notes)


def test_entangled_runs_have_no_interval() -> None:
    plain_beside = [*plain(0, 1), *grid(init="0:3", order="0:2")]
    for seeds, scores in (
        (CELLS[:-1], TABLE.ravel()[:-1]),
        (plain_beside, range(8)),
        (CELLS, lost(TABLE, {0: FAILED})),
    ):
        found = study_of(seeds, scores).summary()
        assert nothing(found.sem, found.mean_low, found.mean_high, found.sd_low, found.sd_high, found.next_low)
        assert (found.sd_method, found.next_method) == ("", "")
        assert math.isfinite(found.mean)
        assert found.notes[0].startswith("runs share seeds (")
        assert found.notes[0].endswith("no interval can be given. Select runs that share none")


def test_a_table_that_cannot_be_made_whole_has_no_interval() -> None:
    found = study_of(grid(init="0:2", order="0:2"), [1, 2, 3, DIVERGED]).summary()
    assert nothing(found.mean_low, found.sd_low)
    assert "no interval can be given" in found.notes[0]


def test_notes_of_intervals_of_independent_runs_are_not_made_of_others() -> None:
    skewed = np.random.default_rng(5).exponential(size=(10, 10)) ** 3
    alone, crossed = (
        stats.summarize(skewed.ravel()),
        study_of(grid(init="0:10", order="0:10"), skewed.ravel()).summary(),
    )
    assert any("mean_interval with method studentized" in note for note in alone.notes)
    assert any("is Bonett's" in note for note in alone.notes)
    assert not any("studentized" in note or "Bonett" in note for note in crossed.notes)
    assert any("far from the others" in note for note in crossed.notes)  # what is of the values themselves stays


def test_equal_scores_of_a_crossed_design() -> None:
    found = study_of(CELLS, np.full(30, 0.5)).summary()
    assert (found.mean, found.sd) == (0.5, 0.0)
    assert nothing(found.mean_low, found.mean_high, found.sd_low)
    assert "all values are equal" in found.notes


# Crossed designs taken apart


def test_a_crossed_design_is_taken_apart_as_its_table() -> None:
    study = study_of([*plain(0, 1), *CELLS], [9.0, 9.0, *TABLE.ravel()])
    shuffled = swapped(study, np.random.default_rng(6).permutation(32))
    for each in (study, shuffled):
        found, expected = each.decompose(confidence=0.9), stats.variance_components(TABLE, 0.9, noise="seed 0")
        assert (found.init, found.order, found.residual, found.noise) == (
            expected.init, expected.order, expected.residual, "seed 0"
        )  # fmt: skip
        assert found.notes == ("2 runs with plain seeds are left out", *expected.notes)
        assert found.scope == study.by_roles.scope
        apart, table = each.isolate(confidence=0.9), stats.isolate(TABLE, 0.9)
        assert (apart.init_varies.low, apart.order_varies.high, apart.both_vary.estimate) == (
            table.init_varies.low, table.order_varies.high, table.both_vary.estimate
        )  # fmt: skip
        assert apart.both_vary.note == f"2 runs with plain seeds are left out; {table.both_vary.note}"
        assert apart.both_vary.scope == study.by_roles.scope


def test_seeds_of_noise_are_replicates() -> None:
    table = np.random.default_rng(7).normal(size=(3, 4, 2))
    study = study_of(grid(init="0:3", order="0:4", noise="5:7"), table.ravel())
    found, expected = study.decompose(), stats.variance_components(table)
    assert (found.interaction, found.residual, found.noise) == (expected.interaction, expected.residual, "2 seeds")
    assert study.isolate().n_replicates == 2


def test_what_a_table_lacks_is_told() -> None:
    study = study_of(CELLS, lost(TABLE, {7: DIVERGED, 9: FAILED}))
    whole = np.delete(TABLE, 1, axis=0)
    assert study.decompose().init == stats.variance_components(whole).init
    assert study.isolate().both_vary.estimate == stats.isolate(whole).both_vary.estimate
    for note in (study.decompose().notes[0], study.isolate().init_varies.note):
        assert "missing or diverged: init 1" in note


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (plain(0, 1), "its runs have plain seeds, which decide initial weights and order together"),
        (grid(init="0:2"), "no crossed design to take apart: order did not vary"),
        (grid(noise="0:2"), "no crossed design to take apart: init and order did not vary"),
        (grid(init="0:2", split="0:1"), "no crossed design to take apart: order did not vary"),
        ([Assignment.roles(i, i) for i in range(3)], "3 of the 9 combinations"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused(seeds: Any, message: str) -> None:
    study = study_of(seeds, range(len(seeds)))
    for call in (study.decompose, study.isolate):
        assert message in refusal(call)
    assert "no score 'x'" in refusal(lambda: study_of(CELLS, TABLE.ravel()).decompose("x"))


# Examples


def test_correct_is_of_classes_and_of_one_split() -> None:
    study = classified("0:30", ANSWERS)
    found = study.correct("test")
    assert np.array_equal(found, ANSWERS)
    assert study.correct("test") is found
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = True
    assert np.array_equal(swapped(study, range(29, -1, -1)).correct("test"), ANSWERS[::-1])
    assert np.array_equal(study.select("4,2").correct("test"), ANSWERS[[4, 2]])
    with pytest.raises(InputError, match="no evaluation set 'validation'; it has test"):
        study.correct("validation")
    with pytest.raises(InputError, match=r"no predictions on 'test' for 1 of 30 runs \(the first: 3\)"):
        classified("0:30", ANSWERS, lost={3: FAILED}).correct("test")
    splits = classified([Assignment.plain(i, i % 2) for i in range(4)], ANSWERS[:4])
    with pytest.raises(InputError, match="runs of 2 splits have different examples"):
        splits.correct("test")


def test_values_are_neither_right_nor_wrong() -> None:
    described = EvaluationSet("test", 3, True, None, np.zeros(3))
    kept = Kept({0: (described,)}, {"test": {each.key: np.ones(3) for each in plain(0, 1, 2)}})
    study = study_of("0:3", {"test/mse": [1, 2, 3]}, archive=kept)
    for call in (
        study.test_set_luck,
        study.best_seed_holdout,
        study.seeds_and_examples_interval,
        study.disagreement,
        study.ensemble_gain,
    ):
        assert "predict values, not classes" in refusal(call)


LOST = {2: DIVERGED, 5: FAILED}
LEFT = np.delete(ANSWERS, [2, 5], axis=0)


def test_statistics_of_examples_are_of_the_runs_that_converged() -> None:
    study = classified("0:30", ANSWERS, lost=LOST)
    targets = np.arange(40) % 2
    predicted = np.where(LEFT, targets, 1 - targets)
    luck, expected = study.test_set_luck(confidence=0.9), stats.test_set_luck(LEFT, 0.9)
    assert (luck.performance_variance, luck.low, luck.high, luck.n_runs) == (
        expected.performance_variance, expected.low, expected.high, 28
    )  # fmt: skip
    assert luck.notes[0].startswith("2 of 30 runs are left out")
    assert luck.notes[1:] == expected.notes
    assert luck.scope == stats.interval.SEEDS
    assert study.best_seed_holdout(splits=20, confidence=0.8, rng=1) == stats.best_seed_holdout(LEFT, 1, 20, 0.8)
    for method in ("anova", "bootstrap"):
        assert study.seeds_and_examples_interval(None, 0.9, method, rng=2) == stats.seeds_and_examples_interval(
            LEFT, None, 0.9, method, rng=2
        )
    assert study.disagreement() == stats.disagreement(predicted)
    assert study.ensemble_gain() == stats.ensemble_gain(predicted, targets)
    assert study.disagreement("test") == study.disagreement()
    assert classified("0:30", ANSWERS).test_set_luck().notes == stats.test_set_luck(ANSWERS).notes


def test_training_rows_are_no_test_set_unless_that_is_stated() -> None:
    study = classified("0:30", ANSWERS, held_out=False)
    with pytest.raises(InputError, match=r"rows of 'test' are those that the runs of study were trained on.*held_out"):
        study.test_set_luck()
    found = study.test_set_luck(held_out=False)
    assert "rows that the runs were trained on" in found.notes[0]
    assert found.scope.fixed == TRAINING_ROWS.fixed
    unlabelled = classified("0:30", ANSWERS).test_set_luck(held_out=False)  # they are held out, whatever was stated
    assert not any("trained on" in note for note in unlabelled.notes)


def test_luck_of_a_crossed_design_is_that_of_its_table() -> None:
    study = classified(CELLS, ANSWERS, lost={7: FAILED})
    shuffled = swapped(study, np.random.default_rng(8).permutation(30))
    expected = stats.test_set_luck(np.delete(ANSWERS.reshape(6, 5, 40), 1, axis=0))
    for each in (study, shuffled):
        found = each.test_set_luck()
        assert (found.performance_variance, found.low, found.n_runs) == (
            pytest.approx(expected.performance_variance), pytest.approx(expected.low), 25
        )  # fmt: skip
        assert found.notes[0].startswith("5 of 30 runs are left out")
        assert found.notes[1].endswith("missing or diverged: init 1")
        assert found.scope.resampled == ("initial weights", "order")


def test_a_plain_run_is_no_cell_of_a_table() -> None:
    # Seed 0 has init 0 and order 0, as a cell has; it is another run all the same.
    answers = np.concatenate([~ANSWERS[:1], ANSWERS])
    study = classified([*plain(0), *CELLS], answers)
    expected = classified(CELLS, ANSWERS).test_set_luck().performance_variance
    for each in (study, swapped(study, [*range(1, 31), 0])):
        assert each.test_set_luck().performance_variance == pytest.approx(expected)
        assert each.test_set_luck().notes[0].startswith("1 of 31 runs are left out")


def test_plain_runs_are_taken_where_there_are_such_beside_others() -> None:
    plain_scores = np.random.default_rng(9).normal(size=25)
    mixed = study_of([*CELLS, *plain(*range(25))], [*TABLE.ravel(), *plain_scores])
    assert mixed.expected_best(1) == stats.expected_best(plain_scores, 1)
    answers = classified([*CELLS, *plain(*range(30))], np.concatenate([ANSWERS, ANSWERS[::-1]]))
    assert answers.seeds_and_examples_interval() == stats.seeds_and_examples_interval(ANSWERS[::-1])
    luck = answers.test_set_luck()
    assert luck.performance_variance == stats.test_set_luck(ANSWERS[::-1]).performance_variance
    assert luck.notes[0].startswith("30 of 60 runs are left out")
    assert luck.scope.resampled == ("seeds",)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda s: s.expected_best(1), "an expected best"),
        (lambda s: s.expected_bests([1, 2]), "an expected best"),
        (lambda s: s.seeds_and_examples_interval(), "an interval over seeds and examples"),
    ],
)
def test_runs_that_share_seeds_are_refused_by_what_supposes_independence(call: Any, what: str) -> None:
    message = refusal(lambda: call(classified(CELLS, ANSWERS)))
    assert message == (
        f"{what} needs runs that share no seed, and these do (6 of initial weights x 5 of order): select one of each, "
        f"such as those of one order"
    )


def test_luck_of_other_designs_is_refused() -> None:
    three = classified(grid(init="0:2", order="0:3", noise="0:5"), ANSWERS)
    assert "test-set luck needs runs that share no seed" in refusal(three.test_set_luck)
    sparse = classified([Assignment.roles(i, j) for i, j in [(0, 0), (1, 1), (2, 2), (2, 3)]], ANSWERS[:4])
    assert "4 of the 12 combinations" in refusal(sparse.test_set_luck)
    one_plain = classified([*plain(9), *[Assignment.roles(i, i) for i in range(5)]], ANSWERS[:6])
    assert "at least 2 runs" in refusal(one_plain.test_set_luck)
    splits = classified([Assignment.plain(i, i) for i in range(4)], ANSWERS[:4])
    assert "runs of 4 splits" in refusal(splits.test_set_luck)


def test_imported_scores_have_no_examples() -> None:
    study = Study.from_scores({"A": [0.5, 0.6, 0.7]}, seeds=range(3))["A"]
    for call in (study.test_set_luck, study.best_seed_holdout, study.disagreement, study.ensemble_gain):
        assert "its scores were imported" in refusal(call)
    assert study.expected_best(2).estimate == pytest.approx(np.mean([0.6, 0.7, 0.7]))
    assert study.summary().mean == pytest.approx(0.6)


# The best


def test_expected_bests_are_of_the_scores_and_their_direction() -> None:
    scores = np.random.default_rng(10).normal(size=45)
    ways = {"test/accuracy": True, "test/loss": False}
    given = {"test/accuracy": lost(scores, {4: DIVERGED, 6: FAILED}), "test/loss": -scores}
    study = study_of("0:45", given, larger_is_better=ways)
    kept = np.delete(scores, [4, 6])
    found = study.expected_bests([1, 2, 43], confidence=0.9, rng=3)
    assert found == stats.expected_bests(kept, [1, 2, 43], 0.9, rng=3)
    assert study.expected_best(2, confidence=0.9, rng=3).estimate == found[2].estimate
    losses = study.expected_bests([2], "loss", rng=3)[2]
    assert losses == stats.expected_best(-kept, 2, larger_is_better=False, rng=3)
    assert losses.estimate == pytest.approx(-found[2].estimate)
    with pytest.raises(InputError, match="k must be at most 43"):
        study.expected_best(44)
    with pytest.raises(InputError, match="no score 'x'"):
        study.expected_best(1, "x")


def test_the_luck_of_one_run_among_the_others() -> None:
    ways = {"test/accuracy": True, "test/loss": False}
    study = study_of(
        plain(7, 3, 9, 5),
        {"test/accuracy": [0.2, DIVERGED, 0.8, 0.5], "test/loss": [1, 2, 3, 4]},
        larger_is_better=ways,
    )
    found = study.luck_of(9)
    assert (found.score, found.better, found.worse, found.share_as_good) == (0.8, 0, 2, 1 / 3)
    assert study.luck_of(Assignment.plain(7)).worse == 0
    assert (study.luck_of(7, "loss").better, study.luck_of(5, "loss").better) == (0, 2)
    assert swapped(study, [3, 2, 1, 0]).luck_of(9) == found
    with pytest.raises(InputError, match="run 3 of study has no test/accuracy to compare: it diverged"):
        study.luck_of(3)  # its seed, and not its place
    with pytest.raises(InputError, match="run 1 of study has no test/accuracy to compare: it failed"):
        study_of("0:2", [0.5, FAILED]).luck_of(1)
    with pytest.raises(InputError, match=r"run 1 of study has no test/accuracy to compare$"):
        study_of("0:2", [0.5, math.nan]).luck_of(1)
    with pytest.raises(InputError, match="study has no run with seed=4"):
        study.luck_of(4)


def test_the_ends_of_a_score_are_named_by_their_seeds() -> None:
    study = study_of(plain(7, 3, 9, 5), [0.2, DIVERGED, 0.8, 0.2])
    assert study.extremes() == (plain(7, 5), plain(9))
    assert study_of("0:2", [DIVERGED, FAILED]).extremes() == ((), ())


# Simulation: what a study says of a design holds for it.


def test_intervals_of_studies_cover_the_mean_of_a_crossed_design() -> None:
    inside = []
    for trial in range(200):
        found = study_of(CELLS, additive(6, 5, 1.0, 0.3, 0.5, seed=trial).ravel()).summary()
        inside.append(found.mean_low <= 0 <= found.mean_high)
    assert 0.9 < np.mean(inside) < 0.99  # of 200 tables the error is 0.015


def test_the_sd_of_a_crossed_design_is_that_of_runs_which_share_no_seed() -> None:
    found = study_of(CELLS, TABLE.ravel()).summary()
    pairs = [
        (TABLE[a] - TABLE[b]) ** 2 / 2
        for a, b in itertools.combinations(np.ndindex(TABLE.shape), 2)
        if a[0] != b[0] and a[1] != b[1]
    ]
    assert found.sd == pytest.approx(math.sqrt(np.mean(pairs)))
