"""How one run of an audit is computed: everything that a condition may change, and nothing that decides what is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

REFERENCE = "reference"


@dataclass(frozen=True)
class Setting:
    """One way to compute a run. Equal settings are computed once.

    Attributes:
        threads: of torch and of the libraries below it.
        hash_seed: PYTHONHASHSEED of the process.
        variables: further variables of its environment, set before anything is loaded.
        torch: settings of torch by the names of ``torch_settings``.
        workers: of the DataLoader that serves training rows; None: as the engine serves them.
        evaluation: the model is evaluated after every epoch too.
        other_draws: of a trial, evaluations draw other numbers.
        engine: that computes.
        wide: parameters, inputs and arithmetic in float64.
        device: that computes.
        seeded: calls of the user's code that make or seed a generator (``seeding``), which is seeded with 0 there.
        repetition: which of several equal runs it is.
        seed_offset: added to the seed: another run, for comparison.
    """

    threads: int = 1
    hash_seed: int = 0
    variables: tuple[tuple[str, str], ...] = ()
    torch: tuple[tuple[str, Any], ...] = ()
    workers: int | None = None
    evaluation: bool = False
    other_draws: bool = False
    engine: str = REFERENCE
    wide: bool = False
    device: str = "cpu"
    seeded: tuple[str, ...] = ()
    repetition: int = 0
    seed_offset: int = 0

    def but(self, **changes: Any) -> Setting:
        """The same but for these; ``variables`` and ``torch`` are mappings, and add to what is there."""
        for name in ("variables", "torch"):
            if name in changes:
                changes[name] = tuple(sorted({**dict(getattr(self, name)), **changes[name]}.items()))
        return replace(self, **changes)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of the process."""
        return {"PYTHONHASHSEED": str(self.hash_seed), **dict(self.variables)}
