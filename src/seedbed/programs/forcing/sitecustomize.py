"""Loaded by Python at its start: a run's seed takes the place of whatever seed the program sets.

The program's Python may be older than Seedbed's, so this file asks for little. What is wrapped is a function of a
module that the program itself imports; it is wrapped when that module has just been executed, before any other module
can take the function from it by ``from torch import manual_seed``.

Forked processes and those of multiprocessing are left alone: a DataLoader's workers are seeded with the base seed and
their number, and must stay different. A Python that the program starts by a command is treated as the program itself.
"""

# ruff: noqa: SIM105 - contextlib would take a while to load

from __future__ import annotations

import atexit
import os
import sys
from _thread import _local as _Local  # threading has it from here, and would take a while to load

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing would take a while to load, too
    from collections.abc import Callable
    from typing import Any

_WRAPPED = {  # module: its functions, each with the name for people
    "random": {"seed": "random.seed"},
    "numpy.random.mtrand": {"seed": "numpy.random.seed"},
    "torch.random": {"manual_seed": "torch.manual_seed"},
    "torch.cuda.random": {"manual_seed": "torch.cuda.manual_seed", "manual_seed_all": "torch.cuda.manual_seed_all"},
    "lightning.fabric.utilities.seed": {"seed_everything": "lightning.seed_everything"},
    "lightning_fabric.utilities.seed": {"seed_everything": "lightning.seed_everything"},
    "pytorch_lightning.utilities.seed": {"seed_everything": "lightning.seed_everything"},
    "transformers.trainer_utils": {"set_seed": "transformers.set_seed"},
}
_HANDED_ON = ("numpy.random", "torch", "torch.cuda")  # have the functions too, where they were loaded before this
_KEYWORDS = ("seed", "a")  # the seed's name in those functions
_MOST_KINDS = 20  # of calls that are told apart
_WORKERS = (
    "--multiprocessing-fork",
    "from multiprocessing.spawn import",
    "from multiprocessing.forkserver import",
    "from multiprocessing.resource_tracker import",
    "popen_loky",
)


class _Forcing:
    def __init__(self, seed: int, folder: str) -> None:
        self.seed = seed
        self.calls: dict[str, int] = {}
        self.file = os.path.join(folder, str(os.getpid()))
        self.inside = _Local()  # the depth of calls, in each thread
        self.active = True
        self.write()

    def leave(self) -> None:
        """In a forked process."""
        self.active = False

    def write(self) -> None:
        if not self.active:
            return
        try:
            with open(f"{self.file}.new", "w", encoding="utf-8", errors="replace") as file:
                file.writelines(f"{call}\t{count}\n" for call, count in list(self.calls.items()))
            os.replace(f"{self.file}.new", self.file)
        except OSError:
            pass  # the disk is full, or the run's folder has gone: no reason to disturb the program

    def note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = args[:1] or [kwargs[keyword] for keyword in _KEYWORDS if keyword in kwargs][:1]
        try:
            shown = " ".join(repr(given[0]).split())[:60] if given else ""
        except Exception:  # of the program's own class
            shown = "..."
        call = f"{name}({shown})"
        if call not in self.calls and len(self.calls) >= _MOST_KINDS:
            call = f"{name}(...)"
        self.calls[call] = self.calls.get(call, 0) + 1
        if self.calls[call] == 1:
            self.write()

    def wrapped(self, original: Callable[..., Any], name: str, module: str, attribute: str) -> Callable[..., Any]:
        def forced(*args: Any, **kwargs: Any) -> Any:
            if not self.active:
                return original(*args, **kwargs)
            depth = getattr(self.inside, "depth", 0)
            if not depth:  # seed_everything calls the others: that is one call
                self.note(name, args, kwargs)
            self.inside.depth = depth + 1
            try:
                if name == "numpy.random.seed":
                    original(*args, **kwargs)  # what it refuses, such as 2**32, it refuses still
                keyword = next((each for each in _KEYWORDS if each in kwargs), None)
                if args or keyword is None:
                    return original(self.seed, *args[1:], **kwargs)
                return original(**{**kwargs, keyword: self.seed})
            finally:
                self.inside.depth = depth

        forced.__name__ = forced.__qualname__ = attribute  # pickle finds it by these: a worker is told to call it
        forced.__module__ = module
        forced.__doc__ = getattr(original, "__doc__", None)
        forced.__wrapped__ = original  # type: ignore[attr-defined]
        forced.seedbed_forced = True  # type: ignore[attr-defined]
        return forced

    def wrap(self, module: Any) -> None:
        """Wrap the functions of a module that has been executed."""
        for attribute, name in _WRAPPED.get(module.__name__, {}).items():
            original = getattr(module, attribute, None)
            if original is None or hasattr(original, "seedbed_forced"):
                continue
            replacement = self.wrapped(original, name, module.__name__, attribute)
            setattr(module, attribute, replacement)
            for other in map(sys.modules.get, _HANDED_ON):
                if other is not None and vars(other).get(attribute) is original:
                    setattr(other, attribute, replacement)


class _Finder:
    """Finds a module as the other finders do, and wraps its functions when it has been executed."""

    def __init__(self, forcing: _Forcing) -> None:
        self._forcing = forcing

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _WRAPPED:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader: Any) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None or hasattr(execute, "seedbed_forced") or isinstance(loader, type):
            return

        def exec_module(module: Any) -> None:
            execute(module)
            self._forcing.wrap(module)

        exec_module.seedbed_forced = True  # type: ignore[attr-defined]
        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass  # a loader that takes no attributes; nothing of what is wrapped is known to have one


def _is_worker() -> bool:
    """Whether multiprocessing, or joblib, has started this process."""
    words = getattr(sys, "orig_argv", None)
    if words is None:  # Python 3.9 and older
        try:
            with open("/proc/self/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            words = sys.argv if hasattr(sys, "argv") else []
    return any(mark in word for word in words for mark in _WORKERS)


def _install() -> None:
    seed, folder = os.environ.get("SEEDBED_FORCE_SEED"), os.environ.get("SEEDBED_INTERCEPTED")
    if seed is None or folder is None or _is_worker():
        return
    forcing = _Forcing(int(seed), folder)
    sys.meta_path.insert(0, _Finder(forcing))
    for name in _WRAPPED:
        if name in sys.modules:  # something that Python loads even before this one has it
            forcing.wrap(sys.modules[name])
    atexit.register(forcing.write)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forcing.leave)


def _run_hidden() -> None:
    """Run the sitecustomize that Python would have loaded if this one did not stand before it."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.realpath(os.path.dirname(__file__))
    spec = PathFinder.find_spec("sitecustomize", [each for each in sys.path if os.path.realpath(each) != here])
    if spec is not None and spec.loader is not None:
        sys.modules["_seedbed_sitecustomize"] = sys.modules["sitecustomize"]
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


_install()
_run_hidden()
