"""What charts show, as tables of plain values; and that each can be drawn and saved."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seedbed as sb
from seedbed import stats
from seedbed.charts import catalogue, comparing, crossed, curves, distribution, examples, of_audit, saving, style
from seedbed.charts.data import Figure, Table, number_format
from seedbed.errors import InputError
from seedbed.study import Study
from tests.studies import DIVERGED, FAILED, study_of

PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


def drawn(figure: Figure) -> dict:
    return catalogue.draw(figure).to_dict()


def spread(values: list[float] | np.ndarray, **more: object) -> Figure:
    found = np.asarray(values, dtype=np.float64)
    options = {"title": "A title", "axis": "Accuracy", "share": False, "named": {}, **more}
    return distribution.figure(found, [f"seed {k}" for k in range(len(found))], stats.summarize(found), **options)


# Tables


def test_a_table_is_plain_values_and_a_csv_of_them():
    table = Table.of(("name", "value"), [("a,b", np.float64(0.5)), ('say "x"', np.int64(3)), ("none", np.nan)])
    assert table.records() == [
        {"name": "a,b", "value": 0.5}, {"name": 'say "x"', "value": 3}, {"name": "none", "value": None}
    ]  # fmt: skip
    assert all(type(value) in (str, float, int, type(None)) for row in table.rows for value in row)
    assert list(csv.reader(io.StringIO(table.csv()))) == [
        ["name", "value"], ["a,b", "0.5"], ['say "x"', "3"], ["none", ""]
    ]  # fmt: skip
    json.dumps(table.records(), allow_nan=False)


@pytest.mark.parametrize(
    ("low", "high", "share", "form"),
    [
        (0.7, 0.9, True, ".0%"),
        (0.97, 0.98, True, ".1%"),
        (0.9701, 0.9702, True, ".3%"),
        (0.0, 12.0, False, ".0f"),
        (0.1, 0.2, False, ".2f"),
        (0.0, 2e6, False, ".3~s"),
        (1.0, 1.0 + 1e-6, False, ".2~e"),
        (0.5, 0.5, True, ".1%"),
    ],
)
def test_numbers_have_the_decimals_that_their_range_asks_for(low, high, share, form):
    assert number_format(low, high, share=share) == form


# Distribution


@settings(deadline=None)
@given(VALUES)
def test_every_finite_run_is_in_one_bin_or_a_point(values):
    figure = spread([*values, math.nan, math.inf])
    if "bins" in figure.tables:
        rows = figure.tables["bins"].rows
        assert sum(row[2] for row in rows) == len(values)
        assert all(row[0] < row[1] for row in rows)
    else:
        assert sorted(row[1] for row in figure.tables["runs"].rows) == sorted(values)
    assert figure.notes == ("Left out for want of such a score: 2 runs.",)


def test_points_that_are_equal_lie_above_each_other():
    figure = spread([0.5] * 4 + [0.9])
    levels = [row[2] for row in figure.tables["runs"].rows if row[1] == 0.5]
    assert levels == [1, 2, 3, 4]


def test_the_marks_are_the_summarys():
    values = np.random.default_rng(0).normal(0.8, 0.02, 100)
    summary = stats.summarize(values)
    marks = {row[0]: row[2:] for row in spread(values, named={"seed 7": 0.81}).tables["marks"].rows}
    assert marks["mean, 95 % CI"] == (summary.mean, summary.mean_low, summary.mean_high)
    assert marks["95 of 100 further seeds"] == (None, summary.next_low, summary.next_high)
    assert marks["seed 7"] == (0.81, None, None)


def test_one_run_has_no_interval_to_be_drawn():
    figure = spread([0.5])
    assert figure.tables["marks"].rows == (("mean", "estimate", 0.5, None, None),)
    drawn(figure)


# Curves


def curve_figure(found: np.ndarray) -> Figure:
    epochs = np.arange(1, found.shape[1] + 1)
    names = [f"seed {k}" for k in range(len(found))]
    return curves.figure(epochs, found, names, title="T", axis="Loss", unit="epoch", share=False)


def test_bands_are_quantiles_of_each_epoch():
    found = np.random.default_rng(0).normal(size=(200, 7))
    figure = curve_figure(found)
    for place, row in enumerate(figure.tables["bands"].rows):
        epoch, median, p5, p95, p25, p75, runs = row
        assert (epoch, runs) == (place + 1, 200)
        assert median == pytest.approx(np.median(found[:, place]))
        assert [p5, p25, p75, p95] == pytest.approx(list(np.quantile(found[:, place], [0.05, 0.25, 0.75, 0.95])))


def test_of_many_runs_some_are_drawn_from_the_worst_to_the_best_and_that_is_said():
    found = np.arange(300.0)[:, None] * np.ones(400)
    figure = curve_figure(found)
    runs = {row[0] for row in figure.tables["lines"].rows}
    assert len(runs) == curves.MOST_SEEDS
    assert {"seed 0", "seed 299"} <= runs
    assert len(figure.tables["bands"].rows) == curves.MOST_EPOCHS
    assert any(note.startswith("40 of 300 single runs") for note in figure.notes)


def test_runs_that_diverge_are_left_out_from_there_on():
    found = np.ones((5, 4))
    found[2, 2:] = np.nan
    figure = curve_figure(found)
    assert [row[6] for row in figure.tables["bands"].rows] == [5, 5, 4, 4]
    assert any("1 runs diverged" in note for note in figure.notes)
    drawn(figure)


# Crossed designs, examples, several studies


def test_the_heat_map_is_ordered_by_means_and_keeps_every_cell():
    scores = np.array([[0.1, 0.2, 0.3], [0.7, 0.8, 0.9]])
    figure = crossed.table_figure(scores, [5, 6], [7, 8, 9], title="T", axis="Accuracy", share=True)
    cells = {(row[0], row[1]): row[2] for row in figure.table.rows}
    assert cells == {(str(i), str(o)): scores[i - 5, o - 7] for i in (5, 6) for o in (7, 8, 9)}
    assert figure.table.rows[0][:2] == ("6", "9")  # the best of both first


def test_large_tables_are_thinned_and_that_is_said():
    scores = np.random.default_rng(0).normal(size=(100, 3))
    figure = crossed.table_figure(scores, range(100), range(3), title="T", axis="Loss", share=False)
    assert len({row[0] for row in figure.table.rows}) == crossed.MOST_LEVELS
    assert any("64 of 100" in note for note in figure.notes)


def test_examples_are_counted_by_how_many_seeds_get_them_right():
    correct = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 0, 0], [1, 0, 0, 1]], dtype=bool)
    figure = examples.flips_figure(correct, list("abcd"), title="T", rows="examples")
    bins = {row[0]: row[1] for row in figure.table.rows}
    assert (bins["always"], bins["never"]) == (1, 1)
    assert bins["50 to 60 %"] == 1
    assert bins["70 to 80 %"] == 1
    assert sum(bins.values()) == 4
    assert figure.says.startswith("2 of 4 examples are right under some seeds")
    assert figure.tables["hardest"].rows[0] == ("c", 0.0)
    assert {row[0] for row in figure.tables["changing"].rows} == {"b", "d"}


def test_several_studies_show_their_means_and_the_middle_of_their_runs():
    values = {"a": np.arange(100.0), "b": np.array([1.0, np.nan])}
    found = comparing.figure(
        values, {name: stats.summarize(each) for name, each in values.items()}, title="T", axis="Loss", share=False
    )
    assert [row[:2] for row in found.table.rows] == [("a", 100), ("b", 1)]
    assert found.tables["means"].rows[1] == ("b", 1.0, None, None)
    assert sum(row[0] == "a" for row in found.tables["runs"].rows) == comparing.MOST_POINTS
    drawn(found)


# Of studies


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    rng = np.random.default_rng(0)
    return [study_of(range(30), rng.normal(mean, 0.01, 30), name=name) for name, mean in (("a", 0.8), ("b", 0.82))]


@pytest.mark.parametrize("name", [name for name, chart in catalogue.STUDIES.items() if chart.least == 1])
def test_every_chart_of_one_study_is_made_or_says_why_not(name, studies):
    if name in {"curves", "lead", "heat_map", "components", "test_set_luck", "examples"}:
        with pytest.raises(InputError, match=r"\w+ \w+"):  # plain scores have none of these
            catalogue.figure(name, studies[:1])
        return
    figure = catalogue.figure(name, studies[:1])
    spec = drawn(figure)
    assert figure.says in spec["description"]
    assert figure.title in str(spec["title"])
    json.dumps(spec, allow_nan=False)


@pytest.mark.parametrize("name", ["comparison", "differences", "pairs"])
def test_every_chart_of_several_studies_is_made(name, studies):
    drawn(catalogue.figure(name, studies))


def test_differences_are_of_runs_of_the_same_seed():
    a, b = study_of(range(4), [0.1, 0.2, 0.3, DIVERGED], name="a"), study_of([3, 2, 1, 0], [0, 0, 0.1, 0.1], name="b")
    figure = catalogue.figure("differences", [a, b])
    assert sum(row[2] for row in figure.table.rows) == 3
    assert "3 pairs" in figure.says


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([FAILED, FAILED], "no run that ended"),
        ([DIVERGED, DIVERGED], "no run of study has a finite"),
    ],
)
def test_a_study_without_scores_says_so(values, told):
    with pytest.raises(InputError, match=told):
        catalogue.figure("distribution", [study_of(range(2), values)])


def test_equal_scores_and_few_runs_are_drawn(tmp_path):
    for values in ([0.5], [0.5, 0.5], [0.5, 0.7], [0.5] * 100):
        study = study_of(range(len(values)), values)
        sb.plot.save("distribution", tmp_path / "distribution.svg", study)
        for name in ("small_studies", "best_of_k"):
            if (len(values) == 100 and name == "small_studies") or (values == [0.5, 0.7] and name == "best_of_k"):
                sb.plot.save(name, tmp_path / f"{name}.svg", study)
            else:
                with pytest.raises(InputError, match=r"equal|two or more|3 k runs"):
                    sb.plot.save(name, tmp_path / f"{name}.svg", study)


def test_runs_of_several_studies_lie_beside_each_other():
    many = [study_of(range(40), [0.5] * 26 + [0.6] * 14, name=name) for name in ("one", "other")]
    rows = catalogue.figure("comparison", many).tables["runs"].rows
    assert len(set(rows)) == len(rows)  # no point hides another
    assert max(row[2] for row in rows) == 26


def test_no_share_is_above_one():
    study = study_of(range(12), [1.0] * 8 + [0.99] * 4)
    for name, table in (("distribution", "marks"), ("settling", "means")):
        ends = [row[-1] for row in catalogue.figure(name, [study]).tables[table].rows if row[-1] is not None]
        assert ends
        assert max(ends) <= 1


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1, [0, 1]),
        (0, 3, [0, 1, 2, 3]),
        (1, 9, [2, 4, 6, 8]),
        (0, 23, [0, 5, 10, 15, 20]),
        (2, 1000, [200, 400, 600, 800, 1000]),
    ],
)
def test_ticks_of_whole_numbers_are_whole_and_few(low, high, found):
    assert style.whole_ticks(low, high, 5) == found


def test_where_the_first_intervals_reach_beyond_the_chart_that_is_said():
    wild = study_of(range(8), [0.5, 0.9, 0.52, 0.53, 0.5, 0.51, 0.5, 0.52])
    assert "Intervals of the first 3 or fewer reach beyond the chart." in catalogue.figure("settling", [wild]).says


def test_seeds_that_are_named_stand_in_the_distribution(studies):
    chart = sb.plot.distribution(studies[0], named=[3, 5]).to_dict()
    labels = {each["label"] for each in chart["datasets"]["marks"]}
    assert {"seed 3", "seed 5"} <= labels
    assert not any(label.startswith(("best", "worst")) for label in labels)
    with pytest.raises(InputError):
        sb.plot.distribution(studies[0], named=[99])


def test_the_best_is_the_lowest_where_smaller_is_better():
    study = study_of(range(3), [0.3, 0.1, 0.2], larger_is_better=False)
    marks = {row[0]: row[2] for row in catalogue.figure("distribution", [study]).tables["marks"].rows}
    assert marks["best: seed 1"] == 0.1
    assert marks["worst: seed 0"] == 0.3


def test_growth_is_of_what_differed():
    figure = of_audit.growth_from({"2 threads": [(1, 1e-9), (10, 0.0), (100, 1e-3)]}, [(1, 0.5), (100, 1.1)])
    assert figure.table.rows == (
        ("2 threads", 1, 1e-9), ("2 threads", 100, 1e-3), ("another seed", 1, 0.5), ("another seed", 100, 1.1)
    )  # fmt: skip
    drawn(figure)
    with pytest.raises(InputError, match="no difference"):
        of_audit.growth_from({"2 threads": []}, [])


# Drawing and saving


@pytest.mark.parametrize(
    ("ending", "begins"), [(".png", PNG), (".pdf", PDF), (".svg", b"<svg"), (".json", b"{"), (".csv", b"from,")]
)
def test_charts_are_saved_in_every_form(ending, begins, tmp_path):
    path = tmp_path / f"figure{ending}"
    saving.save(spread(np.arange(100.0)), path)
    assert path.read_bytes().startswith(begins)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]  # nothing half-written beside it


@pytest.mark.parametrize("width", [3.3, 6.8])
@pytest.mark.parametrize("name", ["distribution", "comparison"])
def test_the_whole_picture_is_as_wide_as_asked(width, name, studies, tmp_path):
    chosen = studies if name == "comparison" else studies[:1]
    sb.plot.save(name, tmp_path / "f.json", *chosen, width=width)
    found = saving.drawn_width(json.loads((tmp_path / "f.json").read_text()))
    # Rounded domains move labels, so that not every width can be had; a column is never exceeded.
    assert -8 < found - width * style.POINTS_PER_INCH <= 1


def test_pictures_on_paper_are_as_wide_as_asked(studies, tmp_path):
    for ending in ("png", "pdf"):
        sb.plot.save("distribution", tmp_path / f"f.{ending}", studies[0], width=3.3)
    png, pdf = (tmp_path / "f.png").read_bytes(), (tmp_path / "f.pdf").read_bytes()
    assert int.from_bytes(png[16:20], "big") / saving.DOTS_PER_INCH == pytest.approx(3.3, abs=0.1)
    box = re.search(rb"/MediaBox ?\[ ?0 0 ([0-9.]+) ([0-9.]+)", pdf)
    assert box is not None
    assert float(box[1]) / 72 == pytest.approx(3.3, abs=0.1)


def test_a_picture_for_a_paper_has_no_title_and_breaks_those_of_its_axes(studies, tmp_path):
    sb.plot.save("seeds_needed", tmp_path / "f.json", studies[0], width=2.5)
    spec = json.loads((tmp_path / "f.json").read_text())
    assert "title" not in spec
    titles = [layer["encoding"]["x"]["title"] for layer in spec["layer"]]
    assert all(isinstance(title, list) and len(title) > 1 for title in titles)
    sb.plot.save("seeds_needed", tmp_path / "g.json", studies[0])
    assert "title" in json.loads((tmp_path / "g.json").read_text())


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("figure.doc", "ending"),
        ("figure", "ending"),
        ("nowhere/f.png", "no folder"),
        (".", "ending"),
        ("folder.png", "is a folder"),
    ],
)
def test_paths_that_cannot_be_written_are_told_before_the_work(path, told, tmp_path, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr(catalogue, "figure", lambda *_: pytest.fail("the work was begun"))
    with pytest.raises(InputError, match=told):
        sb.plot.save("distribution", tmp_path / path, study_of(range(2), [1.0, 2.0]))


@pytest.mark.parametrize("width", [0.2, 1000.0, math.nan])
def test_widths_that_are_none_are_told(width, tmp_path):
    with pytest.raises(InputError, match="width must be"):
        saving.save(spread([0.1, 0.2]), tmp_path / "f.svg", width=width)


def test_what_is_no_study_or_chart_is_told(studies, tmp_path):
    with pytest.raises(InputError, match="takes studies, got str"):
        sb.plot.distribution("people")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no chart 'pie'"):
        catalogue.figure("pie", studies)
    with pytest.raises(InputError, match="comparison takes 2 studies or more, got 1"):
        catalogue.figure("comparison", studies[:1])
    with pytest.raises(InputError, match="distribution takes one study, got 2"):
        catalogue.figure("distribution", studies)


def test_names_with_markup_stay_text(tmp_path):
    study = study_of(range(3), {"test/<script>alert(1)</script>": [1.0, 2.0, 3.0]}, name="<b>x</b>")
    svg = saving.svg(catalogue.figure("distribution", [study]))
    assert "<script" not in svg


def test_colours_and_sizes_are_the_same_everywhere(studies):
    for name in ("distribution", "settling", "seeds_needed", "best_of_k"):
        config = drawn(catalogue.figure(name, studies[:1]))["config"]
        assert config["background"] == "white"
        assert config["font"] == style.FONT


@given(st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=30))
def test_ticks_of_logarithms_are_few_and_round(values):
    ticks = style.round_values(values)
    assert 1 <= len(ticks) <= 30
    assert ticks == sorted(ticks)
    if len(ticks) > 2:
        assert all(f"{tick:.0e}"[0] in "125" for tick in ticks)
