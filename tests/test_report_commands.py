"""seedbed report and seedbed plot, and what notebooks show of results."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seedbed as sb
from seedbed import stats, targets
from seedbed.reporting import making, markdown, notebook, page, remaking
from seedbed.reporting.document import TextTable
from seedbed.seeds import Assignment, grid
from seedbed.store import keep_audit, kept_audit
from seedbed.study import Study
from tests.studies import DIVERGED, FAILED, study_of
from tests.trainings import TRAININGS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def stored(store: Path) -> Path:
    for name in ("slow", "fast"):
        experiment = TRAININGS["sgd"].experiment()
        sb.run(experiment, range(6), name=name, store=store, workers=0, curves=1, engine="reference")
    return store


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws charts is not bundled in every test: that takes seconds, and is the same for all."""
    monkeypatch.setattr(page, "library", lambda: "/* what draws charts */")


# The commands


def test_report_writes_one_page(stored: Path, seedbed: Any, folder: Path) -> None:
    status, out, err = seedbed(f"report slow --store {stored}")
    assert (status, out) == (0, "")
    assert "slow.html written" in err
    html = (folder / "slow.html").read_text()
    assert html.startswith("<!DOCTYPE html>")
    assert "How runs learn" in html
    assert "seedbed run FILE.py:trained -s 0:6 --engine reference --curves" in html


def test_a_report_of_several_sets_them_side_by_side(stored: Path, seedbed: Any, folder: Path) -> None:
    status, _, _ = seedbed(f"report slow fast --store {stored} -o both.html")
    assert status == 0
    html = (folder / "both.html").read_text()
    assert "Side by side" in html
    assert "slow minus fast" in html


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("report slow -o nowhere/a.html", "there is no folder nowhere"),
        ("report slow -o a.doc", "ending of .html, .md, .tex"),
        ("report slow --markdown -o a.html", "--markdown prints"),
        ("report nothing", "nothing"),
        ("report slow --metric accuracy/nonsense", "no score"),
        ("report slow fast slow", "slow is given twice"),
        ("plot slow", "which chart of which study"),
        ("plot slow pie", "no chart 'pie'"),
        ("plot slow comparison", "takes 2 studies or more"),
        ("plot slow distribution -o nowhere/a.pdf", "there is no folder nowhere"),
        ("plot slow distribution --width 0.1", "width must be"),
        ("plot slow settling --named 3", "--named is for the distribution"),
        ("report slow --named 99", "slow has no run with seed=99"),
        ("report slow --named 3 --markdown", "--named is for a page's charts"),
        ("report slow --named 3 -o a.md", "runs are named in a chart, and .md has none"),
        ("report slow fast --named 99", "none of slow and fast has a run with seed=99"),
        ("plot slow heat_map", "no crossed design"),
    ],
)
def test_bad_input_is_told(line: str, told: str, stored: Path, seedbed: Any, folder: Path) -> None:
    before = sorted(folder.iterdir())
    status, _, err = seedbed(f"{line} --store {stored}")
    assert status == 2
    assert told in err
    assert sorted(folder.iterdir()) == before


def test_plot_writes_a_chart(stored: Path, seedbed: Any, folder: Path) -> None:
    status, out, err = seedbed(f"plot slow distribution --store {stored} -o figure.svg --width 3.3")
    assert (status, out) == (0, "")
    assert "figure.svg written" in err
    assert (folder / "figure.svg").read_text().startswith("<svg")
    status, _, _ = seedbed(f"plot slow fast comparison --store {stored} -o figure.csv")
    assert (folder / "figure.csv").read_text().startswith("study,runs,")


def test_plot_lists_its_charts(seedbed: Any) -> None:
    status, out, _ = seedbed("plot --list")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert {"distribution", "curves", "comparison", "components"} <= set(names)
    for name in names:
        assert callable(getattr(sb.plot, name))


