"""Where runs are computed: in this process, or in worker processes of this machine."""

from seedbed.executors.processes import IN_WORKER, ProcessExecutor
from seedbed.executors.protocol import Executor, Output, Task
from seedbed.executors.serial import SerialExecutor

__all__ = ["IN_WORKER", "Executor", "Output", "ProcessExecutor", "SerialExecutor", "Task"]
