"""Run the blocks of the documentation's pages and compare their output with what the pages show.

    python docs/check.py [--update] [PAGE ...]      # README.md and all of docs where no page is named

A block says what it is behind its fence, and a page's blocks are run in order, in one temporary folder that has a copy
of `examples`, in a terminal of 88 columns without colours. Two pages are run at a time, on two cores.

    console         lines that begin with `$ ` are commands, the lines below each are its output
    sh              commands whose output is not compared, unless a block `output` follows
    pycon           statements behind `>>> `, each with its output, as doctest has them
    python          code, and behind it a block `output` where its output is compared
    text, toml ...  neither run nor compared

and more words may follow, of which a reader sees nothing:

    no-run          shown only
    exit=1          the exit status of the last command; it is 0 where none is declared
    needs=MODULE    skipped where the module is not installed (several: joined by commas)
    file=NAME       python, text: written to this file in the folder, and not run
    from=PATH       python: quoted from this file, and not run

`...` stands for anything, and is for what differs from one machine or moment to the next: times, paths, versions, last
digits. `--update` writes what was printed into the pages, wherever the two differ.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from checking.pages import PageError, read
from checking.running import ROOT, Fate, Result, changed, results

CORES = 2


def pages() -> list[Path]:
    """All pages whose blocks are checked."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def check(page: Path, *, update: bool) -> tuple[list[Result], str]:
    """Check one page.

    Returns:
        What became of its blocks; and what failed, and a line that counts them.
    """
    began, found, told = time.monotonic(), [], []
    shown = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    for result in results(page, read(page)):
        found.append(result)
        if result.fate is Fate.FAILED:
            told.append(f"{shown}:{result.block.line}: {result.block.kind} block\n{result.why}\n")
    if found:
        told.append(f"{shown}: {counts(found)} ({time.monotonic() - began:.0f} s)")
    if update and (changes := [change for result in found for change in result.changes]):
        page.write_text(changed(page.read_text(encoding="utf-8"), changes), encoding="utf-8")
        told.append(f"{shown}: {len(changes)} outputs written")
    return found, "\n".join(told)


def counts(found: list[Result]) -> str:
    """How many blocks were run, skipped and why, not run, and failed."""
    fates = Counter(result.fate for result in found)
    reasons = Counter(result.why for result in found if result.fate is Fate.SKIPPED)
    told = [f"{fates[fate]} {fate.value}" for fate in Fate if fates[fate] and fate is not Fate.SKIPPED]
    return ", ".join([*told, *(f"{number} skipped: {why}" for why, number in sorted(reasons.items()))]) or "no block"


def main() -> int:
    """Check the pages that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write what was printed into the pages")
    parser.add_argument("page", nargs="*", type=Path, help="README.md and all of docs where none is named")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    found = []
    with ThreadPoolExecutor(CORES) as pool:  # most of what commands do, loading and compiling, keeps one core busy
        asked = [pool.submit(check, page.resolve(), update=options.update) for page in options.page or pages()]
        try:
            for each in as_completed(asked):
                of_page, told = each.result()
                found += of_page
                if told:
                    print(told, flush=True)
        except PageError as error:
            pool.shutdown(cancel_futures=True)
            print(error)
            return 2
    print(f"all: {counts(found)}")
    return int(any(result.fate is Fate.FAILED for result in found))


if __name__ == "__main__":
    sys.exit(main())
