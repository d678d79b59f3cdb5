"""The page of a report as a browser shows it: drawn, pointed at, saved, printed, narrow, dark, by keyboard."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from seedbed.charts.data import Figure
from seedbed.reporting import page
from seedbed.reporting.document import Document
from tests import report_pages
from tests.browser import Browser, axe, started, until
from tests.report_pages import BESIDE, CROSSED, EXAMPLES_NAMED, KINDS, NAMES, RICH

PHONE = 400  # pixels
PAPER = 717  # pixels of a sheet of A4 between the browser's own margins
GROWTH = "growth of an audit"  # a page beside those of studies
NO_NUMBERS = re.compile(r"\b(?:nan|NaN|None|inf|Infinity|undefined|null)\b|\[object")
SCHEMES = ("light", "dark")

CHARTS = """
return [...document.querySelectorAll('.chart')].map((place) => {
  const svg = place.querySelector('svg');
  const marks = [...(svg?.querySelectorAll('[role=graphics-symbol][aria-roledescription]') ?? [])].filter((mark) => {
    const box = mark.getBoundingClientRect();
    return !/axis|legend/.test(mark.getAttribute('aria-roledescription')) && box.width + box.height > 1;
  });
  const box = svg?.getBoundingClientRect();
  return {key: place.dataset.chart, drawn: place.dataset.drawn, text: place.textContent, marks: marks.length,
          width: box?.width, height: box?.height, right: box?.right, room: place.parentElement.clientWidth};
});
"""

WIDER = """
return [...document.querySelectorAll('main *, footer *')].filter((each) => {
  if (each.closest('svg') || (arguments[1] && each.closest('.scrolls, pre'))) return false;
  if (getComputedStyle(each).position === 'absolute') return false;
  const box = each.getBoundingClientRect();
  return box.width > 0 && (box.right > arguments[0] + 0.5 || box.left < -0.5);
}).map((each) => each.outerHTML.slice(0, 120));
"""

# Of every text of a chart its contrast with the page, as WCAG reckons it; the least, with its text.
CONTRAST = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((c) => {
    const s = c / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = light(getComputedStyle(document.documentElement).backgroundColor);
const least = [...document.querySelectorAll('.chart svg text')].map((each) => {
  const ink = light(getComputedStyle(each).fill);
  return [(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), each.textContent];
});
return least.length ? least.reduce((a, b) => (b[0] < a[0] ? b : a)) : [21, ''];
"""

AXE = """
const shown = (each) => [each.impact, each.id, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))];
axe.run(arguments[0], {resultTypes: ['violations']}).then((found) => arguments[1](found.violations.map(shown)));
"""

# Words of cells and headings of tables that are broken although they are short: numbers above all.
BROKEN = """
return [...document.querySelectorAll('.scrolls > table :is(td, th)')].filter((each) => {
  const range = document.createRange();
  range.selectNodeContents(each);
  return !/\\s/.test(each.textContent) && each.textContent.length < 16 && range.getClientRects().length > 1;
}).map((each) => each.textContent);
"""

TOOLTIP = """
const tip = document.getElementById('vg-tooltip-element');
return tip !== null && tip.classList.contains('visible') && tip.getBoundingClientRect().width > 0 ? tip.innerText : '';
"""

