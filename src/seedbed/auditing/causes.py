"""From where two runs part to why they do, and to what helps."""

from __future__ import annotations

from dataclasses import replace

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
UNINITIALISED_OUTSIDE = Cause(
    "uninitialised-memory",
    "Nothing is changed but what new memory holds. No operation of torch was seen to read such memory: other code "
    "does, such as what uses numpy.empty.",
    "Use numpy.zeros, or write to every element before it is read.",
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
    "evaluate more often, or less, changes what is trained. Where a trial makes in it what it then trains on, such as "
    "a rollout, that is no fault.",
    "Give what draws there (a loader, a model that samples) a generator of its own, or put the generators back after "
    "it.",
)
EVALUATION_CHANGES = Cause(
    "evaluation-changes",
    "Evaluation changes something that training reads: a buffer, a counter, a mode, what is kept from call to call.",
    "Let evaluation leave the model as it was: model.eval() before it, model.train() after it, and nothing written "
    "to in between.",
)
OTHER_KERNEL = Cause(
    "other-kernel",
    "Other code computes the same mathematics, and rounds otherwise.",
    "Report what it depends on (library, instruction set, device), and keep it the same where bits must be the same.",
)
#: Of these conditions, what keeps the kernels the same.
_KEPT = {
    "onednn": "Leave oneDNN on or off for all runs alike (torch.backends.mkldnn.enabled), and report torch's version, "
    "which brings it.",
    "deterministic": "Train all runs with deterministic algorithms, or none, and say which.",
    "isa": "Report the processor; where bits must be the same on another one, ATEN_CPU_CAPABILITY=default gives up "
    "speed for equal kernels of torch's own on all of them (those of oneDNN and MKL are chosen apart).",
    "device": "Report the device, and compare runs of one kind of device only.",
}
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
KEPT = Cause(
    "kept-between-runs",
    "The first run is another one than those after it, which are the same: something is kept from one run to the next, "
    "such as a file that the first one writes and the others read.",
    "Look for a cache, a checkpoint or a download that is read where it is there; make it before, or anew in each run.",
)
RESULT_DIFFERS = Cause(
    "result-differs",
    "All steps of training are the same, and what is told at the end is not: something that evaluation draws, orders "
    "or takes from the clock.",
    "Look at what makes these scores and predictions.",
)
GENERATOR_ELSEWHERE = Cause(
    "generator-elsewhere",
    "The generator that is drawn from stands elsewhere: it was made without a seed, seeded otherwise, or drawn from "
    "more or less often before.",
    "Give it a seed that derives from the run's seed (torch.Generator().manual_seed(...), not seed()).",
)
OUTSIDE_TORCH = Cause(
    "outside-torch",
    "What is read there differs already, and no operation of torch that was looked at had written it: code outside "
    "torch (numpy, a library, a file) made it, and made something else of it.",
    "Look at what makes these values; a library that computes in threads rounds otherwise on another number of them.",
)
UNKNOWN = Cause("unknown", "What the difference comes from could not be told.", "Look at the step that is named.")


COMES_AND_GOES = Cause(
    "comes-and-goes",
    "Runs differ now and then, whatever is changed: trained once more, these did not part so.",
    "Look for threads, timeouts, the clock and the network; asked again, the audit may meet it.",
)

#: Names of the causes that are rounding alone.
ROUNDING = frozenset({SPLIT_SUMS.name, OTHER_KERNEL.name, OTHER_ENGINE.name})

#: Of a program, of which nothing but its results is known: the likeliest cause.
OF_PROGRAMS = {
    "again": Cause(
        "outside",
        "Something in it comes from outside the seed: a generator without one, the clock, the order of a directory or "
        "of threads.",
        "See what reading its files found; make its training a trial (seedbed.trial), and the audit names the step, "
        "the operation and the line.",
    ),
    "hash": HASH_ORDER,
    "memory": replace(UNINITIALISED, why="Nothing is changed but what new memory holds: some is read unwritten."),
    "threads": replace(
        SPLIT_SUMS,
        why="Likely sums that threads share are added up in another order on another number of them; or the program "
        "itself reads their number.",
    ),
    "isa": replace(
        OTHER_KERNEL, remedy=_KEPT["isa"], why="Likely other code computes the same mathematics, and rounds otherwise."
    ),
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
    if not origin.caught and origin.not_looked is None:
        return KEPT if origin.is_of_first else COMES_AND_GOES
    if operation is not None and operation.what == "uninitialised":
        return UNINITIALISED
    if operation is not None and operation.what == "output":
        return _of_output(
            condition.kind == "same" or unstable,
            condition,
            operation.name.split(".")[1] if "." in operation.name else operation.name,
        )
    if condition.crosses_devices:
        return _other_kernel(condition)
    if condition.family in _OF_CHANGES:
        return _OF_CHANGES[condition.family]
    if condition.family == "evaluation":
        draws = origin.line is not None and origin.line.what in ("draws", "generator", "unseeded")
        return EVALUATION_DRAWS if draws else EVALUATION_CHANGES
    found = _of_what_comes_in(origin)
    of_threads = found is OUTSIDE_TORCH and condition.family == "threads"
    return replace(found, cures=("threads",)) if of_threads else found


#: Of what should change nothing and does, where no operation is the origin.
_OF_CHANGES = {"hash": HASH_ORDER, "workers": WORKER_DRAWS, "memory": UNINITIALISED_OUTSIDE}


def _of_output(unstable: bool, condition: Condition, name: str) -> Cause:
    if unstable:
        return RACE if name.lstrip("_").startswith(tuple(each.lstrip("_") for each in _RACING)) else UNSTABLE
    return SPLIT_SUMS if condition.family == "threads" else _other_kernel(condition)


def _other_kernel(condition: Condition) -> Cause:
    return replace(OTHER_KERNEL, remedy=_KEPT.get(condition.family, OTHER_KERNEL.remedy))


def _of_what_comes_in(origin: Origin) -> Cause:
    """Of a difference that no operation makes: what is computed with, or what is done, is another one already."""
    if origin.within_libraries:
        return IN_LIBRARY
    if origin.line is not None:
        if origin.line.what == "unseeded":
            return UNSEEDED_DRAW
        if origin.parting is not None and origin.parting.record.kind is Kind.RESULT:
            return RESULT_DIFFERS
        return DRAWS_DIFFER if origin.line.what == "generator" else VALUE_DIFFERS
    if origin.operation is not None:
        by_what = {"generator": GENERATOR_ELSEWHERE, "input": OUTSIDE_TORCH}
        return by_what.get(origin.operation.what, VALUE_DIFFERS)
    if origin.parting is not None and origin.parting.record.kind is Kind.DATA:
        return DATA_DIFFER
    if origin.not_looked is None and origin.parting is not None:
        return RESULT_DIFFERS if origin.parting.record.kind is Kind.RESULT else OUTSIDE_TORCH
    return UNKNOWN
