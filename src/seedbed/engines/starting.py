"""A run as its training begins, for engines that train without torch's global generators."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seedbed import generators
from seedbed.building import make_model
from seedbed.experiments import Experiment
from seedbed.seeds import Assignment


@dataclass(frozen=True)
class Start:
    """A run's model, and the states of the generators it draws from, on CPU.

    Attributes:
        main: of what training draws from; of plain seeds the loader too.
        loader: of the loader's own generator; None where it draws from the main one.
    """

    model: nn.Module
    main: Tensor
    loader: Tensor | None


def begin(experiment: Experiment, assignment: Assignment) -> Start:
    """Make a run's model and generators as the reference engine does. Changes the global generators."""
    generators.seed_cpu(assignment.init)
    model = make_model(experiment)
    if assignment.is_plain:
        return Start(model, torch.get_rng_state(), None)
    main, loader = (torch.Generator().manual_seed(seed) for seed in (assignment.noise, assignment.order))
    return Start(model, main.get_state(), loader.get_state())
