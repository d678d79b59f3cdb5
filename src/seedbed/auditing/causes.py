"""From where two runs part to why they do, and to what helps."""

from __future__ import annotations

from seedbed.auditing.conditions import Condition
from seedbed.auditing.findings import Cause, Origin
from seedbed.auditing.tape import Kind

#: Operations that add to elements from several threads, in whatever order these come, unless told to be deterministic.
_RACING = (
    "index_put", "index_add", "scatter_add", "scatter_reduce", "scatter", "put_", "_index_put_impl_", "index_copy",
    "embedding_dense_backward", "_embedding_bag", "bincount", "histc", "cumsum", "grid_sampler", "upsample",
    "max_unpool", "adaptive_", "avg_pool3d_backward", "reflection_pad", "replication_pad", "nll_loss2d", "_ctc_loss",
    "median", "kthvalue",
)  # fmt: skip

SPLIT_SUMS = Cause(
    "split-sums",
    "Threads share the work of this operation, and so its sums are added up in another order on another number of "
    "them. Both results are right to within rounding.",
    "Fix the number of threads (torch.set_num_threads, OMP_NUM_THREADS) and report it; deterministic algorithms do "
    "nothing about this.",
    ("threads", "deterministic", "onednn"),
)
RACE = Cause(
    "race",
    "Several threads add to the same elements in whatever order they come, so that two equal runs differ.",
    "Use deterministic algorithms (torch.use_deterministic_algorithms(True)) or one thread.",
    ("deterministic", "threads"),
)
UNSTABLE = Cause(
    "unstable-operation",
    "The same operation gave two results for the same input, on the same number of threads.",
    "Use deterministic algorithms or one thread, and see below which of them helps.",
    ("deterministic", "threads", "onednn"),
)
UNINITIALISED = Cause(
    "uninitialised-memory",
    "A tensor is read before anything was written to all of it: it holds whatever the memory held before.",
    "Make it with torch.zeros, or write to every element before it is read.",
)
UNSEEDED = Cause(
    "generator-from-outside",
    "A generator is made without a seed, or with one that differs each time (the clock, a process number, hash()).",
    "Give it a seed that derives from the run's seed.",
)
IN_LIBRARY = Cause(
    "generator-in-library",
    "A library makes a generator of its own, without a seed, each time another.",
    "Look for its argument seed, random_state or generator, and give it the run's seed.",
)
DATA_DIFFER = Cause(
    "data-differ",
    "The data themselves differ each time they are made: something draws them without a seed, or takes them from the "
    "clock, the order of a directory or another outside source.",
    "Seed what draws them, sort what is listed, and keep what is downloaded.",
)
HASH_ORDER = Cause(
    "hash-order",
    "Something depends on hash() of a text, such as the order of a set: that changes from process to process.",
    "Sort before the order matters (sorted(...)), or start Python with PYTHONHASHSEED=0.",
    ("hash",),
)
WORKER_DRAWS = Cause(
    "worker-draws",
    "Items are drawn in the loader's worker processes, each of which has generators of its own: their numbers depend "
    "on how many workers there are.",
    "Draw from a generator seeded with the row's index and the epoch, or fix the number of workers and report it.",
    ("workers",),
)
EVALUATION_DRAWS = Cause(
    "evaluation-draws",
    "Evaluation moves a generator that training draws from (a DataLoader does at each start, shuffled or not): to "
    "evaluate more often, or less, changes what is trained.",
    "Give the evaluation's loader a generator of its own, or put the generators back after it.",
)
OTHER_KERNEL = Cause(
    "other-kernel",
    "Other code computes the same mathematics, and rounds otherwise.",
    "Report what it depends on (library, instruction set, device), and keep it the same where bits must be the same: "
    "ATEN_CPU_CAPABILITY=default gives up speed for equal kernels of torch's own on all processors.",
)
OTHER_DRAWS = Cause(
    "device-draws",
    "A step draws random numbers (dropout, noise), and a GPU draws them from a generator of its own: the same seed "
    "gives others there. So it is another training and not rounding alone, which comes on top.",
    "Compare devices over many seeds, not over one; where one run must be the same on both, draw on the processor and "
    "move what was drawn.",
)
OTHER_ENGINE = Cause(
    "other-engine",
    "It computes the same steps in another way, and rounds otherwise; verification holds that to be rounding and no "
    "more.",
    "Keep one engine within a study, which Seedbed does.",
)
DRAWS_DIFFER = Cause(
    "draws-differ",
    "More or fewer numbers were drawn from a global generator in one run than in the other.",
    "Give what draws there a generator of its own.",
)
UNSEEDED_DRAW = Cause(
    "unseeded-draw",
    "A global generator is drawn from before anything has seeded it, as when a module is loaded.",
    "Seed it first, or give what draws there a generator of its own with a stated seed.",
)
VALUE_DIFFERS = Cause(
    "value-differs",
    "A plain value of the program differs between the runs; where it reaches the training, it is the cause.",
    "Follow it from the line that is named: it comes from outside the seed, such as the clock, the environment, the "
    "number of threads, the order of a directory.",
)
UNKNOWN = Cause("unknown", "What the difference comes from could not be told.", "Look at the step that is named.")


