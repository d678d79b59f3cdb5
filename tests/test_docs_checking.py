"""The check of the documentation's pages finds what is wrong, and the pages themselves pass it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import seedbed
from seedbed import stats

pytest.importorskip("markdown_it", reason="markdown-it-py is not installed: pip install 'seedbed[docs]'")

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("checking.pages")


@pytest.fixture
def running(pages: ModuleType) -> ModuleType:
    return importlib.import_module("checking.running")


@pytest.fixture
def check(tmp_path: Path):
    """Writes a page and checks it by the command; its exit status, what it printed, and the page after it."""

    def run(text: str, *options: str) -> tuple[int, str, str]:
        page = tmp_path / "page.md"
        page.write_text(text)
        command = [sys.executable, ROOT / "docs" / "check.py", *options, page]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert not done.stderr
        return done.returncode, done.stdout, page.read_text()

    return run


def test_what_is_right_passes_and_is_counted(check) -> None:
    status, told, _ = check(
        "```python file=mine/one.py\nprint('one')\n```\n"
        "```console\n$ cd mine && ls\none.py\n$ echo two; \\\n> echo three >&2\ntwo\nthree\n```\n"
        "```console no-run\n$ rm -rf everything\n```\n"
        "```sh\npython mine/one.py   # not compared\n```\n"
        "```sh\necho four\n```\nwhich prints\n```output\nfour\n```\n"
        "```text\nanything\n```\n```text file=a.txt\nwords\n```\n```console\n$ cat a.txt\nwords\n```\n"
    )
    assert status == 0, told
    assert "page.md: 6 run, 1 not run (" in told


def test_another_output_fails_with_its_difference(check) -> None:
    status, told, after = check("Words.\n\n```console\n$ echo a; echo b\na\nc\n```\n")
    assert status == 1
    assert "page.md:3: console block\n" in told
    assert "-c\n+b\n" in told
    assert "1 FAILED" in told
    assert after.endswith("$ echo a; echo b\na\nc\n```\n")


@pytest.mark.parametrize("block", ["```console exit=3\n$ exit 3\n```\n", "```sh exit=3\ntrue\nexit 3\n```\n"])
def test_an_exit_status_must_be_declared(check, block: str) -> None:
    assert check(block)[0] == 0
    for other in (block.replace("exit=3", ""), block.replace("exit=3", "exit=1")):
        status, told, _ = check(other)
        assert status == 1
        assert "got 3" in told


def test_a_command_that_is_not_there_fails(check) -> None:
    status, told, _ = check("```console\n$ no-such-command-anywhere\n...\n```\n")
    assert status == 1
    assert "expected exit status 0" in told
    assert "got 127" in told


def test_a_script_ends_at_its_first_fault(check) -> None:
    status, told, _ = check("```sh\nfalse\ntouch later\n```\n```console\n$ ls later\nlater\n```\n")
    assert status == 1
    assert told.count("FAILED") == 2
    assert "2 FAILED" in told


def test_python_blocks_share_their_names_and_are_compared(check) -> None:
    text = (
        "```python\nx = 3\nprint(x + 1)\n```\n```output\n4\n```\n"
        "```pycon\n>>> x\n3\n>>> int('a')\nTraceback (most recent call last):\n    ...\n"
        "ValueError: invalid literal for int() with base 10: 'a'\n>>> print()\n<BLANKLINE>\n"
        ">>> open('left', 'w').close()\n```\n"
        "```console\n$ ls left\nleft\n```\n"
    )
    assert check(text)[0] == 0
    for right, wrong in (("output\n4", "output\n5"), ("3\n>>> int", "4\n>>> int"), ("base 10", "base 11")):
        assert right in text
        status, told, _ = check(text.replace(right, wrong))
        assert (status, "1 FAILED" in told) == (1, True)


def test_an_exception_in_a_python_block_is_a_failure(check) -> None:
    status, told, _ = check("```python\nimport math\nmath.sqrt(-1)\n```\n")
    assert status == 1
    assert "ValueError" in told


def test_a_block_that_ends_its_python_is_a_failure(check) -> None:
    status, told, _ = check("```python\nimport os\nos._exit(0)\n```\n```python\nprint(1)\n```\n```output\n1\n```\n")
    assert status == 1
    assert "Python ended" in told
    assert "1 run, 1 FAILED" in told


def test_what_is_not_installed_is_skipped_with_its_reason(check) -> None:
    text = "```console needs=no_such_module,json\n$ false\n```\n```console needs=json\n$ true\n```\n"
    status, told, _ = check(text)
    assert status == 0
    assert "1 run, 1 skipped: no_such_module not installed" in told


def test_quotations_must_stand_in_their_file(check) -> None:
    quoted = "    generator = torch.Generator().manual_seed(0)\n    x = torch.randn(300, 4, generator=generator)\n"
    assert check(f"```python from=examples/blobs.py\n{quoted}```\n")[0] == 0
    assert check(f"```python from=examples/blobs.py\n{quoted.replace('300', '301')}```\n")[0] == 1


def test_dots_stand_for_anything_and_blank_lines_count_once(running: ModuleType) -> None:
    assert running.same(["took ... s", "", "done"], ["took 1.5 s  ", "", "", "done", ""])
    assert running.same(["...", "end"], ["a", "b", "end"])
    assert not running.same(["took ... s"], ["took 1.5 min"])
    assert not running.same(["a", "b"], ["a", "", "b"])
    assert not running.same([], ["a"])


def test_it_runs_for_no_longer_than_it_may(pages: ModuleType, running: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ sleep 600\n```\n```python\nimport time; time.sleep(600)\n```\n")
    found = list(running.results(page, pages.read(page), limit=0.5))
    assert [result.fate for result in found] == [running.Fate.FAILED] * 2
    assert all("took longer than" in result.why for result in found)


def test_update_writes_what_came_and_keeps_the_dots(check) -> None:
    text = (
        "# A page\n\n- in a list\n\n  ```console\n  $ echo a; echo b\n  c\n  ```\n\n"
        "```console\n$ echo took 3 s; echo new\ntook ... s\nold\n$ seq 4\n0\n...\n4\n```\n\n"
        "```pycon\n>>> print('a\\n\\nb')\n>>> 1 + 1\n3\n```\n\n```python\nprint(5)\n```\n\n```output\n```\n\nThe end.\n"
    )
    status, told, after = check(text, "--update")
    assert status == 1
    assert "6 outputs written" in told
    assert after == (
        "# A page\n\n- in a list\n\n  ```console\n  $ echo a; echo b\n  a\n  b\n  ```\n\n"
        "```console\n$ echo took 3 s; echo new\ntook ... s\nnew\n$ seq 4\n1\n...\n4\n```\n\n"
        "```pycon\n>>> print('a\\n\\nb')\na\n<BLANKLINE>\nb\n>>> 1 + 1\n2\n```\n\n"
        "```python\nprint(5)\n```\n\n```output\n5\n```\n\nThe end.\n"
    )
    assert check(after)[0] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```\n$ ls\n```\n", "must say what it is"),
        ("```ruby\nputs 1\n```\n", "must say what it is"),
        ("```console norun\n$ ls\n```\n", "takes no-run, needs, exit, got 'norun'"),
        ("```console exit=\n$ ls\n```\n", "got 'exit='"),
        ("```console no-run=1\n$ ls\n```\n", "got 'no-run=1'"),
        ("```toml no-run\nx = 1\n```\n", "takes no option"),
        ("```console\nls\n```\n", "a line that begins with '$ '"),
        ("```output\n1\n```\n", "stands behind a python or sh block"),
        ("```console\n$ ls\n```\n```output\n1\n```\n", "stands behind a python or sh block"),
    ],
)
def test_blocks_that_cannot_be_read_are_refused(check, text: str, told: str) -> None:
    status, printed, _ = check(text)
    assert status == 2
    assert "page.md:" in printed
    assert told in printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_page_can_be_read(pages: ModuleType, page: Path) -> None:
    blocks = pages.read(page)
    sources = {block.options["from"] for block in blocks if "from" in block.options}
    for block in blocks:
        if "from" in block.options:
            assert block.text.strip() in (ROOT / block.options["from"]).read_text()
    assert all((ROOT / source).is_file() for source in sources)


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.rst"))
    words = {line.split("::")[1].strip().split(".")[-1] for line in text.splitlines() if ":: " in line}
    assert {*seedbed.__all__, *stats.__all__} - words == set()


@pytest.mark.exhaustive
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_show_what_is_printed(page: Path) -> None:
    command = [sys.executable, ROOT / "docs" / "check.py", page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
