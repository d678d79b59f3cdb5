"""The examples and the README's program run, and say the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_readmes_program_is_the_example() -> None:
    shown = re.search(r"```python no-run\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    example = (ROOT / "examples" / "blobs.py").read_text()
    code = [line for line in shown.splitlines() if line.strip()]
    assert [line for line in example.splitlines() if line.strip() and '"""' not in line] == code


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    """Worker processes do not run the script again."""
    script = tmp_path / "script.py"
    code = (ROOT / "examples" / "blobs.py").read_text().replace('if __name__ == "__main__":', "if True:")
    script.write_text(code.replace("range(20)", "range(4), workers=2") + '    print("n =", study.summary().n)\n')
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("n = 4") == 1


def test_the_roles_script_runs(tmp_path: Path) -> None:
    few = "\n".join((ROOT / "src/seedbed/gallery/data/people_test.txt").read_text().splitlines()[:12])
    (tmp_path / "few.txt").write_text(few)
    command = [sys.executable, ROOT / "examples" / "plain_roles.py", tmp_path / "few.txt", "1", "2", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"init = 1 order = 2 noise = 3 \| acc = \d\.\d{4}\n", done.stdout)