def test_markdown_and_latex_are_printed(stored: Path, seedbed: Any) -> None:
    status, out, _ = seedbed(f"report slow --markdown --store {stored}")
    assert status == 0
    assert out.startswith("## slow\n")
    assert re.search(r"\| test/accuracy \| [\d.]+ \|", out)
    status, out, _ = seedbed(f"report slow fast --latex --store {stored}")
    assert out.startswith("\\begin{tabular}{llrrrr}")
    assert len([line for line in out.splitlines() if line.startswith(("slow &", "fast &"))]) == 2
    assert out.count("% ") >= 2


def test_a_report_is_written_in_the_form_that_the_ending_says(stored: Path, tmp_path: Path) -> None:
    study = sb.load("slow", stored)
    assert sb.report(study, tmp_path / "a.md").read_text().startswith("## slow")
    assert sb.report([study], tmp_path / "a.tex").read_text().startswith("\\begin{tabular}")
    assert sb.report(study, tmp_path / "a.html", store=stored).read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(sb.InputError, match="takes studies, got str"):
        sb.report(["slow"], tmp_path / "b.md")  # type: ignore[list-item]


def test_seeds_are_named_of_each_study_that_has_them(stored: Path, tmp_path: Path, seedbed: Any) -> None:
    slow, fast = sb.load("slow", stored), sb.load("fast", stored).select(range(3))
    both = sb.report([slow, fast], tmp_path / "a.html", named=[2, 5]).read_text()
    alone = sb.report(slow, tmp_path / "b.html", named="2,5", store=stored).read_text()
    assert [text.count('"seed 2"') > text.count('"seed 5"') for text in (both, alone)] == [True, False]
    assert '"seed 5"' in alone
    assert "worst: " not in alone
    status, _, _ = seedbed(f"report slow --named 2,5 --store {stored} -o {tmp_path / 'c.html'}")
    assert (status, (tmp_path / "c.html").read_text()) == (0, alone)


# What a report says


def document_of(study: Study, *others: Study) -> Any:
    return making.document([study, *others])


def test_the_first_sentences_stand_alone() -> None:
    values = np.random.default_rng(0).normal(0.815, 0.018, 1000).round(3)
    (answer,) = document_of(study_of(range(1000), {"test/accuracy": values})).answer
    summary = stats.summarize(values)
    assert answer.startswith("Test accuracy, seeds 0 to 999, this data: mean 8")
    assert "95 % CI" in answer
    assert "other data not included" in answer
    assert "95 of 100 seeds fall in" in answer
    assert (
        f"The best of these 1,000 runs is {(summary.maximum - summary.mean) * 100:.1f} points above the mean" in answer
    )


def test_where_smaller_is_better_the_best_is_below_the_mean() -> None:
    (answer, *_) = document_of(study_of(range(30), np.linspace(1, 2, 30), larger_is_better=False)).answer
    assert "below the mean" in answer


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.5], "One run says nothing"),
        ([0.5, 0.6, 0.7], "know the spread poorly"),
        ([FAILED, FAILED], "All 2 runs of study failed"),
        ([DIVERGED, DIVERGED], "no run converged"),
        ([0.5, 0.6, DIVERGED, FAILED, 0.7], "Of 5 runs 1 run diverged and 1 run failed"),
    ],
)
def test_what_few_or_failed_runs_cannot_tell_is_said(values: list[Any], told: str) -> None:
    found = document_of(study_of(range(len(values)), values))
    assert told in " ".join(found.answer)
    html = page.render(found)
    assert found.missing
    assert "What is not on this page, and why" in html
    assert not re.search(r">\s*(nan|None|inf)\s*<", html)


def test_a_crossed_design_is_taken_apart() -> None:
    cells = grid(init=range(8), order=range(8))
    values = [0.8 + 0.01 * (each.init % 3) + 0.001 * each.order for each in cells]
    found = document_of(study_of(cells, values))
    (section,) = [each for each in found.sections if each.key == "causes"]
    assert [figure.name for figure in section.figures] == ["heat_map", "components"]
    assert found.commands == ("seedbed run FILE.py:made --init 0:8 --order 0:8 --engine plain --name study",)


