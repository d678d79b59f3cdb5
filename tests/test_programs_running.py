"""Programs that run: results, failures with their causes, and no process left behind, whatever happens."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from seedbed.errors import InputError
from seedbed.executors import ThreadExecutor
from seedbed.programs import Program, supervisor
from seedbed.programs.output import Reader, Transcript
from seedbed.programs.running import Running
from seedbed.programs.task import ProgramTask
from seedbed.records import RunResult, Status
from seedbed.seeds import Assignment, as_assignments
from seedbed.tasks import Stopped

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="what leaves its process group is found on Linux only")
LONG = 60.0  # seconds after which a test gives up waiting: no test takes that long
PYTHON = [sys.executable, "-S"]

# A program with a child in its own group, and one that is in a session of its own, as a daemon would be.
WITH_CHILDREN = """
import subprocess, sys, time
sleep = [sys.executable, "-S", "-c", "import time; time.sleep(1000)", sys.argv[1]]
subprocess.Popen(sleep)
middle = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
subprocess.run([sys.executable, "-S", "-c", middle, *sleep], check=True)
print("started", flush=True)
"""


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A word in the command of every process of a test; none of them may be there at its end."""
    yield str(tmp_path)
    assert marked(str(tmp_path)) == []


def marked(mark: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if mark in words and process.pid != os.getpid():
            found.append(f"{process.pid} {words}")
    return found


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def script(folder: Path | str, text: str) -> list[str]:
    path = Path(folder) / "script.py"
    path.write_text(text)
    return [*PYTHON, str(path), str(folder)]


def run(program: Program, assignment: Assignment | None = None, threads: int = 1, retries: int = 0) -> RunResult:
    trainer = ProgramTask(program, threads, retries).trainer()
    [result] = trainer.train([assignment or Assignment.plain(7)])
    return result


def cause(result: RunResult) -> str:
    assert result.status is Status.FAILED
    assert result.scores == {}
    return (result.error or "").split("\n")[0]


def test_a_run_is_its_scores_its_output_and_its_time() -> None:
    result = run(Program(["sh", "-c", "echo begun; echo '{\"acc\": 0.5}'; echo warned >&2", "{seed}"]))
    assert (result.status, result.scores, result.weights_hash) == (Status.DONE, {"acc": 0.5}, None)
    assert sorted((result.output or "").split("\n")) == ["", "begun", "warned", '{"acc": 0.5}']
    assert 0 < result.wall_seconds < LONG
    assert result.error is None


def test_a_score_that_is_no_finite_number_is_a_diverged_run() -> None:
    result = run(Program(["echo", '{"loss": NaN, "acc": 0.1}']), retries=3)
    assert result.status is Status.DIVERGED
    assert "try 1" not in (result.output or "")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("echo seen; exit 2", "exit status 2"),
        ("echo seen; kill -9 $$", "killed by signal 9 (often: out of memory)"),
        ("echo seen; kill -11 $$", "killed by signal 11 (SIGSEGV)"),
        (
            "exec 2> /dev/null; echo seen; sh -c 'kill -9 $$'; exit $?",
            "exit status 137, which is often signal 9 (often: out of memory)",
        ),
        ("echo seen", "printed no metric: the result is the last line"),
    ],
)
def test_a_failure_names_its_cause_and_shows_the_end_of_the_output(code: str, told: str) -> None:
    result = run(Program(["sh", "-c", code, "{seed}"]))
    assert cause(result).startswith(told)
    assert (result.error or "").endswith("\n\nthe end of what it printed:\nseen")
    assert result.output == "seen\n"


def test_a_command_that_is_gone_or_cannot_be_executed(tmp_path: Path) -> None:
    assert cause(run(Program([str(tmp_path / "gone")]))).startswith("could not be started: No such file")
    odd = tmp_path / "odd"
    odd.write_text("neither a script nor a program")
    odd.chmod(0o755)
    assert cause(run(Program([str(odd)]))).startswith("could not be started: Exec format error")
    assert cause(run(Program([str(odd)]))).endswith("a script without a first line such as #!/bin/sh")
    odd.write_text("#!/no/such/interpreter\n")
    assert cause(run(Program([str(odd)]))).endswith("odd is there, but not the program that its first line names")
    assert cause(run(Program(["echo", "x" * 3_000_000]))).startswith("could not be started: Argument list too long")


