"""Programs of users under mypy, as an editor checks them while they are written."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Most of a run goes into the project's own modules and its libraries'. Tests that share this are of one xdist group.
CACHE = ROOT / ".mypy_cache" / "of_tests"
GROUP = "mypy"
TIMEOUT_S = 120.0


def lines_with_errors(folder: Path, **programs: str) -> dict[str, list[int]]:
    """The lines of each program, by its name, in which mypy --strict finds an error.

    Names are of one test only: what mypy knows of a module, its errors included, it keeps by name and relative path.
    """
    for name, program in programs.items():
        (folder / f"{name}.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(CACHE), "--config-file", ""]
    done = subprocess.run(
        [*command, *(f"{name}.py" for name in programs)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors = [line.split(":") for line in done.stdout.splitlines() if ": error:" in line]
    return {name: [int(line) for path, line, *_ in errors if path == f"{name}.py"] for name in programs}
