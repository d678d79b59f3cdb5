"""The page of a report as text: its structure, what is escaped, what it weighs, what it tells is missing."""

from __future__ import annotations

import functools
import html
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.charts import saving
from seedbed.charts.data import Figure, Table
from seedbed.errors import InputError
from seedbed.reporting import making, page
from seedbed.reporting.document import Document, Missing, Section, TextTable
from tests import report_pages
from tests.report_pages import BESIDE, HOSTILE, KINDS, LARGE, NAMES, RICH
from tests.studies import FAILED, study_of

VOID = {"meta", "link", "img", "br", "hr", "input"}
FETCHED = {"src", "href", "srcset", "action", "poster", "data", "formaction", "background", "ping"}


class Elements(HTMLParser):
    """A page's elements with their attributes, all closed in order, and its text without scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif "style" not in self._open:
            self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of this name."""
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join("".join(self.text).split())


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Document]:
    return functools.cache(lambda kind: report_pages.document_of(kind, tmp_path_factory.mktemp("store") / "seedbed.db"))


@pytest.fixture(scope="module")
def pages(documents: Callable[[str], Document]) -> Callable[[str], str]:
    return functools.cache(lambda kind: page.render(documents(kind)))


def without_library(text: str) -> str:
    """A page without what draws its charts, which is not of this project."""
    assert text.count(page.library()) == 1
    return text.replace(page.library(), "")


def policy(elements: Elements) -> dict[str, str]:
    """What a page lets a browser fetch, by kind."""
    (rules,) = [str(each["content"]) for each in elements.of("meta") if each.get("http-equiv")]
    kinds = (rule.strip().partition(" ") for rule in rules.split(";"))
    return {kind: allowed for kind, _, allowed in kinds}


@pytest.mark.parametrize("kind", [RICH, BESIDE, NAMES, "all failed"])
def test_the_structure_is_that_of_a_document(kind, pages):
    text = without_library(pages(kind))
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    elements = Elements(text)
    assert len(elements.of("h1")) == len(elements.of("main")) == len(elements.of("title")) == 1
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [str(each["href"]) for each in elements.of("a")]
    assert targets
    assert all(target.startswith("#") and target[1:] in ids for target in targets)
    labelled = [
        str(attributes["aria-labelledby"]) for _, attributes in elements.found if "aria-labelledby" in attributes
    ]
    assert labelled
    assert set(labelled) <= set(ids)
    assert all(each.get("aria-label") for each in elements.of("button"))
    assert all(each.get("scope") in ("col", "row") for each in elements.of("th"))


def test_every_figure_has_its_chart_its_data_and_ways_to_save_them(pages, documents):
    elements = Elements(without_library(pages(RICH)))
    keys = [str(each["data-chart"]) for each in elements.of("div") if "data-chart" in each]
    made = {
        f"{section.key}-{figure.name}-{place}": figure
        for section in documents(RICH).sections
        for place, figure in enumerate(section.figures)
    }
    assert keys == list(made)
    assert len(elements.of("figure")) == len(elements.of("details")) == len(keys)
    assert [each["data-save"] for each in elements.of("button")] == ["svg", "png", "csv"] * len(keys)
    data = {attributes["data-csv"]: text for attributes, text in elements.scripts if "data-csv" in attributes}
    specs = {attributes["data-spec"]: text for attributes, text in elements.scripts if "data-spec" in attributes}
    for key, figure in made.items():
        assert json.loads(data[key]) == figure.table.csv()
        assert figure.says in json.loads(specs[key])["description"]
        assert figure.says in elements.words


@pytest.mark.parametrize("kind", [RICH, NAMES])
def test_a_browser_is_given_no_address_to_fetch(kind, pages):
    text = without_library(pages(kind))
    assert not re.search(r"https?://", text)
    elements = Elements(text)
    addresses = [str(value) for _, each in elements.found for name, value in each.items() if name in FETCHED]
    assert addresses
    assert all(each.startswith(("#", "data:,")) for each in addresses)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert not re.search(r"url\(|@import", style)
    rules = policy(elements)
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert not any("http" in rule or "*" in rule for rule in rules.values())
    assert text.index("Content-Security-Policy") < min(text.index("<style"), text.index("<script"), text.index("<link"))


@pytest.mark.parametrize("kind", [NAMES, report_pages.EXAMPLES_NAMED, "all failed"])
def test_names_of_users_make_no_element_and_are_shown_as_they_are(kind, pages, documents):
    text = without_library(pages(kind))
    elements = Elements(text)
    for tag, attributes in elements.found:
        assert tag not in ("img", "b", "iframe", "object", "form")
        assert not any(name.startswith("on") for name in attributes)
    charts = sum(len(section.figures) for section in documents(kind).sections)
    assert len(elements.scripts) == 2 * charts + 2  # a description and data of each; the library; the page's own
    for each in KINDS[kind].tells:
        assert " ".join(each.split()) in elements.words
    assert "\u2028" not in "".join(text for _, text in elements.scripts)