def test_a_limit_of_memory_is_named_where_it_may_be_the_cause() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**46, before[1]))
    try:
        told = cause(run(Program(["sh", "-c", "kill -6 $$"])))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert told == "killed by signal 6 (SIGABRT, perhaps out of memory: ulimit -v is 67,108,864 MiB)"


@pytest.mark.parametrize(
    ("groups", "file", "text"),
    [
        ("0::/a/b", "a/b/memory.events", "low 0\noom 4\noom_kill 3\noom_group_kill 0\n"),
        ("5:cpu:/x\n4:memory:/a:b\n0::/", "memory/a:b/memory.oom_control", "under_oom 0\noom_kill 3\n"),
        ("4:hugetlb,memory:/of/the/host", "memory/memory.oom_control", "oom_kill 3\n"),
    ],
)
def test_kills_for_memory_are_counted_by_the_control_group(groups: str, file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "groups").write_text(f"{groups}\n")
    assert supervisor._kills_for_memory(str(tmp_path / "groups"), str(tmp_path)) == 0
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert supervisor._kills_for_memory(str(tmp_path / "groups"), str(tmp_path)) == 3


def test_more_memory_than_allowed(tmp_path: Path) -> None:
    text = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({2**29}, {resource.getrlimit(resource.RLIMIT_AS)[1]}))
bytearray(2**40)
"""
    result = run(Program(script(tmp_path, text)))
    assert cause(result) == "exit status 1"
    assert (result.error or "").endswith("MemoryError")


def test_what_a_program_finds_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("SEEDBED_")]:  # such as where the tests find their data
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "99")
    monkeypatch.setenv("OF_THE_CALLER", "kept")
    text = """
import os, signal, sys
print(sorted(f"{n}={v}" for n, v in os.environ.items() if n.startswith("SEEDBED_") or "THREADS" in n or "UNB" in n))
print(os.environ["OF_THE_CALLER"], repr(sys.stdin.read()), os.getpgid(0) == os.getpid(), len(os.listdir("/dev/fd")))
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    command = script(tmp_path, text)
    numbers = [f"{name}_NUM_THREADS=3" for name in ("MKL", "NUMEXPR", "OMP", "OPENBLAS")]
    for assignment, seeds in (
        (Assignment.plain(7, split=2), ["SEEDBED_SEED=7", "SEEDBED_SPLIT=2"]),
        (Assignment.roles(1, 2, 3), ["SEEDBED_INIT=1", "SEEDBED_NOISE=3", "SEEDBED_ORDER=2", "SEEDBED_SPLIT=0"]),
    ):
        first, second, third, _ = (run(Program(command), assignment, threads=3).output or "").split("\n")
        assert first == str(sorted([*numbers, "PYTHONUNBUFFERED=1", *seeds]))
        assert second == "kept '' True 4"  # the fourth is that of the folder itself
        assert third == "True"


def test_a_pipeline_ends_as_in_a_shell() -> None:
    """Python ignores SIGPIPE; a program that inherited that would complain."""
    result = run(Program(["sh", "-c", "yes | head -1 >&2; echo '{\"a\": 1}'"]))
    assert result.output == 'y\n{"a": 1}\n'


def test_results_by_patterns_and_from_a_file(tmp_path: Path) -> None:
    printed = Program(["sh", "-c", "echo acc 0.1; echo acc 0.2 >&2"], metrics={"acc:last": r"acc (\S+)"})
    assert run(printed).scores["acc"] in (0.1, 0.2)
    several = run(Program(["sh", "-c", "echo acc 0.1; echo acc 0.2"], metrics={"acc": r"acc (\S+)"}))
    assert "matches '0.1' first and '0.2' last" in cause(several)
    path = f"{tmp_path}/m-{{seed}}.json"
    written = Program(["sh", "-c", f"echo '{{\"acc\": {{seed}}}}' > {path}"], metrics_file=path)
    assert run(written).scores == run(written).scores == {"acc": 7.0}
    assert "was not written by this run" in cause(run(Program(["true"], metrics_file=path)))


