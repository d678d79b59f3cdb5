"""Rule ``unseeded-generator``: generators that take their numbers from the operating system."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seedbed.auditing.lint.contexts import is_conditional, is_told
from seedbed.auditing.lint.elements import kind_of
from seedbed.auditing.lint.findings import Alarm, Severity
from seedbed.auditing.lint.names import argument, is_none, unpacks
from seedbed.auditing.lint.reading import Source

RULE = "unseeded-generator"

_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
# What is made of a seed, and the name of the argument that holds it.
_SEEDED = {
    "random.Random": "x",
    "random.seed": "a",
    "numpy.random.seed": "seed",
    "numpy.random.default_rng": "seed",
    "numpy.random.RandomState": "seed",
    "numpy.random.SeedSequence": "entropy",
    **{f"numpy.random.{each}": "seed" for each in _BIT_GENERATORS},
}
_SEEDED_LATER = frozenset({"random.Random", "numpy.random.RandomState"})
_SEEDING = frozenset({"manual_seed", "seed", "set_state", "setstate"})
_ALWAYS = frozenset({"random.SystemRandom", "torch.seed", "torch.cuda.seed", "torch.cuda.seed_all", "torch.mps.seed"})
_NAMES = frozenset({"os.urandom", "uuid.uuid1", "uuid.uuid4"})

_GIVE = "Give it a seed: a number, or one that is drawn from a generator that has been seeded."


def unseeded(source: Source) -> Iterator[Alarm]:
    """Generators without a seed, and numbers of the operating system."""
    for call in source.calls:
        name = source.names.called(call)
        if name in _SEEDED:
            yield from _without_seed(call, name, source)
        elif name in _ALWAYS:
            yield Alarm(
                RULE,
                _severity(call, source),
                call,
                f"{_short(name)} takes its numbers from the operating system: they differ in every run, whatever the "
                f"seed{_where_conditional(call, source)}.",
                "Take a generator with a seed: random.Random(seed)."
                if name == "random.SystemRandom"
                else "Write manual_seed(seed) instead.",
            )
        elif name in _NAMES or (name.startswith("secrets.") and name != "secrets.compare_digest"):
            if not is_told(call, source) and not _is_in_text(call, source):
                yield Alarm(
                    RULE,
                    "note",
                    call,
                    f"{_short(name)} differs in every run. As the name of a run or a file it does no harm; where data, "
                    "an order or a draw depends on it, results differ.",
                    "Draw from a seeded generator what takes part in the training.",
                )
        elif not name:
            yield from _of_a_torch_generator(call, source)
        elif name == "torch.Generator":
            yield from _torch_generator(call, source)
    yield from _as_factories(source)


def _without_seed(call: ast.Call, name: str, source: Source) -> Iterator[Alarm]:
    seed = argument(call, 0, _SEEDED[name])
    nothing = seed is None or is_none(source.names.through(seed))
    if not nothing or (seed is None and unpacks(call)):
        return
    if name in _SEEDED_LATER and _held_and_seeded(call, source):
        return
    severity = _severity(call, source)
    given = "" if seed is None else " (None is none)"
    what = f"{_short(name)} gets no seed{given} and takes one from the operating system: what it draws differs in "
    yield Alarm(RULE, severity, call, what + f"every run{_where_conditional(call, source)}.", _GIVE)


def _is_in_text(call: ast.Call, source: Source) -> bool:
    """Whether it becomes a part of a text, as the name of a run or a file does."""
    parent = source.scopes.parents[call]
    if isinstance(parent, ast.Attribute) and parent.attr == "hex":
        return True
    if isinstance(parent, ast.BinOp):
        return isinstance(parent.op, ast.Div) or "text" in (kind_of(parent.left, source), kind_of(parent.right, source))
    return isinstance(parent, ast.FormattedValue) or source.names.called(parent).startswith(
        ("builtins.str", "os.path.join", "base64.", "binascii.")
    )


def _severity(call: ast.Call, source: Source) -> Severity:
    return "note" if is_conditional(call, source) else "fault"


def _where_conditional(call: ast.Call, source: Source) -> str:
    return " in which this line is reached, such as when no other generator is given" * is_conditional(call, source)


def _of_a_torch_generator(call: ast.Call, source: Source) -> Iterator[Alarm]:
    """``generator.seed()`` of a generator of torch's."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "seed") or call.args or call.keywords:
        return
    made = source.names.through(call.func.value)
    while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute) and made.func.attr == "manual_seed":
        made = made.func.value
    if source.names.called(made) == "torch.Generator":
        yield Alarm(
            RULE,
            _severity(call, source),
            call,
            "Generator.seed() takes a new seed from the operating system: what the generator draws differs in every "
            f"run{_where_conditional(call, source)}.",
            "Write manual_seed(seed) instead.",
        )


def _torch_generator(call: ast.Call, source: Source) -> Iterator[Alarm]:
    """A generator on another device that nothing seeds."""
    device = argument(call, 0, "device")
    if device is None or (isinstance(device, ast.Constant) and device.value == "cpu") or _is_seeded(call, source):
        return
    yield Alarm(
        RULE,
        "note",
        call,
        "This generator is given no seed in this file. It does not follow torch.manual_seed: it begins with a number "
        "that torch fixes, so that it draws the same under every seed, and on another kind of device something else.",
        "Seed it: torch.Generator(device=device).manual_seed(seed).",
    )


def _is_seeded(call: ast.Call, source: Source) -> bool:
    """Whether a generator is seeded, or handed on to where it may be."""
    parent = source.scopes.parents[call]
    if isinstance(parent, ast.Attribute):
        return parent.attr in _SEEDING
    held = _held(call, source)
    if not held:
        return not isinstance(parent, ast.keyword)  # an argument without a name, a value that is returned
    returned = (each.value for each in source.scopes.nodes if isinstance(each, ast.Return))
    handed_on = any(isinstance(each, ast.Name) and each.id in held for each in returned)
    return handed_on or _held_and_seeded(call, source)


def _held(call: ast.Call, source: Source) -> set[str]:
    """The names of the variables and attributes that a statement gives a generator."""
    targets = (each for each in _targets(source.scopes.parents[call]) if isinstance(each, ast.Name | ast.Attribute))
    return {each.id if isinstance(each, ast.Name) else each.attr for each in targets}


def _held_and_seeded(call: ast.Call, source: Source) -> bool:
    """Whether a generator is given a seed, somewhere in the file, under a name that it has."""
    held = _held(call, source)
    for other in source.calls:
        method = other.func
        if not (isinstance(method, ast.Attribute) and method.attr in _SEEDING and (other.args or other.keywords)):
            continue
        of = method.value
        if (of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else "") in held:
            return True
    return False


def _targets(statement: ast.AST) -> list[ast.expr]:
    match statement:
        case ast.Assign():
            return statement.targets
        case ast.AnnAssign() | ast.NamedExpr():
            return [statement.target]
    return []


def _as_factories(source: Source) -> Iterator[Alarm]:
    """``field(default_factory=np.random.default_rng)``: called later, without a seed."""
    for call in source.calls:
        for keyword in call.keywords:
            name = source.names.full(keyword.value) if keyword.arg == "default_factory" else ""
            if name in _SEEDED or name in _ALWAYS:
                message = (
                    f"{_short(name)} as a default gets no seed: where no other is given, what it draws differs in "
                )
                yield Alarm(RULE, "note", keyword.value, message + "every run.", _GIVE)


def _short(name: str) -> str:
    return f"{name}()"
