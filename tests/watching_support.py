"""What tests of watching share: a study of runs that take no time, a server that watches it, and what it answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import seedbed as sb
from seedbed.reporting.watching import redrawing, watched
from seedbed.reporting.watching.following import Follower
from seedbed.reporting.watching.watched import Watched

if TYPE_CHECKING:
    from seedbed.reporting.watching.server import WatchServer

PATIENCE = 300.0  # seconds until what must come is given up
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@sb.trial
def tiny(seed: int) -> dict[str, float]:
    return {"acc": seed / 10}


def run(store: Path, *seeds: int, name: str | None = None) -> None:
    sb.run(tiny, seeds, store=store, workers=0, name=name)


def until(found: Callable[[], Any]) -> Any:
    """What ``found`` returns as soon as it is something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError("what must come did not come")


def get(address: str, method: str = "GET", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
    """Status, text and headers of an answer."""
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with DIRECT.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def state(server: WatchServer, shown: str = "") -> dict[str, Any]:
    status, text, _ = get(f"{server.address}state?shown={shown}")
    assert status == 200
    found: dict[str, Any] = json.loads(text)
    return found


@contextlib.contextmanager
def watch(store: Path, *names: str, score: str | None = None) -> Iterator[WatchServer]:
    """A server of what is watched."""
    from seedbed.reporting.watching.server import WatchServer  # of packages that may not be installed

    followed = Watched(Follower(store, names), score)
    followed.look()
    server = WatchServer(followed)
    followed.start()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)
        followed.stop()
        assert not thread.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports and looks without rests."""
    for module, name in (
        (redrawing, "REST_SECONDS"),
        (redrawing, "REST"),
        (redrawing, "RETRY_SECONDS"),
        (watched, "LOOK_SECONDS"),
        (watched, "REST"),
    ):
        monkeypatch.setattr(module, name, 0.05 if name.endswith("_SECONDS") else 0)
