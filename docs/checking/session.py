"""The process in which a page's Python blocks are run, one after another, as if typed at one prompt.

It reads a request a line, ``{"code", "name", "single"}``, and answers a line each, ``{"output", "error"}``.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import sys
import traceback
import types
from typing import Any

LAST_LINES = "Traceback (most recent call last):\n    ...\n"  # a traceback as doctest has it


def answer(code: str, name: str, single: bool, names: dict[str, Any]) -> dict[str, str | None]:
    """Run code and tell what it printed, and its error.

    Args:
        name: of the place, for tracebacks and for who reads the source of a function.
        single: whether it is one statement at a prompt, whose value and whose exception are printed.
    """
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, name, "single" if single else "exec"), names)
        except BaseException as error:  # the page may show it, SystemExit included
            if not single:
                return {"output": printed.getvalue(), "error": traceback.format_exc()}
            print(LAST_LINES + "".join(traceback.format_exception_only(error)), end="")
    return {"output": printed.getvalue(), "error": None}


def main() -> None:
    """Answer until there are no more requests."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a child process prints is no answer
    sys.path[0] = ""
    page = types.ModuleType("__main__")
    sys.modules["__main__"] = page
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line), names=vars(page))), file=answers, flush=True)


if __name__ == "__main__":
    main()
