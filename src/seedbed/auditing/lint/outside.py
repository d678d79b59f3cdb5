"""Rule ``seed-from-outside``: seeds that are made of the time, the process or an address."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from seedbed.auditing.lint.contexts import called_last
from seedbed.auditing.lint.elements import kind_of
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.names import argument, text_of
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.remembering import remembered
from seedbed.auditing.lint.words import words

RULE = "seed-from-outside"

_OUTSIDE = {
    "datetime.datetime.now": "the time",
    "datetime.datetime.utcnow": "the time",
    "datetime.datetime.today": "the time",
    "datetime.date.today": "the date",
    "os.getpid": "the number of the process",
    "os.getppid": "the number of a process",
    "os.times": "the time",
    "threading.get_ident": "the number of the thread",
    "os.urandom": "the operating system's random numbers",
    "builtins.id": "an address in memory",
}
_CLOCKS = words("time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time")
_SEEDING = words(
    "random.seed random.Random numpy.random.seed numpy.random.RandomState numpy.random.default_rng "
    "numpy.random.SeedSequence numpy.random.MT19937 numpy.random.PCG64 numpy.random.PCG64DXSM numpy.random.Philox "
    "numpy.random.SFC64 jax.random.key jax.random.PRNGKey jax.random.fold_in"
)
_SEEDING_NAMES = words(
    "seed manual_seed manual_seed_all seed_everything seed_all set_seed set_random_seed set_all_seeds"
)
_KEYWORDS = frozenset({"seed", "random_state", "random_seed"})


@dataclass(frozen=True)
class Origin:
    """What a value is made of that changes from run to run.

    Attributes:
        what: for people, such as ``the time``.
        written: the code of it, such as ``time.time()``.
        certain: whether the value is made of it in every run.
    """

    what: str
    written: str
    certain: bool


def seeds_from_outside(source: Source) -> Iterator[Alarm]:
    """Seeding calls whose seed changes from run to run."""
    for call in source.calls:
        for seed in _seeds(call, source):
            origin = _origin(seed, source)
            if origin is None:
                continue
            certain = origin.certain and not _is_default(call)
            when = "in every run" if certain else "wherever a run gets this one and not another"
            yield Alarm(
                RULE,
                "fault" if certain else "note",
                call,
                f"The seed is made of {origin.what} ({origin.written}), so that it is another {when}.",
                "Take the seed from the command line or a configuration"
                + (", and make one of text by hashlib or zlib.crc32." if origin.what in (_HASH, _MAYBE_HASH) else "."),
            )
            break


def _seeds(call: ast.Call, source: Source) -> list[ast.expr]:
    """The arguments of a call that are a seed, or hold one."""
    name = source.names.called(call)
    last = called_last(call)
    if name in _SEEDING or last in _SEEDING_NAMES:
        return [*call.args, *(each.value for each in call.keywords)]
    if _is_default(call):
        first, default = argument(call, 0, "name"), argument(call, None, "default")
        named = isinstance(first, ast.Constant) and isinstance(first.value, str) and "seed" in first.value.lower()
        return [default] if named and default is not None else []
    return [each.value for each in call.keywords if each.arg in _KEYWORDS]


def _is_default(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("add_argument", "option")


_HASH = "a hash that Python salts anew in every process"
_MAYBE_HASH = "a hash, which Python salts anew in every process where it is one of text"


@remembered(None)
def _origin(node: ast.expr, source: Source) -> Origin | None:
    """What an expression is made of that changes from run to run."""
    maybe = None
    for each in ast.walk(node):
        origin = _of_node(each, source)
        if origin is None:
            continue
        if each is not node and _chosen(each, node, source):
            origin = Origin(origin.what, origin.written, certain=False)
        if origin.certain:
            return origin
        maybe = maybe or origin
    return maybe


def _of_node(node: ast.AST, source: Source) -> Origin | None:
    if isinstance(node, ast.Call):
        what = _outside(node, source)
        return Origin(what, text_of(node), certain=what != _MAYBE_HASH) if what else None
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return _of_name(node, source)
    if isinstance(node, ast.Attribute):
        attribute = source.names.attribute(node)
        origins = [_origin(value, source) for value in attribute.values] if attribute else []
        found = next((each for each in origins if each), None)
        return found and Origin(found.what, found.written, found.certain and len(origins) == 1)
    return None


def _of_name(name: ast.Name, source: Source) -> Origin | None:
    """What a name may be made of; certain where every value that it may have is, or something that is added to it."""
    found = None
    certain = True
    for binding in source.scopes.possible(name):
        readable = binding.kind in ("value", "augmented", "parameter") and binding.value is not None
        origin = _origin(binding.value, source) if readable and binding.value is not None else None
        found = found or origin
        if binding.kind == "augmented":
            if origin and origin.certain and not source.scopes.is_branch(binding.node, name):
                return origin
            continue
        certain = certain and origin is not None and origin.certain and binding.kind == "value"
    return found and Origin(found.what, found.written, certain)


def _outside(call: ast.Call, source: Source) -> str:
    name = source.names.called(call)
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    if name.startswith("time.") and name.removeprefix("time.") in _CLOCKS:
        return "the time"
    if name.startswith(("uuid.uuid1", "uuid.uuid4", "secrets.")):
        return "the operating system's random numbers"
    if name == "builtins.hash" and call.args:
        kind = kind_of(call.args[0], source)
        return _HASH if kind == "text" else "" if kind == "numbers" else _MAYBE_HASH
    return ""


def _chosen(node: ast.AST, whole: ast.expr, source: Source) -> bool:
    """Whether a part of an expression is only one of the values that the whole may take."""
    child = node
    for parent in source.scopes.ancestors(node):
        if isinstance(parent, ast.IfExp) and child is not parent.test:
            return True
        if isinstance(parent, ast.BoolOp) and child is not parent.values[0]:
            return True
        if parent is whole:
            return False
        child = parent
    return False
