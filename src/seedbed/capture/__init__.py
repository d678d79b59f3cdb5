"""One step of one run as a graph in which parameters, buffers, batch, random draws and constants are explicit."""

from seedbed.capture.graph import CapturedGraph, Draw, GraphInput, GraphOutput, InputKind, OutputKind
from seedbed.capture.refusal import Refusal
from seedbed.capture.trace import capture_evaluation, capture_step

__all__ = [
    "CapturedGraph",
    "Draw",
    "GraphInput",
    "GraphOutput",
    "InputKind",
    "OutputKind",
    "Refusal",
    "capture_evaluation",
    "capture_step",
]