#: Of a program, of which nothing but its results is known.
OF_PROGRAMS = {
    "again": Cause(
        "outside",
        "Something in it comes from outside the seed: a generator without one, the clock, the order of a directory or "
        "of threads.",
        "See what reading its files found; make its training a trial (seedbed.trial), and the audit names the step, "
        "the operation and the line.",
    ),
    "hash": HASH_ORDER,
    "memory": UNINITIALISED,
    "threads": SPLIT_SUMS,
    "isa": OTHER_KERNEL,
}


def cause_of(condition: Condition, origin: Origin, *, unstable: bool = False, other_draws: bool = False) -> Cause:
    """The likely cause of a difference, from what was changed and where the runs part.

    Args:
        unstable: the changed run does not repeat, either.
        other_draws: steps draw from the processor's generators in one of the runs only.
    """
    operation = origin.operation
    if condition.crosses_devices and other_draws:
        return OTHER_DRAWS
    if condition.family == "engine":
        return OTHER_ENGINE
    if origin.seeding is not None:
        return HASH_ORDER if condition.family == "hash" else UNSEEDED
    if operation is not None and operation.what == "uninitialised":
        return UNINITIALISED
    if condition.family == "hash" and (operation is None or not operation.is_certain):
        return HASH_ORDER
    if condition.family == "evaluation":
        return EVALUATION_DRAWS
    if condition.family == "workers" and (operation is None or not operation.is_certain):
        return WORKER_DRAWS
    if operation is not None and operation.what == "output":
        return _of_output(
            condition.kind == "same" or unstable,
            condition,
            operation.name.split(".")[1] if "." in operation.name else operation.name,
        )
    if condition.family == "memory":
        return UNINITIALISED
    if condition.kind == "same":
        return _of_repetition(origin)
    if origin.line is not None:
        return DRAWS_DIFFER if origin.line.what == "generator" else VALUE_DIFFERS
    return SPLIT_SUMS if condition.family == "threads" else OTHER_KERNEL


def _of_output(unstable: bool, condition: Condition, name: str) -> Cause:
    if unstable:
        return RACE if name.lstrip("_").startswith(tuple(each.lstrip("_") for each in _RACING)) else UNSTABLE
    if condition.family == "threads":
        return SPLIT_SUMS
    return OTHER_KERNEL


def _of_repetition(origin: Origin) -> Cause:
    if origin.within_libraries:
        return IN_LIBRARY
    if origin.line is not None:
        if origin.line.what == "unseeded":
            return UNSEEDED_DRAW
        return DRAWS_DIFFER if origin.line.what == "generator" else VALUE_DIFFERS
    if origin.parting is not None and origin.parting.record.kind is Kind.DATA:
        return DATA_DIFFER
    if origin.operation is not None and origin.operation.what in ("argument", "input"):
        return VALUE_DIFFERS
    return UNKNOWN
