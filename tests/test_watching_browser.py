"""A watched page in a browser: charts are drawn under its policy, and follow the runs without a reload."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'seedbed[watch]'")
pytest.importorskip("uvicorn", reason="Uvicorn is not installed: pip install 'seedbed[watch]'")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")

from tests.watching_support import quick, run, until, watch  # noqa: E402, F401 - a fixture among them


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("Chromium and its chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for each in ("--headless=new", "--window-size=1000,900", "--no-proxy-server", "--disable-dev-shm-usage",
                 f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):  # fmt: skip
        options.add_argument(each)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # which does not work for root
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    found.set_script_timeout(300)
    yield found
    found.quit()


@pytest.mark.usefixtures("quick")
def test_charts_follow_the_runs_without_a_reload(browser: webdriver.Chrome, store: Path) -> None:
    def read(script: str) -> object:
        return browser.execute_script(f"return {script}")

    def text(selector: str) -> str:
        return str(read(f"document.querySelector({selector!r})?.textContent ?? ''"))

    chart = "document.querySelector('#distribution .chart svg')"
    with watch(store) as server:
        browser.get(server.address)
        until(lambda: "The report will stand here" in text("#report"))
        read("window.same = 'page'")

        run(store, *range(5))
        until(lambda: "seeds 0 to 4" in text(".answer") and read(f"{chart} !== null"))
        assert text("#told").startswith("tiny: 5 runs, the last one ")
        assert browser.title == "tiny - Seedbed"
        read("document.querySelector('#distribution details').open = true")
        button = "document.querySelector('#distribution button[data-save=csv]')"
        read(f"{button}.focus()")
        read(f"window.first = {chart}")

        run(store, 5, 6)
        until(lambda: "seeds 0 to 6" in text(".answer") and read(f"{chart} !== null && {chart} !== window.first"))
        until(lambda: text("#told").startswith("tiny: 7 runs, the last one "))
        assert read("document.querySelector('#distribution details').open")  # what was open stays open
        assert read(f"document.activeElement === {button}")  # and in focus
        assert read("window.same") == "page"  # never loaded again
        assert text("#trouble") == ""
        assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []
    until(lambda: "seedbed watch has ended" in text("#trouble"))
    assert "seeds 0 to 6" in text(".answer")
