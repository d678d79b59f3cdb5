"""Compute runs on a Ray cluster: one that is there, or one that is started on this machine for the call."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from seedbed import cores
from seedbed.errors import InputError, WorkerError
from seedbed.executors.protocol import Finished, Output
from seedbed.executors.remote import PackedTask, Receiver, search_path, starter, variables
from seedbed.records import RunResult
from seedbed.seeds import Assignment
from seedbed.tasks import Task

CLIENT = "ray://"
ANSWER_SECONDS = 5.0  # that an address may take to be reached
RAY_SECONDS = 8.0  # that what is reached may take to answer as Ray does
LOOK_SECONDS = 1.0  # between looks at what the cluster has; nodes come and go
AHEAD = 2  # blocks under way for each that the cluster can compute at a time: none waits for the next one to be sent


class RayExecutor:
    """Worker processes of a Ray cluster, each computing one block at a time.

    Args:
        address: ``host:port`` of a cluster, ``ray://host:port`` of its client server; where not given, the cluster that
            this process is connected to, that RAY_ADDRESS names, or that runs on this machine; or a new one on it.
        cpus: that Ray sets aside for a block; as many as a run has threads where not given.
        gpus: the same.
    """

    def __init__(self, address: str | None = None, cpus: int | None = None, gpus: int = 0) -> None:
        self._address, self._cpus, self._gpus = address, cpus, gpus

    def run(self, task: Task, blocks: Iterator[Sequence[Assignment]]) -> Iterator[Finished | Output]:
        """Compute the blocks and yield the runs of each as it is finished."""
        with _connected(self._address) as ray:
            yield from _Call(ray, task, blocks, self._cpus or task.threads, self._gpus).results()


class _Call:
    def __init__(self, ray: Any, task: Task, blocks: Iterator[Sequence[Assignment]], cpus: int, gpus: int) -> None:
        self._ray, self._blocks, self._cpus, self._gpus = ray, blocks, cpus, gpus
        self._receiver = Receiver(task)
        packed = PackedTask.of(task)
        self._digest, self._content = packed.digest, ray.put(packed.content)
        self._path = search_path()
        self._function = ray.remote(starter()).options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_retries=0,  # which losses count against a run is decided here
            runtime_env={"env_vars": variables(task)},
            name="seedbed",
        )
        self._again: deque[list[Assignment]] = deque()
        self._under_way: dict[Any, list[Assignment]] = {}
        self._room, self._looked = 0, -math.inf
        self._has_waited = False

    def results(self) -> Iterator[Finished | Output]:
        try:
            while True:
                yield from self._look()
                while len(self._under_way) < self._room and (block := self._next()):
                    self._send(block)
                if not self._under_way:
                    return
                done, _ = self._ray.wait(list(self._under_way), num_returns=1, timeout=LOOK_SECONDS)
                for reference in done:
                    yield from self._take(reference, self._under_way.pop(reference))
        finally:
            for reference in self._under_way:
                with contextlib.suppress(Exception):  # the cluster may have gone, which is often why we are here
                    self._ray.cancel(reference, force=True)

    def _look(self) -> Iterator[Output]:
        """See how many blocks the cluster can compute at a time."""
        now = time.monotonic()
        if now < self._looked + LOOK_SECONDS:
            return
        self._looked = now
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        slots = sum(self._slots(resources) for resources in nodes)
        self._room = max(1, AHEAD * slots)  # one that cannot be placed makes a cluster grow that can
        if not slots and not self._has_waited:
            self._has_waited = True
            wanted = f"{self._cpus} CPUs" + (f" and {self._gpus} GPUs" if self._gpus else "")
            yield Output(f"no node of the Ray cluster has {wanted}: waiting for one")

    def _slots(self, resources: dict[str, float]) -> int:
        slots = int(resources.get("CPU", 0) // self._cpus)
        return min(slots, int(resources.get("GPU", 0) // self._gpus)) if self._gpus else slots

    def _next(self) -> list[Assignment] | None:
        if self._again:
            return self._again.popleft()
        block = next(self._blocks, None)
        return None if block is None else list(block)

    def _send(self, block: list[Assignment]) -> None:
        reference = self._function.remote(
            self._path,
            "seedbed.executors.remote",
            "compute_for_ray",
            self._digest,
            [self._content],
            pickle.dumps(block),
        )
        self._under_way[reference] = block

    def _take(self, reference: Any, block: list[Assignment]) -> Iterator[Finished | Output]:
        errors = self._ray.exceptions
        try:
            content = self._ray.get(reference)
        except errors.NodeDiedError:
            self._again.append(block)
            yield Output("a node of the Ray cluster was lost: its runs are computed again")
        except (errors.ObjectLostError, errors.ObjectFetchTimedOutError):  # its node went between the end and here
            self._again.append(block)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.LocalRayletDiedError) as error:
            yield from self._lost(block, _first_line(error))
        except errors.RayTaskError as error:
            raise WorkerError(f"a worker process of Ray could not begin: {error.cause}\n{error}") from None
        except errors.RayError as error:
            raise WorkerError(f"the Ray cluster could not compute: {_first_line(error)}") from error
        else:
            yield from self._receiver.take(content, "a worker process of Ray")

    def _lost(self, block: list[Assignment], reason: str) -> Iterator[Finished | Output]:
        """Which run of the block it was is not known: each is tried alone."""
        for assignment in block:
            told = self._receiver.lost(assignment, f"a worker process of Ray was lost ({reason})")
            if isinstance(told, RunResult):
                yield [told]
            else:
                self._again.append([assignment])
                yield told


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_lock = threading.Lock()
_users = 0  # calls that compute at the moment
_ours = False  # whether they connected, and so disconnect


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster; as before afterwards."""
    global _users, _ours
    try:
        import ray
    except ImportError:
        raise InputError("computing on Ray needs Ray: pip install 'seedbed[ray]'") from None
    with _lock:
        if not ray.is_initialized():
            _connect(ray, address)
            _ours = True
        elif address is not None:
            _check_same(ray, address)
        _users += 1
    try:
        yield ray
    finally:
        with _lock:
            _users -= 1
            if _ours and not _users:  # two experiments may be computed at a time
                _ours = False
                ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    settings: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": "error"}
    address = address or os.environ.get("RAY_ADDRESS") or "auto"
    looked_for = address == "auto"
    if address in ("auto", "local"):  # words that RAY_ADDRESS may hold, too
        address = _running_here() if looked_for else None
    if address is not None:
        _check_reached(address)
        _check_is_ray(address, looked_for)
        settings["address"] = "auto" if looked_for else address  # to Ray a token for it depends on that
    else:
        settings |= {"address": "local", "num_cpus": cores.available(), "include_dashboard": False}
    place = "a Ray cluster on this machine" if address is None else f"the Ray cluster at {address}"
    try:
        with _terminated_as_before():
            ray.init(**settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        what = "started" if address is None else "used"
        raise WorkerError(f"{place} cannot be {what}: {error}") from error


def _running_here() -> str | None:
    """The address of the cluster that runs on this machine."""
    from ray._private.services import canonicalize_bootstrap_address

    try:
        address: str | None = canonicalize_bootstrap_address("auto")
        if address is not None:
            _check_reached(address)
    except (ConnectionError, WorkerError):  # there is none; or its traces are left, and it has gone
        return None
    return address


def _check_reached(address: str) -> None:
    """Raise a WorkerError where nothing listens there: Ray itself would try for a minute."""
    host, port = split_address(address)
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise _no_answer(address, str(error)) from None


def _no_answer(address: str, reason: str) -> WorkerError:
    return WorkerError(
        f"no Ray cluster answers at {address} ({reason}). Is it running (ray status, there), is its port open, and is "
        f"the address right?"
    )


# Asks for the cluster's identity. Ray's own attempts cannot be ended in this process, and take minutes.
_ASK = """
import sys
from ray._raylet import GcsClient
if len(sys.argv) > 2:
    try:  # as Ray does for a cluster that it has looked for; an older one knows no tokens
        from ray._private.authentication import authentication_token_setup
        authentication_token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    except Exception:
        pass
print("asking", flush=True)
try:
    GcsClient(address=sys.argv[1])
except Exception as error:
    sys.exit(3 if type(error).__name__ == "AuthenticationError" else 1)
"""
_NO_TOKEN = 3


def _check_is_ray(address: str, looked_for: bool = False) -> None:
    """Raise a WorkerError where what listens there does not answer as a Ray cluster does, or wants a token."""
    if address.startswith(CLIENT):
        _check_is_client_server(address)
        return
    asking = subprocess.Popen(
        [sys.executable, "-c", _ASK, address, *(["looked for"] if looked_for else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with asking:
        try:
            assert asking.stdout is not None
            if not asking.stdout.readline():
                return  # another version of Ray, which cannot be asked so
            status = asking.wait(RAY_SECONDS)
            if status == _NO_TOKEN:
                raise WorkerError(
                    f"the Ray cluster at {address} wants its token: set RAY_AUTH_MODE=token, with the token in "
                    f"~/.ray/auth_token or in the file that RAY_AUTH_TOKEN_PATH names"
                )
            if status != 0:
                raise _no_answer(address, "something else does")
        except subprocess.TimeoutExpired:
            raise _no_answer(address, f"nothing came for {RAY_SECONDS:.0f} s") from None
        finally:
            asking.kill()


def _check_is_client_server(address: str) -> None:
    try:
        import grpc
    except ImportError:
        raise InputError(f"{address} needs Ray's client: pip install 'ray[client]'") from None
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return  # what is needed for it is Ray's to know
    with grpc.insecure_channel(address.removeprefix(CLIENT)) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=RAY_SECONDS)
        except grpc.FutureTimeoutError:
            raise _no_answer(address, f"nothing came for {RAY_SECONDS:.0f} s") from None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``ray://host:port``.

    Raises:
        InputError: it is neither.
    """
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"the address of a Ray cluster is host:port or {CLIENT}host:port, got {address!r}")
    return host.strip("[]"), int(port)


def _check_same(ray: Any, address: str) -> None:
    """Raise an InputError where this process is connected to another cluster than the one that is asked for."""
    if address.startswith(CLIENT):
        return  # what the client server's address belongs to is not to be seen from here
    connected = ray.get_runtime_context().gcs_address
    (one, port), (other, its_port) = split_address(connected), split_address(address)
    if port != its_port or not _is_same_host(one, other):
        raise InputError(
            f"this process is connected to the Ray cluster at {connected}, and {address} is asked for: call "
            f"ray.shutdown() first, or compute there with on='ray'"
        )


def _is_same_host(one: str, other: str) -> bool:
    """Whether two names are of one machine: most clusters have the same port."""
    ours, theirs = _resolved(one), _resolved(other)
    return bool(ours & theirs) or (any(map(_is_here, ours)) and any(map(_is_here, theirs)))


def _resolved(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}


def _is_here(address: str) -> bool:
    """Whether it is one of this machine's own, of which a cluster here names any."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as trial:
            trial.bind((address, 0))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _terminated_as_before() -> Iterator[None]:
    """Connecting sets a handler for SIGTERM, which is the caller's own affair."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
