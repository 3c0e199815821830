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
    """The lines of each program, by its name, in which mypy --strict finds an error."""
    paths = {name: folder / f"{name}.py" for name in programs}
    for name, path in paths.items():
        path.write_text(programs[name])
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(CACHE), "--config-file", ""]
    done = subprocess.run([*command, *map(str, paths.values())], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    return {
        name: [int(line.split(":")[1]) for line in errors if line.startswith(f"{path}:")]
        for name, path in paths.items()
    }