def test_several_studies_are_compared_and_those_that_cannot_be_say_why() -> None:
    rng = np.random.default_rng(0)
    three = [
        study_of(range(20), rng.normal(mean, 0.01, 20), name=name)
        for name, mean in zip("abc", (0.8, 0.8, 0.9), strict=True)
    ]
    found = document_of(*three)
    assert found.title == "a, b and c"
    assert found.answer[0] == "3 studies, all pairs: test/accuracy (larger is better), runs of the same seed paired."
    assert found.answer[1].startswith("c is better than every other. 2 of 3 pairs differ")
    losses = document_of(*(replace(each, identity=replace(each.identity, larger_is_better={"test/accuracy": False}))
                           for each in three))  # fmt: skip
    assert "(smaller is better)" in losses.answer[0]
    assert losses.answer[1].startswith("Which one is best is unresolved. 2 of 3")
    (table,) = losses.sections[0].tables
    assert [row[-1] for row in table.rows] == ["unresolved", "a better", "b better"]
    assert any("p-values are Holm's" in note for note in losses.sections[0].notes)
    assert [figure.name for figure in found.sections[0].figures] == ["comparison", "pairs"]
    shared = study_of(grid(init=range(2), order=range(2)), [0.1, 0.2, 0.3, 0.4], name="crossed")
    assert any("comparison" in each.what for each in document_of(three[0], shared).missing)


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        (range(10), "-s 0:10"),
        ([0, 1, 2, 7], "-s 0:3,7"),
        ([5], "-s 5"),
        ([Assignment.plain(1, 3), Assignment.plain(2, 3)], "-s 1:3 --split 3"),
        (grid(init=range(2), order=[4, 6]), "--init 0:2 --order 4,6"),
    ],
)
def test_the_command_that_makes_a_study_again_names_its_seeds(seeds: Any, told: str) -> None:
    count = len(list(seeds))
    assert f" {told} " in f"{remaking.command(study_of(seeds, np.zeros(count)))} "


def test_the_command_keeps_the_name_and_how_often_curves_were_kept(store: Path) -> None:
    people = targets.build("people", {"epochs": "5"})
    study = sb.run(people, range(1), store=store, workers=0, engine="reference", verify=False, curves=2, name="mine")
    assert str(remaking.command(study)).endswith("--curves=2 --name mine")

    @sb.trial
    def logging(seed: int, trial: sb.Recorder) -> dict[str, float]:
        for step in (100, 200, 300):
            trial.log(step, loss=1 / step)
        return {"loss": 0.1}

    told = sb.run(logging, range(2), store=store, workers=0)
    assert "--curves" not in str(remaking.command(told))  # a trial keeps its own


def test_what_was_not_verified_and_what_told_no_score_is_said(store: Path) -> None:
    people = targets.build("people", {"epochs": "1"})
    study = sb.run(people, range(2), store=store, workers=0, engine="lanes", verify=False)
    verified = dict(making.document([study], store=store).made)["verified"]
    assert verified == "no: no run of the lanes engine was set beside the reference engine's"
    some = study_of(range(4), {"test/accuracy": [0.5, 0.6, math.nan, 0.8]})
    assert "1 run that ended told no test/accuracy: the numbers are of the others." in document_of(some).answer


def test_a_study_of_the_gallery_is_made_again_by_its_name(store: Path) -> None:
    people = targets.build("people", {"epochs": "1"})
    study = sb.run(people, range(2), store=store, workers=0, engine="reference", verify=False)
    command = remaking.command(study)
    assert command is not None
    assert command.startswith("seedbed run people -p epochs=1 -s 0:2 --engine reference")


# Audits


