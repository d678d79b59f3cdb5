"""A browser without a window, for tests of pages: Chromium, driven by selenium."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WAITED = 60.0  # seconds before a page counts as one that is never drawn
OWN = ("file:", "data:", "blob:", "about:")  # addresses that are no network's
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--force-color-profile=srgb", "--hide-scrollbars", "--lang=en",
    "--window-size=1000,900",
)  # fmt: skip


class Browser:
    """One window of a browser.

    Attributes:
        driver: selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, *, scheme: str = "light", width: int = 1000, drawn: bool = True) -> None:
        """Show a page in a light or dark scheme, so wide, and wait for its charts.

        Args:
            drawn: False does not wait for charts.
        """
        self.emulate(scheme)
        self.resize(width)
        self.driver.get(page.as_uri())
        if drawn:
            self.wait_for_charts()

    def emulate(self, scheme: str, media: str = "") -> None:
        """A light or dark scheme; ``print`` as media, or a screen."""
        self.cdp(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def resize(self, width: int, height: int = 900) -> None:
        """Make what is seen so wide."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def wait_for_charts(self) -> None:
        """Until all charts are drawn, those too that a change of width has asked for."""
        self.until("return document.documentElement.dataset.drawn === 'yes'", "the charts are drawn")

    def until(self, script: str, what: str, *given: Any) -> Any:
        """What a script returns as soon as that is true."""
        return until(lambda: self.run(script, *given), what)

    def run(self, script: str, *given: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *given)

    def cdp(self, command: str, **given: Any) -> Any:
        """Answer of Chromium's own protocol."""
        return self.driver.execute_cdp_cmd(command, given)

    def complaints(self) -> list[str]:
        """What the console was told since this was asked last, and requests to anything but the page's own file."""
        told = [f"{each['level']}: {each['message']}" for each in self.driver.get_log("browser")]
        for each in self.driver.get_log("performance"):
            message = json.loads(each["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                address = message["params"]["request"]["url"]
                if not address.startswith(OWN):
                    told.append(f"a request to {address}")
        return told

    def point(self, x: float, y: float) -> None:
        """Move the pointer there, from elsewhere on the page."""
        self.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=x + 3, y=y + 3)
        self.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float, times: int = 1) -> None:
        """Press and release the left button there."""
        self.point(x, y)
        for count in range(1, times + 1):
            for event in ("mousePressed", "mouseReleased"):
                self.cdp("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=count)

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def find(self, selector: str) -> list[Any]:
        """Elements that a CSS selector finds."""
        from selenium.webdriver.common.by import By

        found: list[Any] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found


def until(found: Callable[[], Any], what: str) -> Any:
    """What ``found`` returns as soon as that is true."""
    end = time.monotonic() + WAITED
    while not (value := found()):
        assert time.monotonic() < end, f"not within {WAITED:g} s: {what}"
        time.sleep(0.02)
    return value


@contextmanager
def started() -> Iterator[Browser]:
    """A browser, or a skip that says what is absent."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        absent = "Chromium" if binary is None else "its driver, chromedriver,"
        pytest.skip(f"{absent} is not installed (Debian: apt-get install chromium chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for each in OPTIONS:
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = selenium.Chrome(options=options, service=service.Service(driver))
    try:
        made.set_script_timeout(WAITED)
        yield Browser(made)
    finally:
        made.quit()


def axe() -> str:
    """The script of axe-core, which finds what keeps people out of a page, as a package carries it; or a skip."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or not found.submodule_search_locations:
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")
    return (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
