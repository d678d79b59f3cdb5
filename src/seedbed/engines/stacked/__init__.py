"""The stacked engine: several runs as one batched step, computed by torch on any device."""

from seedbed.engines.stacked.engine import StackedEngine

__all__ = ["StackedEngine"]