PLACES = """
const chart = document.querySelector(`.chart[data-chart="${arguments[0]}"]`);
chart.scrollIntoView({block: 'center', behavior: 'instant'});
return [...chart.querySelectorAll(arguments[1])].map((each) => each.getBoundingClientRect())
  .filter((box) => box.width + box.height > 0).map((box) => [box.x + box.width / 2, box.y + box.height / 2]);
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with started() as found:
        yield found


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """The browser; what a test opens in it asks the network for nothing and brings no complaint."""
    yield window
    assert window.complaints() == []
    window.cdp("Emulation.clearDeviceMetricsOverride")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Document]:
    @functools.cache
    def made(kind: str) -> Document:
        if kind == GROWTH:
            return report_pages.growing()
        return report_pages.document_of(kind, tmp_path_factory.mktemp("store") / "seedbed.db")

    return made


@pytest.fixture(scope="module")
def pages(documents: Callable[[str], Document], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @functools.cache
    def made(kind: str) -> Path:
        file = tmp_path_factory.mktemp("page") / "report.html"
        file.write_text(page.render(documents(kind)), encoding="utf-8")
        return file

    return made


def tooltips(browser: Browser, key: str) -> Iterator[str]:
    """What is told of some marks of a chart that are pointed at, of every kind of mark that it has."""
    for selector in (".mark-symbol path", ".mark-rect path", ".mark-rule line"):
        places = browser.run(PLACES, key, f"svg {selector}[aria-roledescription]")
        for x, y in places[:: max(1, len(places) // 3)]:
            browser.point(x, y)
            if told := browser.run(TOOLTIP):
                yield told


def figures(document: Document) -> dict[str, Figure]:
    """The charts of a document by the names that they have in its page."""
    return {
        f"{section.key}-{figure.name}-{place}": figure
        for section in document.sections
        for place, figure in enumerate(section.figures)
    }


@pytest.mark.parametrize("kind", [*KINDS, GROWTH])
def test_every_chart_is_drawn_and_what_is_missing_is_told(kind, browser, pages, documents):
    browser.open(pages(kind))
    found = browser.run(CHARTS)
    assert [each["key"] for each in found] == list(figures(documents(kind)))
    for each in found:
        assert (each["drawn"], each["marks"] > 0) == ("yes", True), each
        assert each["width"] < each["room"] + 1, each
        assert not NO_NUMBERS.search(each["text"]), each
    shown = browser.run("return document.body.innerText")
    assert "could not be drawn" not in shown
    assert not NO_NUMBERS.search(shown), NO_NUMBERS.findall(shown)
    for words in KINDS[kind].tells if kind in KINDS else ("It differs.",):
        assert " ".join(words.split()) in " ".join(shown.split())


def test_every_chart_of_the_catalogue_is_on_some_page(documents):
    from seedbed.charts import catalogue

    shown = {figure.name for kind in [*KINDS, GROWTH] for figure in figures(documents(kind)).values()}
    assert shown == set(catalogue.CHARTS)


@pytest.mark.parametrize("kind", [RICH, BESIDE, CROSSED, GROWTH])
def test_what_is_pointed_at_is_told(kind, browser, pages):
    browser.open(pages(kind))
    for each in browser.run(CHARTS):
        told = list(tooltips(browser, each["key"]))
        assert told, each["key"]
        for words in told:
            assert re.search(r"\d", words), (each["key"], words)
            assert not NO_NUMBERS.search(words), (each["key"], words)


def test_the_line_that_is_pointed_at_stands_out(browser, pages):
    browser.open(pages(RICH))
    widths = """return [...document.querySelectorAll('[data-name=curves] .mark-line path')].map((each) =>
        [Number(each.getAttribute('stroke-width')), Number(getComputedStyle(each).opacity)])"""
    before = browser.run(widths)
    places = browser.run(PLACES, "curves-curves-0", "svg .mark-symbol path[aria-roledescription]")
    x, y = places[len(places) // 2]
    browser.point(x, y + 2)  # beside it: the nearest is meant
    after = until(lambda: (found := browser.run(widths)) != before and found, "a line stands out")
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new[0] > old[0] and new[1] > old[1] for old, new in changed] == [True]
    name = """return [...document.querySelectorAll('[data-name=curves] .mark-text.role-mark text')].map((each) =>
        each.textContent)"""
    assert re.fullmatch(r"seed \d+", browser.run(name)[0])
    browser.point(5, 5)
    until(lambda: browser.run(widths) == before, "no line stands out any more")
    assert browser.run(name) == []


def test_a_study_that_is_clicked_is_chosen_and_the_others_fade(browser, pages):
    browser.open(pages(BESIDE))
    opacities = """const found = {};
        for (const each of document.querySelectorAll('[data-name=comparison] .mark-symbol path')) {
          const name = each.getAttribute('aria-label')?.match(/study: ([^;]*)/)?.[1];
          if (each.getAttribute('aria-roledescription') === 'circle')
            (found[name] ??= new Set()).add(Number(getComputedStyle(each).opacity));
        }
        return Object.fromEntries(Object.entries(found).map(([name, values]) => [name, [...values]]))"""
    before = browser.run(opacities)
    chosen, other = before
    assert before[chosen] == before[other]
    assert len(before[chosen]) == 1
    (x, y), *_ = browser.run(
        PLACES, "comparison-comparison-0", f"svg path[aria-roledescription=circle][aria-label*='study: {chosen};']"
    )
    browser.click(x, y)
    until(lambda: browser.run(opacities)[other] != before[other], "the other study fades")
    after = browser.run(opacities)
    assert after[chosen] == before[chosen]
    assert after[other][0] < 0.3
    browser.click(x, y, times=2)
    until(lambda: browser.run(opacities) == before, "no study is chosen any more")


@pytest.mark.parametrize("kind", [RICH, BESIDE])
def test_a_chart_is_saved_as_it_stands_for_paper_and_its_data_as_they_are(kind, browser, pages, documents, tmp_path):
    browser.open(pages(kind), scheme="dark")
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    key, figure = next(iter(figures(documents(kind)).items()))
    saved = {}
    for ending in ("svg", "png", "csv"):
        browser.run(
            "document.getElementById(arguments[0]).querySelector(`[data-save=${arguments[1]}]`).click()", key, ending
        )
        file = tmp_path / f"{figure.name}.{ending}"
        until(lambda file=file: file.is_file() and file.stat().st_size, f"{file.name} is saved")
        saved[ending] = file.read_bytes()
    assert saved["csv"].decode() == figure.table.csv()
    drawn = ElementTree.fromstring(saved["svg"])
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [each for each in drawn.iter("{http://www.w3.org/2000/svg}text") if each.text]
    assert figure.titles["x"] in " ".join(each.text for each in texts)
    assert {each.get("fill") for each in texts} == {"#222831"}  # of the dark page nothing
    assert saved["png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(saved["png"][16:20], "big") > 1800  # three pixels for one
    assert len(saved["png"]) > 10_000


@pytest.mark.parametrize("kind", [RICH, NAMES, CROSSED])
def test_on_paper_all_is_dark_on_white_and_within_the_sheet(kind, browser, pages):
    browser.open(pages(kind), scheme="dark")
    browser.emulate("dark", media="print")
    browser.cdp("Emulation.setDeviceMetricsOverride", width=PAPER, height=1000, deviceScaleFactor=1, mobile=False)
    browser.wait_for_charts()
    assert browser.run(WIDER, PAPER, False) == []
    assert browser.run(BROKEN) == []
    for each in browser.run(CHARTS):
        assert each["marks"], each
        assert 0 < each["width"] <= PAPER, each
        assert each["height"] > 20, each
    colours = "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    assert browser.run(colours) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert browser.run(CONTRAST)[0] > 15
    assert not any(each.is_displayed() for each in browser.find(".tools, nav, .skip"))
    printed = base64.b64decode(browser.cdp("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])
    assert printed.startswith(b"%PDF-")
    assert printed.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1


@pytest.mark.parametrize("kind", [RICH, BESIDE, CROSSED, NAMES, GROWTH])
def test_a_telephone_shows_the_page_without_scrolling_sideways(kind, browser, pages):
    browser.open(pages(kind), width=PHONE)
    for scheme in SCHEMES:
        browser.emulate(scheme)
        assert browser.run("return document.documentElement.scrollWidth") <= PHONE
        assert browser.run(WIDER, PHONE, True) == []
        for each in browser.run(CHARTS):
            assert each["width"] < each["room"] + 1, each
            assert each["marks"] > 0
        contrast, text = browser.run(CONTRAST)
        assert contrast >= 4.5, text


def test_charts_follow_the_width_of_the_window(browser, pages):
    browser.open(pages(RICH))

    def widths() -> list[float]:
        return [each["width"] for each in browser.run(CHARTS)]

    wide = widths()
    for width in (900, PHONE, 600, PHONE):  # not waited for: the last one is drawn
        browser.resize(width)
    until(lambda: max(widths()) < PHONE, "charts are narrow")
    browser.wait_for_charts()
    browser.resize(1000)
    until(lambda: widths() == wide, "charts are as wide as they were")


@pytest.mark.parametrize(
    ("kind", "scheme"), [(RICH, "light"), (RICH, "dark"), (BESIDE, "light"), ("all failed", "light")]
)
def test_axe_finds_nothing_that_keeps_people_out(kind, scheme, browser, pages):
    script = axe()
    browser.open(pages(kind), scheme=scheme)
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
    browser.run(script)
    # The texts of charts are looked at elsewhere (CONTRAST): axe takes its time with them, and once is enough.
    where = {"include": [["html"]], **({"exclude": [[".chart svg"]]} if scheme == "dark" else {})}
    found = browser.driver.execute_async_script(AXE, where)
    assert [each for each in found if each[0] in ("serious", "critical")] == []


@pytest.mark.parametrize("kind", [NAMES, EXAMPLES_NAMED, "all failed"])
def test_names_of_users_are_shown_and_never_run(kind, browser, pages):
    browser.open(pages(kind))
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
    for each in browser.run(CHARTS):  # tooltips are made of the same words
        assert list(tooltips(browser, each["key"]))
    assert browser.run("return window.pwned") is None
    assert (
        browser.run("return document.querySelectorAll('main img, main script:not([type]), main b, [onerror]').length")
        == 0
    )
    assert browser.run("return document.title").endswith(" - Seedbed")
    assert "49" not in browser.run("return document.querySelector('h1').innerText")


def test_a_page_is_read_by_keyboard(browser, pages):
    from selenium.webdriver.common.keys import Keys

    focused = "const it = document.activeElement; const box = it.getBoundingClientRect();"
    browser.open(pages(RICH))
    browser.press(Keys.TAB)
    assert browser.run(f"{focused} return [it.className, box.left >= 0 && box.top >= 0]") == ["skip", True]
    browser.press(Keys.ENTER)
    assert browser.run("return location.hash") == "#report"
    browser.press(Keys.TAB)
    assert browser.run(f"{focused} return it.closest('main') !== null")
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
    names = [each.accessible_name for each in browser.find("button, summary, a, [tabindex='0']")]
    assert len(names) > 20
    assert all(names), names
    buttons = [each.accessible_name for each in browser.find("button")]
    assert len(set(buttons)) == len(buttons)
    for selector in ("button", "summary", "a", "[tabindex='0']"):
        assert browser.run(
            "const found = [...document.querySelectorAll(arguments[0])];"
            "return found.filter((each) => { each.focus(); return document.activeElement !== each; }).length", selector
        ) == 0  # fmt: skip
    browser.run("document.querySelector('main summary').focus()")
    browser.press(Keys.ENTER)
    assert not browser.run("return document.querySelector('main details').open")
    browser.press(Keys.SPACE)
    assert browser.run("return document.querySelector('main details').open")
    assert browser.run("return document.querySelector('main details table').getBoundingClientRect().height") > 20


def test_a_chart_that_cannot_be_drawn_says_so_and_leaves_the_others(browser, pages, tmp_path):
    text = pages(RICH).read_text(encoding="utf-8")
    start = text.index(">", text.index('data-spec="curves-curves-0"')) + 1
    broken = tmp_path / "broken.html"
    broken.write_text(f'{text[:start]}{{"mark": 7}}{text[text.index("</script>", start) :]}', encoding="utf-8")
    browser.open(broken)
    found = {each["key"]: each for each in browser.run(CHARTS)}
    assert found.pop("curves-curves-0")["text"].startswith("This chart could not be drawn:")
    assert all(each["drawn"] == "yes" and each["marks"] for each in found.values())
    browser.run("document.querySelector('#curves-curves-0 [data-save=svg]').click()")
    assert all(each.startswith("SEVERE") for each in browser.complaints())  # told once more for who looks there


def test_without_scripts_the_data_of_charts_are_read(browser, pages):
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages(RICH), drawn=False)
        nodes = json.dumps(browser.cdp("DOMSnapshot.captureSnapshot", computedStyles=["display"])["strings"])
        assert "Its data are in the table below." in nodes
        assert "Test accuracy, seeds 0 to 29" in nodes
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
