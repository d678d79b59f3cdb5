"""A peer in the measurement: finds its best setting, and then is timed round after round beside the others."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from peers.protocol import Request, UnavailableError, Work
from peers.team import Team, can_hold_cores, own_cores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


WORSE = 1.5  # where so many seeds at once are this much slower than fewer, no more are tried


@dataclass(frozen=True)
class Entry:
    """A peer that can be asked for.

    Attributes:
        title: in the table.
        target: module and class.
        spread: whether it may be one process a core; Seedbed's engines use all cores of their own accord.
        limit_seconds: for a call; what takes longer is given up.
    """

    title: str
    target: str
    spread: bool = True
    limit_seconds: float = 900.0


ENTRIES = {
    "plain": Entry("plain PyTorch loop", "peers.plain:PlainPeer"),
    "reference": Entry("reference engine", "peers.through_seedbed:ReferencePeer", spread=False),
    "torch.func": Entry("torch.func vmap(grad)", "peers.torch_func:TorchFuncPeer"),
    "compiled": Entry("torch.func, torch.compile", "peers.torch_func:CompiledPeer", limit_seconds=180.0),
    "jax": Entry("JAX vmap + scan + jit", "peers.jax_peer:JaxPeer"),
    "prototype": Entry("hand-written kernel", "peers.prototype:PrototypePeer"),
    "stacked": Entry("stacked engine", "peers.through_seedbed:StackedPeer"),
    "lanes": Entry("lanes engine", "peers.through_seedbed:LanesPeer", spread=False),
}


@dataclass(frozen=True)
class Setting:
    """How a peer is set up: processes, the cores of each, and seeds at once in each."""

    processes: int
    cores_each: int
    size: int


@dataclass
class Contender:
    """One peer on one training and so many cores.

    Attributes:
        name: of ``ENTRIES``.
        training, cores: what it trains, and on how many cores.
        reason: why it does not take part; None where it does.
        failed: whether that reason is an error rather than something that is absent.
        setting, described: the best setting found, and in words.
        tried: every setting tried, with marginal seconds.
        seconds: marginal seconds a seed of a whole training, one value a round.
        start_seconds: from the start of its process to where it can train, compilation aside.
        compile_seconds: that the best setting took to compile.
    """

    name: str
    training: str
    cores: int
    reason: str | None = None
    failed: bool = False
    setting: Setting | None = None
    described: str = ""
    tried: dict[Setting, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    start_seconds: float | None = None
    compile_seconds: float | None = None
    _team: Team | None = field(default=None, repr=False)

    @property
    def median(self) -> float:
        """Marginal seconds a seed: the median of the rounds; NaN where there is none."""
        return statistics.median(self.seconds) if self.seconds else float("nan")

    def tune(self, request: Request, seconds: float) -> None:
        """Try every setting for so many seconds and stay with the fastest, its processes alive."""
        with self._reasons():
            if self.cores < len(own_cores()) and not can_hold_cores():
                raise UnavailableError("this system does not hold a process to some of the cores")
            entry = ENTRIES[self.name]
            layouts = [(1, self.cores)]
            if entry.spread and self.cores > 1:
                layouts = [(self.cores, 1)] if request.quick else [(1, self.cores), (self.cores, 1)]
            best = float("inf")
            for processes, cores_each in layouts:
                cores = own_cores()[: self.cores]
                groups = [cores[i * cores_each : (i + 1) * cores_each] for i in range(processes)]
                team = Team(entry.target, replace(request, cores=cores_each), groups, entry.limit_seconds)
                kept, best_here = False, float("inf")
                try:
                    # An engine of Seedbed's has one setting, and a measurement of it is a long one: none for trial.
                    for size in team.all("sizes")[0]:
                        setting = Setting(processes, cores_each, size)
                        compiling = max(team.all("prepare", size))
                        found = _marginal(team.all("work", size, seconds)) if entry.spread else 0.0
                        self.tried[setting] = found
                        best_here = min(best_here, found)
                        if found < best:
                            best, kept = found, True
                            self.setting, self.compile_seconds = setting, compiling
                            self.start_seconds = team.start_seconds
                        if found > WORSE * best_here:  # more still would only take longer
                            break
                finally:
                    if kept:
                        self._replace_team(team)
                    else:
                        team.close()
            if self.setting is None or self._team is None:
                raise UnavailableError("no setting worked")
            self._team.all("prepare", self.setting.size)
            self.described = _words(self.setting, self._team.all("describe", self.setting.size)[0])

    def sample(self, seconds: float) -> None:
        """One more round."""
        if self._team is None or self.setting is None:
            return
        with self._reasons():
            works: list[Work] = self._team.all("work", self.setting.size, seconds)
            if (found := _marginal(works)) > 0:  # a slope is not where starting varied by more than the seeds took
                self.seconds.append(found)
            if works[0].start_seconds is not None:
                self.start_seconds = works[0].start_seconds

    def train(self, seeds: Sequence[int], method: str = "weights") -> NDArray[np.float32] | None:
        """Final weights of these seeds trained whole [seeds, weights]; None where it does not take part."""
        if self._team is None:
            return None
        import numpy as np

        with self._reasons():
            return np.stack(self._team.split(method, list(seeds)))

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the peer in one of its processes; None where it does not take part."""
        if self._team is None:
            return None
        with self._reasons():
            self._team.workers[0].send(method, *arguments)
            return self._team.workers[0].receive(self._team.limit_seconds)

    def close(self) -> None:
        """End its processes."""
        if self._team is not None:
            self._team.close()
            self._team = None

    def _replace_team(self, team: Team) -> None:
        self.close()
        self._team = team

    def _reasons(self) -> contextlib.AbstractContextManager[None]:
        return _Reasons(self)


class _Reasons(contextlib.AbstractContextManager[None]):
    """Whatever a peer cannot do becomes its reason, and the others go on."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, UnavailableError | RuntimeError):
            return False
        self._contender.reason = str(error)
        self._contender.failed = not isinstance(error, UnavailableError)
        self._contender.seconds.clear()
        self._contender.close()
        return True


def _marginal(works: Sequence[Work]) -> float:
    """Seconds a training of processes that worked side by side."""
    rate = sum(work.trainings / work.seconds for work in works if work.seconds)
    return 1 / rate if rate else 0.0


def _words(setting: Setting, described: str) -> str:
    if setting.processes > 1:
        return f"{setting.processes} processes; {described}"
    return f"1 process, {setting.cores_each} cores; {described}" if setting.cores_each > 1 else described