def test_a_failed_run_is_tried_again(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f'echo x >> {count}; echo "try {{seed}}"; test $(wc -l < {count}) -ge 3 && echo \'{{"a": 1}}\''
    result = run(Program(["sh", "-c", code]), retries=4)
    assert (result.status, result.scores) == (Status.DONE, {"a": 1.0})
    assert result.output == (
        "try 7\nseedbed: try 1 of 5 failed: exit status 1; again:\n"
        "try 7\nseedbed: try 2 of 5 failed: exit status 1; again:\n"
        'try 7\n{"a": 1}\n'
    )
    assert cause(run(Program(["false"]), retries=2)) == "exit status 1 (tried 3 times)"


def test_much_output_is_shortened_and_its_result_found() -> None:
    code = (
        "for i in range(300000): print('line', i)\nprint('{\"a\": 1}')\nimport sys\nsys.stderr.write('e\\n' * 900000)"
    )
    result = run(Program([*PYTHON, "-c", code]))
    assert result.scores == {"a": 1.0}
    assert "bytes are left out here" in (result.output or "")
    assert len(result.output or "") < 2**20 + 100


def test_processes_in_the_background_end_with_the_program(mark: str) -> None:
    result = run(Program(script(mark, WITH_CHILDREN + "print('{\"a\": 1}')")))
    assert result.scores == {"a": 1.0}
    assert result.wall_seconds < LONG


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_program_whose_time_is_up(mark: str, stubborn: bool) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if stubborn else ""
    result = run(Program(script(mark, deaf + WITH_CHILDREN + "time.sleep(1000)"), timeout=1.5))
    assert cause(result) == "timed out after 1.5 s"
    assert result.wall_seconds >= (1.5 + 5 if stubborn and "started" in (result.output or "") else 1.5)


def test_a_program_may_end_well_when_its_time_is_up(tmp_path: Path) -> None:
    text = """
import signal, sys, time
def end(*_):
    print("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(1000)
"""
    result = run(Program(script(tmp_path, text), timeout=2))
    assert cause(result) == "timed out after 2 s"
    assert result.output in ("ready\nsaved\n", "")  # the second where two seconds did not do for a start


MIXED = (
    WITH_CHILDREN
    + """
import os, signal
seed = int(sys.argv[2])
if seed in (3, 11):
    time.sleep(1000)
if seed == 7:
    os.kill(os.getpid(), signal.SIGKILL)
print('{"acc": %d}' % seed)
"""
)


def test_twenty_commands_four_at_a_time_with_two_that_hang_and_one_that_is_killed(mark: str) -> None:
    task = ProgramTask(Program([*script(mark, MIXED), "{seed}"], timeout=8))
    blocks = iter([[each] for each in as_assignments(range(20))])
    results = {
        r.assignment.init: r for done in ThreadExecutor(4).run(task, blocks) if isinstance(done, list) for r in done
    }
    assert marked(mark) == []
    failed = {seed: cause(result) for seed, result in results.items() if result.status is Status.FAILED}
    late = "timed out after 8 s"
    assert failed == {3: late, 7: "killed by signal 9 (often: out of memory)", 11: late}
    assert {seed: dict(r.scores) for seed, r in results.items() if seed not in failed} == {
        seed: {"acc": float(seed)} for seed in range(20) if seed not in failed
    }


def test_stopping_ends_every_program(mark: str) -> None:
    trainer = ProgramTask(Program(script(mark, WITH_CHILDREN + "time.sleep(1000)")), retries=5).trainer()
    ends: list[BaseException] = []

    def train() -> None:
        try:
            list(trainer.train(as_assignments(range(3))))
        except Stopped as stopped:
            ends.append(stopped)

    threads = [threading.Thread(target=train) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(marked(mark)) >= 3 * 4)  # a supervisor, the program and its two
    trainer.stop()
    trainer.stop()
    for thread in threads:
        thread.join(LONG)
    assert len(ends) == 3
    with pytest.raises(Stopped):
        list(trainer.train(as_assignments(range(3))))


def test_a_program_that_is_stopped_when_it_has_hardly_begun(mark: str) -> None:
    begun = time.monotonic()
    for _ in range(20):
        running = Running(["sh", "-c", "sleep 60", mark], os.environ, None)
        running.stop()
        assert running.follow(Transcript(Reader())).cause is not None
    assert time.monotonic() - begun < 30  # a third of them took ten seconds each


def test_an_executor_that_is_closed_leaves_none(mark: str) -> None:
    task = ProgramTask(Program([*script(mark, MIXED), "{seed}"]))
    blocks = iter([[Assignment.plain(seed)] for seed in (3, 1, 11, 2)])
    with closing(ThreadExecutor(3).run(task, blocks)) as results:
        assert next(results)
    assert marked(mark) == []


SEEDBED = """
import sys
from seedbed.executors import ThreadExecutor
from seedbed.programs import Program
from seedbed.programs.task import ProgramTask
from seedbed.seeds import as_assignments
task = ProgramTask(Program(sys.argv[1:]))
list(ThreadExecutor(2).run(task, iter([[each] for each in as_assignments(range(9))])))
"""


def of_seedbed(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SEEDBED, *command], start_new_session=True)


