"""The simulation page: coverage of every interval and size of every test in ``seedbed.stats``, as docs/simulation.md.

    python benchmarks/coverage.py [--draws 40000] [--only NAME] [--cache FILE] [-o docs/simulation.md]

Every row has a generator of its own, made from the stated seed and the row's name: made alone it is the same row. With
``--cache``, rows that are finished are kept in a file, so that an interrupted run goes on; delete it where the code
changed. All of it takes up to an hour of one core. What the page says around the tables is in
benchmarks/simulation/page.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from simulation import page
from simulation.rows import Figure
from simulation.tables import ROWS

DRAWS = 40_000


def kept_rows(cache: Path | None, draws: int) -> dict[str, dict[str, Figure]]:
    """Rows of the cache that were made with so many draws."""
    if cache is None or not cache.exists():
        return {}
    kept = json.loads(cache.read_text(encoding="utf-8"))
    if kept["draws"] != draws:
        sys.exit(f"{cache} holds rows of {kept['draws']} draws, and {draws} were asked for: name another file")
    return {name: {column: Figure(**each) for column, each in row.items()} for name, row in kept["rows"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--only", default="", help="make rows whose name contains this; others come from the cache")
    parser.add_argument("--cache", type=Path, help="a JSON file that keeps rows that are finished")
    parser.add_argument("-o", "--output", type=Path, help="the page; where not given, it is printed")
    arguments = parser.parse_args()
    found = kept_rows(arguments.cache, arguments.draws)
    wanted = [row for row in ROWS if arguments.only in row.name]
    if not wanted:
        parser.error(f"no row's name contains {arguments.only!r}")
    for i, row in enumerate(wanted, 1):
        if row.name in found:
            continue
        start = time.perf_counter()
        found[row.name] = row.run(arguments.draws)
        print(f"{i:4d}/{len(wanted)}  {time.perf_counter() - start:6.1f} s  {row.name}", file=sys.stderr, flush=True)
        if arguments.cache is not None:
            rows = {name: {column: asdict(each) for column, each in row.items()} for name, row in found.items()}
            part = arguments.cache.with_suffix(".part")  # so that an interruption leaves the file whole
            part.write_text(json.dumps({"draws": arguments.draws, "rows": rows}), encoding="utf-8")
            part.replace(arguments.cache)
    text = page.write(ROWS, found, arguments.draws)
    if arguments.output is None:
        print(text, end="")
    else:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
