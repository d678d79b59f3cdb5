"""Rule ``loader-workers``: what a DataLoader's workers draw depends on how many there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from seedbed.auditing.lint.draws import drawn
from seedbed.auditing.lint.findings import Alarm
from seedbed.auditing.lint.names import argument, is_none
from seedbed.auditing.lint.reading import Source
from seedbed.auditing.lint.words import words

RULE = "loader-workers"

_LOADER = "torch.utils.data.DataLoader"
_PLAIN = frozenset({"torch.utils.data.TensorDataset"})
_PARTS = frozenset({"torch.utils.data.Subset", "torch.utils.data.random_split", "torch.utils.data.ConcatDataset"})
_DRAWING = re.compile(r"random|rand|augment|transform|jitter|noise|crop|flip|mixup|cutout|mask|rng|generator", re.I)
_GENERATORS = words(
    "numpy.random.default_rng numpy.random.RandomState numpy.random.Generator random.Random torch.Generator"
)

# torch/utils/data/_utils/worker.py, _worker_loop: random, torch and numpy are seeded from base_seed and worker_id.
_IN_WORKERS = (
    "In each worker torch seeds its own generator, and Python's and numpy's global ones, from a number that it draws "
    "as they start and from that of the worker: with another number of workers the data set draws other numbers. A "
    "generator that it holds is copied to every worker, where all copies draw the same."
)
_REMEDY = (
    "Pass generator=torch.Generator().manual_seed(seed), keep num_workers fixed, and let the data set draw from a "
    "generator made of the seed and the index of the example; or seed what it holds in worker_init_fn."
)


def loader_workers(source: Source) -> Iterator[Alarm]:
    """Loaders with workers whose numbers depend on the workers."""
    for call in source.calls:
        if source.names.called(call) != _LOADER or not _has_workers(call, source):
            continue
        if _is(argument(call, None, "in_order"), False, source):
            yield Alarm(
                RULE,
                "fault",
                call,
                "With in_order=False batches come in the order in which the workers finish them: it differs from run "
                "to run.",
                "Leave in_order out: batches then come in their own order.",
            )
        elif not _is_looked_after(call):
            yield from _by_data(call, source)


def _has_workers(call: ast.Call, source: Source) -> bool:
    workers = argument(call, 5, "num_workers")
    return workers is not None and not _is(workers, 0, source)


def _is_looked_after(call: ast.Call) -> bool:
    given = [argument(call, 10, "worker_init_fn"), argument(call, 12, "generator")]
    hidden = any(each.arg is None for each in call.keywords)
    return hidden or any(each is not None and not is_none(each) for each in given)


_CORES = words("os.cpu_count os.process_cpu_count os.sched_getaffinity multiprocessing.cpu_count psutil.cpu_count")


def _told_of_cores(call: ast.Call, source: Source) -> str:
    """What to say where the number of workers is that of the machine's cores."""
    workers = argument(call, 5, "num_workers")
    made = source.names.through(workers) if workers is not None else call
    of_machine = any(source.names.called(each) in _CORES for each in ast.walk(made))
    return " Here their number is that of the machine's cores." * of_machine


def _by_data(call: ast.Call, source: Source) -> Iterator[Alarm]:
    data = argument(call, 0, "dataset")
    draws = _draws(data, source) if data is not None else None
    if draws is False:
        return
    shuffle = argument(call, 2, "shuffle")
    shuffles = shuffle is not None and not _is(shuffle, False, source)
    chosen = argument(call, 3, "sampler") is not None or argument(call, 4, "batch_sampler") is not None
    if not (shuffles or chosen or draws):
        return
    order = (
        " The order of the examples and the seeds of the workers come from torch's global generator as it stands when "
        "an epoch begins, so both change with all that was drawn before."
    )
    message = f"Neither generator nor worker_init_fn is given.{order * shuffles} {_IN_WORKERS}"
    yield Alarm(RULE, "note", call, message + _told_of_cores(call, source), _REMEDY)


def _draws(data: ast.expr, source: Source) -> bool | None:
    """Whether a data set draws; None where it cannot be told."""
    made = source.names.through(data)
    if not isinstance(made, ast.Call):
        return None
    name = source.names.called(made)
    if name in _PLAIN:
        return False
    if name in _PARTS and made.args:
        return _draws(made.args[0], source)
    cls = source.names.class_of(made.func)
    return None if cls is None else _class_draws(cls, source)


def _class_draws(cls: ast.ClassDef, source: Source) -> bool | None:
    """Whether the class of a data set draws, or holds something that by its name may."""
    maybe = any(not _is_data_set(each, source) for each in cls.bases)
    for node in ast.walk(cls):
        if isinstance(node, ast.Call) and (drawn(node, source) or source.names.called(node) in _GENERATORS):
            return True
        word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        maybe = maybe or bool(_DRAWING.search(word))
    return None if maybe else False


def _is_data_set(base: ast.expr, source: Source) -> bool:
    base = base.value if isinstance(base, ast.Subscript) else base
    return source.names.full(base) in (
        "torch.utils.data.Dataset",
        "torch.utils.data.IterableDataset",
        "torch.utils.data.TensorDataset",
        "builtins.object",
    )


def _is(node: ast.expr | None, value: object, source: Source) -> bool:
    """Whether an argument is a constant, by itself or through a name."""
    found = source.names.through(node) if node is not None else None
    return isinstance(found, ast.Constant) and found.value == value and type(found.value) is type(value)
