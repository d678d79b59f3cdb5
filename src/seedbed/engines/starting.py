"""A run as its training begins, for engines that train without torch's global generators."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seedbed import generators
from seedbed.building import make_model
from seedbed.devices import CPU, Device
from seedbed.experiments import Experiment
from seedbed.seeds import Assignment


@dataclass(frozen=True)
class Start:
    """A run's model and the states of the generators it draws from, in the processor's memory.

    Attributes:
        main: of the processor's generator. Of plain seeds the loader draws from it; on a processor training does too.
        loader: of the loader's own generator; None where it draws from the main one.
        away: of the generator of another device, which training there draws from; None on a processor.
    """

    model: nn.Module
    main: Tensor
    loader: Tensor | None
    away: Tensor | None = None


def begin(experiment: Experiment, assignment: Assignment, device: Device = CPU) -> Start:
    """Make a run's model and generators as the reference engine does. Changes the global generators."""
    seed = generators.seed_cpu if device.is_processor else generators.seed_all
    seed(assignment.init)
    model = make_model(experiment)
    if assignment.is_plain:
        return Start(model, torch.get_rng_state(), None, None if device.is_processor else device.state())
    main, loader = (torch.Generator().manual_seed(seed) for seed in (assignment.noise, assignment.order))
    away = None if device.is_processor else device.generator().manual_seed(assignment.noise).get_state()
    return Start(model, main.get_state(), loader.get_state(), away)
