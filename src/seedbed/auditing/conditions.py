"""The conditions under which a run is trained again: what each changes, and which of them can be asked of a subject."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from seedbed import cores, devices
from seedbed.auditing.setting import Setting
from seedbed.errors import InputError
from seedbed.stats.checks import count

#: ``same``: nothing that a user would call a change; ``rounding``: other sums in another order, or other code for the
#: same mathematics; ``yardstick``: no condition at all, but something to measure by.
Role = Literal["same", "rounding", "yardstick"]
MOST_THREADS, THREADS_A_CORE = 64, 4  # whichever is more; far more of them would only wait for each other
HASH_SEEDS = (1, 2)
PERTURBED = "165"  # the byte that glibc fills memory with, when it is allocated
CAPABILITIES = ("default", "avx2", "avx512")  # of torch on x86, the plainest first
_MEANINGS = {
    "default": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {"ATEN_CPU_CAPABILITY": "avx512"},
}


@dataclass(frozen=True)
class Condition:
    """One change, and what the changed run is compared with.

    Attributes:
        name: as ``--conditions`` takes it, such as ``threads=2``; of its repetition ``threads=2 again``.
        words: for people.
        setting: that it is computed under.
        against: the setting of the run that it should equal.
    """

    name: str
    words: str
    kind: Role
    setting: Setting
    against: Setting

    @property
    def is_repetition(self) -> bool:
        """Whether nothing is changed but the process."""
        return self.setting.but(repetition=0) == self.against.but(repetition=0)

    @property
    def crosses_devices(self) -> bool:
        """Whether the two runs are computed by different devices."""
        return self.setting.device != self.against.device

    @property
    def family(self) -> str:
        """Its name without a value: ``threads``."""
        return self.name.partition("=")[0]


@dataclass(frozen=True)
class Circumstances:
    """What decides which conditions there are.

    Attributes:
        capability: of this processor, as torch names it; empty where it is not known.
        is_trial: a function of the user's own, and no experiment.
        is_program: a command, which is set from outside only.
        loads_items: training rows are made one by one, by code of the user's.
        evaluates: a trial moves a generator in its evaluations.
        devices: others that torch could compute on.
        fills_memory: the system's library fills new memory where it is told to.
    """

    capability: str
    is_trial: bool = False
    is_program: bool = False
    loads_items: bool = False
    evaluates: bool = False
    devices: tuple[str, ...] = ()
    fills_memory: bool = field(default_factory=lambda: platform.libc_ver()[0] == "glibc")


FAMILIES: Mapping[str, str] = {
    "again": "the same again, in a process of its own",
    "hash": "with another PYTHONHASHSEED",
    "memory": "with new memory filled with other bytes",
    "threads": "on other numbers of threads, each twice",
    "onednn": "without oneDNN",
    "deterministic": "with deterministic algorithms",
    "workers": "with other numbers of a DataLoader's workers",
    "evaluation": "with evaluation between the epochs; a trial: with the draws of its evaluations undone",
    "isa": "as on a processor of fewer instruction sets",
    "engine": "by the other engines",
    "device": "on other devices",
    "float64": "in float64: no condition, but the yardstick of rounding",
}


def check_threads(number: int) -> None:
    """Raise an InputError where no run can be computed on so many threads."""
    count(number, "threads")
    most = max(MOST_THREADS, THREADS_A_CORE * cores.available())
    if number > most:
        raise InputError(f"threads must be at most {most} on this machine of {cores.available()} cores, got {number}")


def check(names: Sequence[str]) -> None:
    """Raise an InputError where there are no names, or one of them is none of a condition."""
    if not names:
        raise InputError(f"no condition is named; conditions are {', '.join(FAMILIES)}")
    for name in names:
        family, equals, value = name.partition("=")
        if family not in FAMILIES:
            raise InputError(f"there is no condition {name!r}; conditions are {', '.join(FAMILIES)}")
        if not equals:
            continue
        if family in ("threads", "workers", "hash"):
            least = 1 if family == "threads" else 0
            if not value.isdecimal() or int(value) < least:
                raise InputError(f"{family}= takes a whole number of at least {least}, got {name!r}")
            if family == "threads":
                check_threads(int(value))
        elif family == "isa":
            if value not in CAPABILITIES:
                raise InputError(f"isa= takes one of {', '.join(CAPABILITIES)}; got {name!r}")
        elif family == "engine":
            from seedbed.engines import ENGINES

            if value not in ENGINES:
                raise InputError(f"engine= takes one of {', '.join(ENGINES)}; got {name!r}")
        elif family == "device":
            devices.parse(value)
        else:
            raise InputError(f"condition {family} takes no value, got {name!r}")


def proposed(base: Setting, found: Circumstances) -> list[Condition]:
    """Every condition that can be asked without more being said, in the order they are shown."""
    names = ["again", *(f"hash={seed}" for seed in HASH_SEEDS)]
    if found.fills_memory:
        names.append("memory")
    most = cores.available()
    counts = sorted({1, *(2**k for k in range(1, most.bit_length())), most} - {base.threads})
    names += [f"threads={count}" for count in counts]
    if not found.is_program:
        names += ["onednn", "deterministic"]
    if found.loads_items:
        # An experiment's own loader has none.
        names += [f"workers={count}" for count in ((0, 1, 2) if found.is_trial else (1, 2))]
    if not (found.is_trial or found.is_program) or found.evaluates:
        names.append("evaluation")
    if found.capability in CAPABILITIES:
        names += [f"isa={each}" for each in CAPABILITIES[: CAPABILITIES.index(found.capability)]]
    if not (found.is_trial or found.is_program):
        names += [f"engine={each}" for each in ("lanes", "stacked")]
        names += [f"device={each}" for each in found.devices]
        names.append("float64")
    return [each for name in names for each in made(name, base)]


def chosen(names: Sequence[str], base: Setting, found: Circumstances) -> list[Condition]:
    """The conditions of these names: of a family's, those that are proposed; with a value, that one.

    Raises:
        InputError: a condition does not exist, or is none for what is audited.
    """
    check(names)
    offered = proposed(base, found)
    conditions: dict[str, Condition] = {}
    for name in names:
        family, equals, _ = name.partition("=")
        if found.is_program and family in _WITHIN:
            raise InputError(f"condition {family} cannot be set for a program from outside; make it a trial")
        if found.is_trial and family in ("engine", "device", "float64"):
            raise InputError(f"condition {family} is for experiments: a trial decides it by itself")
        if equals and not (family == "workers" and not found.loads_items):
            matching = made(name, base)
        else:
            matching = [each for each in offered if each.family == family]
        if not matching:
            raise InputError(f"condition {name} is none here: {_WHY_NONE.get(family, 'there is nothing to change')}")
        conditions |= {each.name: each for each in matching}
    return list(conditions.values())


_WITHIN = ("onednn", "deterministic", "workers", "evaluation", "engine", "device", "float64")
_WHY_NONE = {
    "memory": "only glibc fills new memory where it is told to",
    "workers": "no training rows are made one by one, so that no DataLoader's workers could make them",
    "evaluation": "no generator was seen to move from model.eval() to the last call of the model before model.train()",
    "isa": "torch knows of no plainer instruction sets for this processor",
    "device": "torch sees no other device",
    "threads": "there is one core; a number can be given all the same, such as threads=2",
}


def made(name: str, base: Setting) -> list[Condition]:
    """The condition of a name; two of a number of threads: against the base, and against itself.

    Of what the base has already it is a repetition.
    """
    found = _made(name, base)
    if found[0].setting == base:
        return [replace(found[0], kind="same", setting=base.but(repetition=1))]
    return found


def _made(name: str, base: Setting) -> list[Condition]:
    family, _, value = name.partition("=")
    if family == "again":
        return [Condition(name, "the same again", "same", base.but(repetition=1), base)]
    if family == "hash":
        return [Condition(name, f"PYTHONHASHSEED={value}", "same", base.but(hash_seed=int(value)), base)]
    if family == "memory":
        other = base.but(variables={"MALLOC_PERTURB_": PERTURBED})
        return [Condition(name, "new memory filled", "same", other, base)]
    if family == "threads":
        other = base.but(threads=int(value))
        words = "1 thread" if value == "1" else f"{value} threads"
        again = Condition(f"{name} again", f"{words} again", "same", other.but(repetition=1), other)
        return [Condition(name, words, "rounding", other, base), again]
    if family == "onednn":
        return [Condition(name, "oneDNN off", "rounding", base.but(torch={"onednn": False}), base)]
    if family == "deterministic":
        other = base.but(torch={"deterministic_algorithms": "warn"})
        return [Condition(name, "deterministic algorithms", "rounding", other, base)]
    if family == "workers":
        words = "1 loading worker" if value == "1" else f"{value} loading workers"
        return [Condition(name, words, "same", base.but(workers=int(value)), base)]
    if family == "evaluation":
        return [Condition(name, "evaluation", "same", base.but(evaluation=True), base)]
    if family == "isa":
        words = f"instruction set {value}"
        return [Condition(name, words, "rounding", base.but(variables=_MEANINGS[value]), base)]
    if family == "engine":
        return [Condition(name, f"{value} engine", "rounding", base.but(engine=value), base)]
    if family == "device":
        return [Condition(name, f"on {value}", "rounding", base.but(device=value), base)]
    return [Condition(name, "float64", "yardstick", base.but(wide=True), base)]


def base_words(base: Setting, threads: int | None = None) -> str:
    """What the conditions change, in words.

    Args:
        threads: how many a trial had at its end; None where that is not known.
    """
    words = "1 thread" if base.threads == 1 else f"{base.threads} threads"
    if threads is not None and threads != base.threads:
        words = f"{threads} threads, which it sets by itself"
    return words if base.device == "cpu" else f"{words}, on {base.device}"
