"""Where runs are computed: in this process, in threads or worker processes of this machine, or on a cluster."""

from seedbed.executors.processes import IN_WORKER, ProcessExecutor
from seedbed.executors.protocol import Executor, Finished, Output, Progress
from seedbed.executors.sending import check_sendable, why_not_sendable
from seedbed.executors.serial import SerialExecutor
from seedbed.executors.threads import ThreadExecutor

__all__ = [
    "IN_WORKER",
    "Executor",
    "Finished",
    "Output",
    "ProcessExecutor",
    "Progress",
    "SerialExecutor",
    "ThreadExecutor",
    "check_sendable",
    "why_not_sendable",
]