def test_an_audit_is_kept_with_its_study_and_told_in_its_report(stored: Path) -> None:
    found = {
        "verdict": "slow, seed 0, is one result.",
        "headings": ["condition", "repeats"],
        "rows": [["the same again", "yes"]],
        "findings": [],
        "notes": ["A note."],
        "growth": {"2 threads": [[1, 1e-9], [10, 1e-5]]},
        "growth_of_seeds": [[1, 0.5]],
    }
    assert kept_audit("slow", stored) is None
    assert keep_audit("slow", {**found, "verdict": "older"}, stored)
    assert keep_audit("slow", found, stored)
    assert kept_audit("slow", stored) == found
    assert not keep_audit("nobody", found, stored)
    document = making.document([sb.load("slow", stored)], store=stored)
    (section,) = [each for each in document.sections if each.key == "audit"]
    assert section.text == ("slow, seed 0, is one result.",)
    assert section.figures[0].name == "growth"
    assert "A note." in section.notes


def test_to_keep_an_audit_makes_no_store(tmp_path: Path) -> None:
    assert not keep_audit("slow", {}, tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_an_audit_on_the_command_line_is_kept_where_its_study_is(seedbed: Any, folder: Path) -> None:
    (folder / "own.py").write_text(
        "import seedbed as sb\n@sb.trial\ndef own(seed):\n    return {'score': seed + 0.5}\n"
    )
    seedbed("run own.py:own -n 3")
    status, _, _ = seedbed("audit own.py:own -s 1 --conditions again")
    assert status == 0
    kept = kept_audit("own", folder / "seedbed.db")
    assert kept is not None
    assert "gives one result" in kept["verdict"]


# Markdown, and notebooks


def test_markup_in_names_stays_text() -> None:
    study = study_of(range(4), {"test/<b>|x*": [1.0, 2.0, 3.0, 4.0]}, name="a_b*c|<script>")
    text = markdown.text(document_of(study))
    assert "<script>" not in text.partition("```")[0]  # in the block of commands it is no markup
    assert r"a\_b\*c\|\<script\>" in text
    html = page.render(document_of(study))
    assert "<script>a" not in html
    assert "a_b*c|&lt;script&gt;" in html
    assert markdown.table(TextTable("", ("a|b",), (("c|d",),))).count("|") == 6 + 2


def test_json_in_a_page_cannot_end_its_element() -> None:
    text = page.as_script({"name": "</script><script>alert(1)</script>\u2028&"})
    assert "<" not in text
    assert "\u2028" not in text
    assert "\\u003c/script" in text


@pytest.mark.parametrize("kind", ["study", "summary", "comparison"])
def test_notebooks_show_results(kind: str) -> None:
    study = study_of(range(20), np.linspace(0.7, 0.9, 20), name="<b>x</b>")
    shown = {
        "study": study,
        "summary": study.summary(),
        "comparison": sb.compare(study, study_of(range(20), np.linspace(0.6, 0.9, 20), name="other")),
    }[kind]
    found = shown._repr_mimebundle_()
    assert set(found) == {"text/plain", "text/markdown", "text/html"}
    assert found["text/plain"] == repr(shown)
    assert "<b>x" not in found["text/html"]
    assert "<script" not in found["text/html"]
    assert "<b>" not in found["text/markdown"].replace(r"\<b\>", "")
    assert "<table>" in shown._repr_html_()
    assert ("<svg" in found["text/html"]) == (kind == "study")
    assert set(shown._repr_mimebundle_(include={"text/html"})) == {"text/html"}
    assert "text/html" not in shown._repr_mimebundle_(exclude={"text/html"})


def test_a_study_without_runs_or_scores_is_shown_too() -> None:
    assert "0 runs" in replace(study_of(range(1), [0.5]), runs=())._repr_html_()
    assert "2 runs" in study_of(range(2), [FAILED, FAILED])._repr_html_()
    with pytest.raises(TypeError):
        notebook.bundle(3)


# What draws charts


def test_what_draws_charts_is_bundled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.undo()
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    calls: list[Any] = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda **given: calls.append(given) or "drawn </script>")
    first, again = page.library(), page.library()
    assert first == again == "drawn <\\/script>"
    assert len(calls) == 1
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache" / next((tmp_path / "cache").iterdir()).name))
    assert page.library() == first  # a folder that cannot be made costs the time, and nothing else
    assert len(calls) == 2
