"""Watching studies: what is followed and told, and when the report is made anew."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seedbed.reporting import making
from seedbed.reporting.watching import redrawing, watched
from seedbed.reporting.watching.following import Follower
from seedbed.reporting.watching.watched import Watched
from seedbed.store import Progress, delete
from seedbed.words import watching
from tests.test_progress import result, write
from tests.watching_support import PATIENCE, get, quick, run, state, until, watch  # noqa: F401 - a fixture among them

pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'seedbed[watch]'")
pytest.importorskip("uvicorn", reason="Uvicorn is not installed: pip install 'seedbed[watch]'")

from seedbed.reporting.watching.server import WatchServer


@pytest.fixture(autouse=True)
def _whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being read when the watching ends is awaited, however slow the machine is."""
    monkeypatch.setattr(watched, "ENDING_SECONDS", PATIENCE)


# Of a study, from before it is there until after it is deleted.


@pytest.mark.usefixtures("quick")
def test_the_page_follows_a_study_from_before_there_is_a_store(store: Path) -> None:
    with watch(store, "tiny") as server:
        first = state(server, "")
        assert first == {"version": "", "told": f"Waiting for tiny: there is no store {store} yet.", "trouble": ""}
        assert "The report will stand here" in get(server.address)[1]

        run(store, 0, 1, 2)
        found = until(lambda: "seeds 0 to 2" in (now := state(server)).get("body", "") and now)
        assert found["told"].startswith("tiny: 3 runs, the last one ")
        assert "body" not in state(server, found["version"])  # it is there

        run(store, 3, 4)
        later = until(lambda: "seeds 0 to 4" in (now := state(server, found["version"])).get("body", "") and now)
        assert later["version"] != found["version"]
        page = get(server.address)[1]
        assert later["body"] in page
        assert f'"version":"{later["version"]}"' in page

        delete("tiny", store)
        gone = until(lambda: (now := state(server, later["version"])).get("trouble") and now)
        assert gone["trouble"] == f"What this page shows of tiny has been deleted from {store} since."
        assert gone["told"] == f"Waiting for tiny: {store} has no such study yet."
        assert "body" not in gone

        run(store, 7, 8)
        anew = until(lambda: "seeds 7 and 8" in (now := state(server)).get("body", "") and now)
        assert anew["trouble"] == ""


@pytest.mark.usefixtures("quick")
def test_several_studies_of_which_one_is_not_there_yet(store: Path) -> None:
    run(store, 0, 1, name="a")
    with watch(store, "a", "b") as server:
        found = until(lambda: "<h1>a</h1>" in (now := state(server)).get("body", "") and now)
        assert f"Waiting for b: {store} has no such study yet; it has &#39;a&#39;" in get(server.address)[1]
        run(store, 0, 1, name="b")
        until(lambda: "<h1>a and b</h1>" in state(server, found["version"]).get("body", ""))
        told = until(lambda: "not shown" not in (now := state(server)["told"]) and now).split(". ")
        assert [each.partition(",")[0] for each in told] == ["a: 2 runs", "b: 2 runs"]


def test_nothing_in_the_store_changes(store: Path) -> None:
    write(store, *map(result, range(5)))
    before = hashlib.sha256(store.read_bytes()).digest(), [each.name for each in store.parent.iterdir()]
    with watch(store) as server:
        until(lambda: state(server).get("body"))
        get(server.address)
    assert before == (hashlib.sha256(store.read_bytes()).digest(), [each.name for each in store.parent.iterdir()])


# What goes wrong meanwhile.


@pytest.mark.usefixtures("quick")
def test_a_score_that_is_not_there_is_told_and_the_watching_goes_on(store: Path) -> None:
    run(store, 0, 1)
    with watch(store, "tiny", score="none") as server:
        found = until(lambda: (now := state(server))["trouble"] and now)
        assert found["trouble"].startswith("The report could not be made: ")
        assert "none" in found["trouble"]
        run(store, 2)
        until(lambda: state(server)["told"].startswith("tiny: 3 runs"))


