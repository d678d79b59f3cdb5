"""Many seeds of a small network at once: one run in each SIMD lane, compiled for the machine.

From an experiment to its code: ``capture`` gives the step of one run as a graph; ``lower`` turns it into loops over
elements (``ir``, ``algebra``), operation by operation (``operations`` gathers them); ``step`` adds the optimizer's
update (``optimizers``, ``schedules``); ``layout`` places the buffers; ``emit`` writes the loops as LLVM IR
(``vectormath``); ``kernel`` adds rows (``rows``), order and random draws (``mersenne``, or torch's own: ``drawn``) and
epochs; ``native`` compiles it; ``engine`` fills blocks of runs, trains and evaluates them.
"""

from seedbed.engines.lanes.engine import LanesEngine

__all__ = ["LanesEngine"]
