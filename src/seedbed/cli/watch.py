"""seedbed watch."""

from __future__ import annotations

import os
import sys

import click

from seedbed.cli import DONE
from seedbed.cli.read import metric_option, store_option
from seedbed.errors import InputError

MOST_PORT = 65535


@click.command()
@click.argument("names", nargs=-1, metavar="[STUDY ...]")
@store_option
@metric_option
@click.option("--port", type=click.IntRange(0, MOST_PORT), default=0, help="Of 127.0.0.1; one that is free if absent.")
@click.option("--open/--no-open", "opening", default=False, help="Open the page in a browser (default: no).")
def watch(names: tuple[str, ...], store: str, metric: str | None, port: int, opening: bool) -> int:
    """Show the report of studies as a page that follows their runs, until Ctrl-C.

    Without a STUDY it is of the one that changed last. A study or store that is not there yet is waited for: give the
    command before or beside seedbed run, or later. The page is served to this machine alone, at an address that holds a
    secret, and changes nothing in the store.
    """
    from seedbed.reporting.watching.following import Follower
    from seedbed.reporting.watching.watched import Watched
    from seedbed.words import wording

    try:
        from seedbed.reporting.watching.server import WatchServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise InputError("watching needs Starlette and Uvicorn: pip install 'seedbed[watch]'") from None

    watched = Watched(Follower(store, names), metric)
    look = watched.look()  # what is no store is told here, and not on a page
    server = WatchServer(watched, port)
    for words in look.waited:
        click.echo(words, err=True)
    about = wording.listed(names or [each.name for each in look.studies]) or "a study"
    try:
        print(f"{about}: {server.address} (Ctrl-C ends it)", flush=True)
        if opening:
            _open(server.address)
        watched.start()
        server.run()
    except KeyboardInterrupt:
        click.echo(err=True)  # after the ^C of a terminal
    finally:
        watched.stop()
    return DONE


def _open(address: str) -> None:
    """Open a browser that has a window: one in the terminal would take it."""
    import webbrowser

    windows = sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if not windows or not webbrowser.open(address):
        click.echo("no browser could be opened: open the address in one of this machine", err=True)