@pytest.mark.usefixtures("quick")
def test_an_error_that_nobody_foresaw_is_told_and_tried_again(
    store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run(store, 0, 1)
    capfd.readouterr()
    calls = []

    def broken(*_: Any) -> None:
        calls.append(1)
        raise ZeroDivisionError("boom")

    made = making.document
    monkeypatch.setattr(making, "document", broken)
    with watch(store) as server:
        until(lambda: len(calls) > 2)
        assert state(server)["trouble"] == "The report could not be made: ZeroDivisionError: boom."
        monkeypatch.setattr(making, "document", made)
        assert until(lambda: (now := state(server)).get("body") and now)["trouble"] == ""
    assert capfd.readouterr().err.count("ZeroDivisionError: boom") == 1  # not each time


@pytest.mark.usefixtures("quick")
def test_a_store_that_cannot_be_read_for_a_while(store: Path) -> None:
    run(store, 0, 1)
    with watch(store) as server:
        found = until(lambda: (now := state(server)).get("body") and now)
        kept, other = store.with_suffix(".kept"), store.with_suffix(".other")
        other.write_bytes(b"another program's file " * 100)
        # Renamed, since whoever opens and closes a file takes all locks of its process from it.
        store.rename(kept)
        other.rename(store)
        until(lambda: "The store could not be read" in state(server)["trouble"])
        kept.replace(store)
        until(lambda: state(server, found["version"])["trouble"] == "")


# When a report is made.


@pytest.mark.usefixtures("quick")
def test_one_report_at_a_time_and_answers_meanwhile(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, 0, 1)
    at_once: list[int] = []
    permits = threading.Semaphore(0)
    making_now = threading.Semaphore(1)
    made = making.document

    def slow(*given: Any) -> Any:
        at_once.append(int(making_now.acquire(blocking=False)))
        assert permits.acquire(timeout=PATIENCE)
        making_now.release()
        return made(*given)

    def told(server: WatchServer, end: str) -> None:
        until(lambda: state(server)["told"].endswith(end))

    monkeypatch.setattr(making, "document", slow)
    with watch(store) as server:
        until(lambda: at_once)
        told(server, ". The report is being made.")
        permits.release()
        until(lambda: "seeds 0 and 1" in state(server).get("body", ""))
        run(store, 2)
        until(lambda: len(at_once) == 2)
        told(server, ". 1 run not shown yet: the page is being drawn anew.")
        run(store, 3)
        told(server, ". 2 runs not shown yet: the page is being drawn anew.")
        assert at_once == [1, 1]
        permits.release(100)
        until(lambda: "seeds 0 to 3" in state(server).get("body", ""))
    assert set(at_once) == {1}


def test_reports_rest_in_proportion_to_what_they_take(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(store, 0, 1)
    clock = iter([0.0, 50.0, 100.0, 150.0])  # of the processor, at the beginning and end of two reports
    monkeypatch.setattr(redrawing.time, "thread_time", lambda: next(clock))
    redrawer = redrawing.Redrawer(store, "title")

    def redrawn() -> None:
        redrawer.redraw(Follower(store).look().with_runs)
        redrawer.wait(PATIENCE)
        assert redrawer.failure == ""

    redrawn()
    assert redrawer.shown.runs == 2
    assert redrawer.rest is not None
    assert redrawer.rest <= redrawing.REST_SECONDS  # the first one also loads what draws charts
    until(lambda: redrawer.rest == 0)
    run(store, 2)
    redrawn()
    assert redrawer.shown.runs == 3
    assert redrawer.rest > 400
    run(store, 3)
    redrawn()
    assert redrawer.shown.runs == 3
    assert redrawer.is_behind(Follower(store).look().with_runs)


def test_nothing_is_done_while_nobody_asks(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(watched, "REST", 0)
    monkeypatch.setattr(watched, "QUIET_SECONDS", 0)
    run(store, 0)
    looks = []
    follower = Follower(store)
    look = follower.look
    monkeypatch.setattr(follower, "look", lambda: (looks.append(1), look())[1])
    found = Watched(follower)
    found.start()
    until(lambda: looks)
    time.sleep(0.5)  # hundreds of looks, if it went on
    assert len(looks) < 5
    before = len(looks)
    found.state("")
    until(lambda: len(looks) > before)
    found.stop()


# Which studies are followed.


def test_without_a_name_the_study_that_changed_last(store: Path) -> None:
    follower = Follower(store)
    assert follower.look().waited == (f"Waiting for a study: there is no store {store} yet",)
    run(store, 0, name="old")
    assert [each.name for each in follower.look().studies] == ["old"]
    run(store, 0, name="new")
    assert [each.name for each in Follower(store).look().studies] == ["new"]
    assert [each.name for each in follower.look().studies] == ["old"]  # it may still grow
    delete("old", store)
    assert [each.name for each in follower.look().studies] == ["new"]
    delete("new", store)
    assert follower.look().waited == (f"Waiting for a study: {store} has none yet",)


def test_it_goes_on_to_another_study_once_the_first_rests(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Progress("first", "f", 1000.0, 1, 0, 0, 2000.0, 0, 0, 0, None)
    other = replace(made, name="other", marker="o", last=2030.0)
    begun = replace(made, name="begun", marker="b", created=9999.0, runs=0, last=None)
    found = [made]
    monkeypatch.setattr("seedbed.reporting.watching.following.read_progress", lambda *_: tuple(found))
    follower = Follower(store)
    for studies, name in (
        ([made], "first"),
        ([made, other], "first"),
        ([replace(made, last=2050.0), replace(other, last=2060.0)], "first"),
        ([replace(made, last=2050.0), replace(other, last=2111.0)], "other"),
        ([replace(made, last=2120.0), replace(other, last=2111.0)], "other"),
        ([other, begun], "other"),  # it has nothing to show yet
    ):
        found[:] = studies
        assert [each.name for each in follower.look().studies] == [name]


def test_names_are_followed_in_the_order_given_and_once(store: Path) -> None:
    run(store, 0, name="a")
    run(store, 0, name="b")
    look = Follower(store, ("b", "a", "b", "bb")).look()
    assert [each.name for each in look.studies] == ["b", "a"]
    assert look.waited == (f"Waiting for bb: {store} has no such study yet; it has 'b'",)


# Words.


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (0.9, "just now"),
        (3.7, "3 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (172799, "47 h ago"),
        (172800, "2 days ago"),
    ],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    assert watching.ago(seconds) == words


def test_a_study_in_words() -> None:
    made = Progress("people", "m", 0.0, 412, 2, 1, 97.0, 0, 0, 0, None)
    assert watching.progress(made, 100.0) == "people: 412 runs, 2 diverged, 1 failed, the last one 3 s ago"
    assert (
        watching.progress(replace(made, runs=1, diverged=0, failed=0), 97.0) == "people: 1 run, the last one just now"
    )
    assert watching.progress(replace(made, runs=0, last=None), 97.0) == "people: no run has ended yet"


def test_what_is_not_shown_yet_in_words() -> None:
    assert watching.behind(12, 31.4) == "12 runs not shown yet: the page will be drawn anew in 31 s"
    assert watching.behind(0, None) == "Changes not shown yet: the page is being drawn anew"
