"""Any command under many seeds: ``python train.py --seed {seed}``."""

from seedbed.programs.program import Metric, Program

__all__ = ["Metric", "Program"]
