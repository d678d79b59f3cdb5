"""Any command as an experiment: where its seed goes, where its result stands, and what makes it the same again."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seedbed.errors import InputError
from seedbed.programs import interpreter
from seedbed.seeds import ROLES, Assignment

SEED_ROLES = ROLES[:3]  # those that a plain seed decides
PLACEHOLDER = re.compile(r"\{(seed|init|order|noise|split)\}")
LARGEST_SOURCE = 200_000  # bytes of a file that is kept as a program's source
LONGEST_NAME = 120
_NUMBER = re.compile(r"[-+]?\.?\d")
WAY_OUT = "or, where it sets a seed of its own, give --force-seed"


@dataclass(frozen=True)
class Metric:
    """A metric that is read from what a program prints: its name, where it stands, and which of several is taken."""

    name: str
    pattern: re.Pattern[str]
    take: str  # first, last; only: several are refused

    @classmethod
    def read(cls, key: Any, pattern: Any) -> Metric:
        """From ``accuracy`` or ``accuracy:last`` and a regular expression with one group."""
        if not isinstance(key, str) or not isinstance(pattern, str):
            raise InputError(f"a metric is a name and a regular expression, got {key!r} and {pattern!r}")
        name, colon, take = key.partition(":")
        if not name.strip() or not name.isprintable():
            raise InputError(f"a metric's name must be printable and not empty, got {key!r}")
        if colon and take not in ("first", "last"):
            raise InputError(f"after a metric's name stands :first or :last, or nothing; got {key!r}")
        try:
            compiled = re.compile(pattern, re.MULTILINE)
        except re.error as error:
            raise InputError(f"metric {name}: {pattern!r} is no regular expression: {error}") from error
        if compiled.groups != 1:
            raise InputError(
                f"metric {name}: {pattern!r} must have exactly one group, around the number, such as "
                rf"'acc: (\S+)'; it has {compiled.groups}. A group that is not the number is written (?:...)"
            )
        return cls(name, compiled, take or "only")


@dataclass(frozen=True)
class Program:
    """A command that is run once for each assignment of seeds.

    ``{seed}`` in it becomes the plain seed; ``{init}``, ``{order}``, ``{noise}`` and ``{split}`` the seeds of the
    roles. No other brace is touched.

    Attributes:
        command: its words.
        metrics: name to a regular expression with one group, which is looked for in all that is printed; ``name:last``
            and ``name:first`` say which of several matches is taken. Without metrics and ``metrics_file``, the last
            line of standard output that is a JSON object with a number is the result.
        metrics_file: a JSON file, or a ``.jsonl`` file whose last line counts; it may hold placeholders.
        force_seed: the run's seed takes the place of whatever seed a Python program sets.
        timeout: seconds after which a run is ended, and failed.
        name: of the study, in place of ``study_name``.
        larger_is_better: of metrics, by name.
        primary: the metric that is shown first.
    """

    command: Sequence[str]
    metrics: Mapping[str, str] = field(default_factory=dict)
    metrics_file: str | None = None
    force_seed: bool = False
    timeout: float | None = None
    name: str | None = None
    larger_is_better: Mapping[str, bool] = field(default_factory=dict)
    primary: str | None = None

    def __post_init__(self) -> None:
        command: Any = self.command
        if isinstance(command, str) or not all(isinstance(word, str) for word in command):
            raise InputError(f"a command is a list of words, such as ['python', 'train.py'], got {command!r:.80}")
        if not command or not command[0]:
            raise InputError("there is no command: write it after --, such as: -- python train.py --seed {seed}")
        if any("\0" in word for word in command):
            raise InputError("a word of the command holds a NUL character, which no program can be given")
        if self.metrics and self.metrics_file is not None:
            raise InputError("results come from one place: give either metrics or metrics_file")
        if self.metrics_file is not None and (not isinstance(self.metrics_file, str) or not self.metrics_file):
            raise InputError(f"metrics_file must be the path of a file, got {self.metrics_file!r}")
        timeout: Any = self.timeout
        if timeout is not None and (
            isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf
        ):
            raise InputError(f"a timeout is a number of seconds above 0, got {timeout!r}")
        name: Any = self.name
        if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
            raise InputError(f"a study's name must be printable and not empty, got {name!r}")
        object.__setattr__(self, "command", tuple(command))
        object.__setattr__(self, "metrics", dict(self.metrics))
        object.__setattr__(self, "larger_is_better", dict(self.larger_is_better))
        self._check_metric_names()

    def _check_metric_names(self) -> None:
        names = [metric.name for metric in self.patterns()]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InputError(f"metric {min(twice)} is given twice")
        for name, larger in self.larger_is_better.items():
            if not isinstance(larger, bool):
                raise InputError(f"larger_is_better of metric {name} must be True or False, got {larger!r}")
        asked = [*self.larger_is_better, *([] if self.primary is None else [self.primary])]
        if names and (unknown := [name for name in asked if name not in names]):
            raise InputError(f"there is no metric {unknown[0]!r}; the metrics are {', '.join(names)}")

    def patterns(self) -> tuple[Metric, ...]:
        """The metrics that are looked for in what is printed."""
        return tuple(Metric.read(key, pattern) for key, pattern in self.metrics.items())

    @property
    def placeholders(self) -> frozenset[str]:
        """What its words name: of seed, init, order, noise and split."""
        return frozenset(found for word in self.command for found in PLACEHOLDER.findall(word))

    def filled(self, assignment: Assignment) -> list[str]:
        """The command of one run."""
        return [_filled(word, assignment) for word in self.command]

    def filled_metrics_file(self, assignment: Assignment) -> Path | None:
        """The file that one run writes its metrics to."""
        return None if self.metrics_file is None else Path(_filled(self.metrics_file, assignment))

    def check(self, assignments: Sequence[Assignment], at_once: int = 2) -> None:
        """Raise an InputError where these runs cannot be what was meant; ``at_once`` of them go side by side."""
        for word in _of_all(self.command[0], assignments):
            if shutil.which(word) is None:
                raise InputError(_not_found(word))
        called = interpreter.called(self.command)
        if called is not None and called.script is not None:
            for word in _of_all(called.script, assignments):
                if not Path(word).exists():
                    raise InputError(f"there is no file {word} here ({Path.cwd()})")
        self._check_seeds(assignments)
        if self.metrics_file is not None and at_once > 1:
            files = {self.filled_metrics_file(each) for each in assignments}
            if len(files) < len(assignments):
                raise InputError(
                    f"several runs go side by side and would all write {self.metrics_file}: put the seed into its "
                    f"name, in the command and here, such as metrics-{{seed}}.json; or compute one run at a time"
                )

    def _check_seeds(self, assignments: Sequence[Assignment]) -> None:
        plain = [each for each in assignments if each.is_plain]
        apart = [each for each in assignments if not each.is_plain]
        there = self.placeholders
        if self.force_seed:
            if apart:
                raise InputError(
                    "--force-seed puts one seed in the place of every other, so it cannot part the roles: give plain "
                    "seeds, or {init}, {order} and {noise} in the command"
                )
            if reason := why_not_forced(self.command, only_certain=True):
                raise InputError(f"--force-seed: {reason}")
        elif plain and not there & {"seed", *SEED_ROLES}:
            raise InputError(
                f"the command has no {{seed}}: every run would be the same. Put it where the seed goes, such as "
                f"--seed {{seed}}; {WAY_OUT}"
            )
        if apart and "seed" in there:
            raise InputError(_SEED_OF_ROLES)
        if apart and not there:
            raise InputError("the command has no {init}, {order} or {noise}: every run would be the same")
        for role in SEED_ROLES:
            self._check_role(role, sorted({getattr(each, role) for each in apart}))
        self._check_role("split", sorted({each.split for each in assignments}))

    def _check_role(self, role: str, levels: Sequence[int]) -> None:
        if levels and levels != [0] and role not in self.placeholders:
            given = f"is {levels[0]}" if len(levels) == 1 else f"takes {len(levels)} values"
            raise InputError(f"{role} {given}, but the command has no {{{role}}}: it would make no difference")

    @property
    def study_name(self) -> str:
        """The name of its study: the script's, and its arguments without the seed's: ``train.py[lr=0.1]``."""
        if self.name is not None:
            return self.name
        called = interpreter.called(self.command)
        if called is None:
            program, words = Path(self.command[0]).name, self.command[1:]
        else:
            program, words = called.name, self.command[called.end :]
        arguments = ",".join(_shown(words))
        name = "".join(c if c.isprintable() else "?" for c in f"{program}[{arguments}]" if arguments) or program
        if len(name) <= LONGEST_NAME:
            return name
        digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=4).hexdigest()
        return f"{name[: LONGEST_NAME - 12]}...{digest}]"

    def settings(self) -> dict[str, Any]:
        """What makes it the same experiment, as JSON values."""
        return {
            "command": list(self.command),
            "metrics": dict(self.metrics),
            "metrics_file": self.metrics_file,
            "force_seed": self.force_seed,
        }

    def source(self) -> dict[str, str]:
        """The text of every file that its words name, such as a script or a configuration; binary and large ones
        are left out."""
        found: dict[str, str] = {}
        for word in (*self.command, *self._module_files()):
            for name in (word, word.partition("=")[2]):
                text = _text(name)
                if text is not None:
                    found[f"file {name}"] = text
        return found

    def _module_files(self) -> list[str]:
        called = interpreter.called(self.command)
        return [] if called is None or called.module is None else [str(interpreter.module_file(called.module))]

    def environment(self) -> Mapping[str, str]:
        """What can change its results: of a Python program the versions of Python and of what it imports, as its own
        interpreter knows them; otherwise where the program lies."""
        called = interpreter.called(self.command)
        if called is None:
            found = shutil.which(self.command[0])
            return {} if found is None else {"program": str(Path(found).resolve())}
        return interpreter.versions(self.command[0], called)


_SEED_OF_ROLES = "the command has {seed}, but the seeds are of roles: write {init}, {order} and {noise} where each goes"


def _filled(word: str, assignment: Assignment) -> str:
    def value(match: re.Match[str]) -> str:
        found = getattr(assignment, match.group(1))
        if found is None:
            raise InputError(_SEED_OF_ROLES)
        return str(found)

    return PLACEHOLDER.sub(value, word)


def _of_all(word: str, assignments: Sequence[Assignment]) -> list[str]:
    """What a word becomes in these runs, each once."""
    return list(dict.fromkeys(_filled(word, each) for each in assignments)) if PLACEHOLDER.search(word) else [word]


def _not_found(word: str) -> str:
    if len(word.split()) > 1 and not Path(word).exists():
        return f"there is no program {word!r}: write the words of the command apart, not as one between quotes"
    if "/" not in word:
        return f"there is no program {word!r} on the PATH; a program in this folder is written ./{word}"
    return f"{word} is there, but may not be executed" if Path(word).exists() else f"there is no program {word}"


def why_not_forced(command: Sequence[str], *, only_certain: bool = False) -> str | None:
    """Why the seed cannot be put in the place of others in this command, as far as its words tell; None: they tell
    nothing against it."""
    called = interpreter.called(command)
    if called is None:
        return None if only_certain else (
            f"{Path(command[0]).name} started no Python that takes sitecustomize from PYTHONPATH; it works in Python "
            "programs only. Give the program a {seed} instead"
        )  # fmt: skip
    closed = next((option for option in called.flags if option in "ISE"), None)
    return None if closed is None else (
        f"python -{closed} loads nothing that could put it there: leave that option out, or give the program a {{seed}}"
    )  # fmt: skip


def _shown(words: Sequence[str]) -> list[str]:
    """Arguments as a name shows them: ``--lr 0.1`` as ``lr=0.1``; those with a placeholder are left out."""
    shown: list[str] = []
    position = 0
    while position < len(words):
        word, position = words[position], position + 1
        if PLACEHOLDER.search(word) or word == "--":
            continue
        if not _is_flag(word):
            shown.append(word)
            continue
        flag = word.lstrip("-")
        if "=" not in flag and position < len(words) and not _is_flag(words[position]) and words[position] != "--":
            value, position = words[position], position + 1
            if PLACEHOLDER.search(value):
                continue
            flag = f"{flag}={value}"
        shown.append(flag)
    return shown


def _is_flag(word: str) -> bool:
    return word.startswith("-") and bool(word.strip("-")) and not _NUMBER.match(word)


def _text(name: str) -> str | None:
    """What a small text file holds; None where there is none of that name."""
    try:
        path = Path(name)
        if not name or not path.is_file() or path.stat().st_size > LARGEST_SOURCE:
            return None
        text = path.read_bytes().decode()
    except (OSError, ValueError):  # no name for a file, not to be read, or no text
        return None
    return None if "\0" in text else text
