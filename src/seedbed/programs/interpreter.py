"""Commands that start Python: which script they run, what it imports, and the versions of that."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.packages import imported_names

ASKING = 30.0  # seconds that an interpreter may take to tell its versions
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?", re.ASCII)
_WITH_VALUE = "XW"  # options of the interpreter that take a value, in the same word or in the next

_ASK = """
import json, platform, sys
names = sys.argv[1:]
found = {"python": platform.python_version()}
if platform.python_implementation() != "CPython":
    found["python"] = platform.python_implementation() + " " + found["python"]
try:
    from importlib import metadata
    table = metadata.packages_distributions() if hasattr(metadata, "packages_distributions") else {}
    for name in names:
        for each in sorted(set(table.get(name, [name]))):
            try:
                found[each.lower().replace("_", "-")] = metadata.version(each)
            except metadata.PackageNotFoundError:
                pass
except ImportError:
    pass
print("\\n" + json.dumps(found))
"""


@dataclass(frozen=True)
class Called:
    """How a command calls Python.

    Attributes:
        script: the file that is run, or None.
        module: the module that is run by ``-m``, or None.
        flags: the interpreter's options without a value, such as ``uS``.
        end: where in the command the program's own arguments begin.
    """

    script: str | None
    module: str | None
    flags: str
    end: int

    @property
    def name(self) -> str:
        """What is run, for people."""
        return Path(self.script).name if self.script else self.module or "python"


def called(command: Sequence[str]) -> Called | None:
    """How a command calls Python; None where its first word is no Python."""
    if not _PYTHON.fullmatch(Path(command[0]).name):
        return None
    flags, position = "", 1
    while position < len(command):
        word, position = command[position], position + 1
        if word.startswith("--"):
            position += word == "--check-hash-based-pycs"
        elif word.startswith("-") and word != "-":
            for place, option in enumerate(word[1:], 1):
                rest = word[place + 1 :]
                if option in "cm":
                    value = rest or (command[position] if position < len(command) else "")
                    end = position + (not rest)
                    return Called(None, value if option == "m" else None, flags, min(end, len(command)))
                if option in _WITH_VALUE:
                    position += not rest
                    break
                flags += option
        else:
            return Called(None if word == "-" else word, None, flags, position)
    return Called(None, None, flags, len(command))


def module_file(module: str, folder: Path = Path()) -> Path:
    """The file of a module that lies in a folder; it need not be there."""
    path = folder.joinpath(*module.split("."))
    for main in (path / "__main__.py", path / "__init__.py"):
        if main.is_file():
            return main
    return path.with_name(f"{path.name}.py")


def versions(executable: str, call: Called) -> dict[str, str]:
    """The version of an interpreter, and of what the program imports as that interpreter has it; empty where it does
    not tell."""
    names = imports(call)
    try:
        done = subprocess.run(
            [executable, "-c", _ASK, *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ASKING,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {}
    first = found.pop("python")
    return {"python": first, **{name: found[name] for name in sorted(found)}}


def imports(call: Called) -> list[str]:
    """The packages that a program's file, and the modules beside it that it imports, import; numpy among them."""
    script = call.script if call.script else module_file(call.module) if call.module else None
    names = {"numpy"}  # whatever else takes part computes with it
    if script is not None:
        folder = Path(script).parent
        named = _imported(Path(script))
        beside = {name for name in named if module_file(name, folder).is_file()}
        names |= named - beside
        for name in beside:
            names |= {each for each in _imported(module_file(name, folder)) if not module_file(each, folder).is_file()}
    return sorted(names)


def _imported(path: Path) -> set[str]:
    try:
        return imported_names(path.read_bytes())
    except OSError:  # the program will tell itself
        return set()
