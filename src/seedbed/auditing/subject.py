"""What is audited, as it reaches a process of its own: made there anew, so that its making is seen too."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedbed.executors.sending import dumps
from seedbed.experiments import Experiment
from seedbed.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Source:
    """How a process makes the experiment or trial: by its target, whose module is then loaded anew, or from bytes.

    Attributes:
        target, parameters: as the command takes them.
        content: pickled, where there is no target.
    """

    target: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    content: bytes = b""

    @classmethod
    def named(cls, target: str, parameters: Mapping[str, str]) -> Source:
        """Of a target."""
        return cls(target, tuple(parameters.items()))

    @classmethod
    def of(cls, subject: Experiment | Trial) -> Source:
        """Of an experiment or trial that was made already. Where its function can be imported it is, anew."""
        return cls(content=dumps(subject))

    @property
    def build(self) -> Callable[[], Experiment | Trial]:
        """What makes it."""
        if self.target:
            from seedbed import targets

            return lambda: targets.build(self.target, dict(self.parameters))
        return lambda: pickle.loads(self.content)