def test_every_word_of_a_document_is_escaped():
    figure = Figure(
        "lead", HOSTILE[0], HOSTILE[1],
        {"lead": Table.of(("label", "kind", "value", "low", "high"), [(HOSTILE[2], HOSTILE[3], 1.0, None, None)])},
        {"x": HOSTILE[4]}, {}, (HOSTILE[5],),
    )  # fmt: skip
    words = " ".join(HOSTILE)
    document = Document(
        words, (words,),
        (Section("key", words, (words,), (figure,), (TextTable(words, (words, ""), ((words, words),)),), (words,)),),
        (Missing(words, words),), ((words, words),), (words,),
    )  # fmt: skip
    elements = Elements(without_library(page.render(document)))
    assert len(elements.scripts) == 4
    assert {tag for tag, _ in elements.found}.isdisjoint({"img", "b"})
    shown = elements.words
    assert shown.count(words) >= 13
    assert all(each in shown for each in HOSTILE)
    assert sum(words == each.get("aria-label") for each in elements.of("div")) == 1
    assert f"Save {HOSTILE[0]} as SVG" in [each["aria-label"] for each in elements.of("button")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(json_values | st.sampled_from([*HOSTILE, "<!-- <script", "\u2028\u2029", {"</script>": ["<!--"]}]))
def test_what_stands_in_a_script_element_comes_back_and_ends_nothing(value):
    text = page.as_script(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_what_is_no_number_is_refused_rather_than_written_as_a_script_cannot_read_it():
    with pytest.raises(ValueError):
        page.as_script({"value": float("nan")})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_is_told_with_its_reason(kind, pages, documents):
    words = Elements(without_library(pages(kind))).words
    for each in documents(kind).missing:
        what, why = (" ".join(told.split()) for told in (each.what, each.why))
        assert f"{what[:1].upper()}{what[1:]}: {why}" in words
    for each in KINDS[kind].tells:
        assert " ".join(each.split()) in words
    assert not re.search(r"\b(?:nan|NaN|None|inf|Infinity)\b", words)


@pytest.mark.parametrize(("kind", "most"), [(RICH, 1.5e6), (LARGE, 1.5e6)])
def test_a_page_is_no_larger_for_many_runs(kind, most, pages):
    assert len(pages(kind).encode()) < most


def test_of_a_long_table_the_first_rows_are_shown_and_all_are_saved():
    rows = [(f"row {place}", "kind", float(place), None, None) for place in range(page.MOST_ROWS + 7)]
    figure = Figure("lead", "Long", "Says.", {"lead": Table.of(("label", "kind", "value", "low", "high"), rows)})
    text = without_library(page.render(Document("t", ("a",), (Section("key", "Title", figures=(figure,)),))))
    elements = Elements(text)
    assert f"The first {page.MOST_ROWS} of {len(rows):,} rows; the CSV has all." in elements.words
    assert len(elements.of("td")) == 5 * page.MOST_ROWS
    (data,) = [text for attributes, text in elements.scripts if "data-csv" in attributes]
    assert len(json.loads(data).splitlines()) == len(rows) + 1
    assert "row 0 kind 0" in re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def test_a_page_that_is_watched_asks_its_own_server_alone():
    document = Document("t", ("a",), ())
    live = {"told": f"2 of 3 {HOSTILE[0]}", "trouble": HOSTILE[1], "version": "</script>", "seconds": 2}
    elements = Elements(without_library(page.framed("t", page.body(document), live=live)))
    assert policy(elements)["connect-src"] == "'self'"
    assert live["told"] in elements.words
    assert [each["id"] for each in elements.of("p") if each.get("role") == "alert"] == ["trouble"]
    watched = next(text for attributes, text in elements.scripts if attributes.get("id") == "watched")
    assert json.loads(watched) == {"version": "</script>", "seconds": 2}
    plain = page.render(document)
    assert 'class="live"' not in plain
    assert 'id="watched"' not in plain
    assert page.body(document) in plain


def test_the_same_studies_make_the_same_page(pages, documents):
    assert page.render(documents(BESIDE)) == pages(BESIDE)


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws charts, in the place of a bundle that takes seconds to make."""
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda vl_version: f'"</script>{vl_version}"')


@pytest.mark.usefixtures("bundled")
def test_what_draws_charts_is_kept_and_ends_no_script(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    assert page.library() == f'"<\\/script>{saving.version()}"'
    (kept,) = tmp_path.iterdir()
    assert saving.version() in kept.name
    kept.write_text("kept", encoding="utf-8")
    assert page.library() == "kept"


@pytest.mark.usefixtures("bundled")
def test_a_folder_of_caches_that_cannot_be_written_keeps_no_page_from_being_made(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "file" / "folder"))
    (tmp_path / "file").write_text("no folder")
    assert saving.version() in page.library()


@pytest.mark.parametrize(
    ("studies", "told"),
    [
        ([], "at least one study"),
        (["study"], "takes studies, got str"),
        ([study_of(range(2), [0.1, 0.2]).select(7)], "has no run to report"),
    ],
)
def test_what_no_report_can_be_made_of_is_refused(studies, told):
    with pytest.raises(InputError, match=told):
        making.document(studies)


def test_reasons_of_failures_are_told_by_how_often_they_come():
    study = study_of(range(40), [FAILED] * 40)
    errors = ["often\nTraceback"] * 20 + [f"once {place}" for place in range(20)]
    runs = tuple(replace(run, error=error) for run, error in zip(study.runs, errors, strict=True))
    (section,) = [each for each in making.document([replace(study, runs=runs)]).sections if each.key == "failures"]
    (table,) = section.tables
    assert table.rows[0] == ("often", "20", "seeds 0, 1, 2 and 17 more")
    assert table.rows[1] == ("once 0", "1", "seed 20")
    assert section.notes == (f"{21 - len(table.rows)} more reasons not shown here.",)