@on_linux
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_seedbed_is_killed_its_programs_are_too(mark: str, how: signal.Signals) -> None:
    with of_seedbed(script(mark, WITH_CHILDREN + "time.sleep(1000)")) as seedbed:
        until(lambda: len(marked(mark)) >= 1 + 2 * 4)
        os.kill(seedbed.pid, how)
        try:
            seedbed.wait(LONG)
        finally:
            seedbed.kill()
    until(lambda: not marked(mark))


FORKING = """
import os, sys, threading, time
from seedbed.programs import Program
from seedbed.programs.task import ProgramTask
from seedbed.seeds import as_assignments
trainer = ProgramTask(Program(sys.argv[1:])).trainer()
threading.Thread(target=lambda: list(trainer.train(as_assignments(range(9))))).start()
sys.stdin.readline()
other = os.fork()
if other:
    print(other, flush=True)
time.sleep(1000)
"""


@on_linux
def test_a_process_that_holds_seedbed_s_pipes_keeps_no_program_alive(mark: str) -> None:
    """What the caller of Seedbed forks while a program runs has a copy of all that Seedbed holds open."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, *script(mark, WITH_CHILDREN + "time.sleep(1000)")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as seedbed:
        assert seedbed.stdin is not None
        assert seedbed.stdout is not None
        until(lambda: len(marked(mark)) >= 1 + 4)
        seedbed.stdin.write("fork\n")
        seedbed.stdin.flush()
        other = psutil.Process(int(seedbed.stdout.readline()))
        seedbed.kill()
        seedbed.wait(LONG)
        try:
            until(lambda: len(marked(mark)) == 1)
            assert other.is_running()
        finally:
            other.kill()
    until(lambda: not marked(mark))


def test_a_supervisor_that_is_killed_takes_its_program_with_it(mark: str) -> None:
    text = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(1000)"
    result = run(Program(script(mark, text)))
    assert cause(result).startswith("the process that watches over it ended, killed by signal 9")
    until(lambda: not marked(mark))


def test_a_supervisor_that_is_told_to_end(mark: str) -> None:
    text = WITH_CHILDREN + "import os, signal\nos.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(1000)"
    assert cause(run(Program(script(mark, text)))) == "was told to end from outside, by signal 15"


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": True}, {"retries": -1}, {"retries": 1.5}])
def test_impossible_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="whole number"):
        ProgramTask(Program(["true"]), **options)
