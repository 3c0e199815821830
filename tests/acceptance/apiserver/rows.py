"""What a row of the kubectl list is, and how a scenario of rows is run."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from deltawire.apiserver.server import ApiServer
from tests.support.servers import Kubectl


@dataclass(frozen=True)
class Row:
    """One command line. ``out`` is searched in stdout followed by stderr, where ^ and $ are line ends.

    ``unlike`` must not be found there. ``env`` goes on top of kubectl's environment.
    """

    command: str
    out: str = ""
    code: int = 0
    stdin: str = ""
    unlike: str = ""
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Scenario:
    """Rows that follow each other on one server.

    ``files`` are written to the folder the commands run in; ``given`` are manifests of pods that are there before,
    ``logs`` what they printed; ``options`` are the server's.
    """

    name: str
    rows: tuple[Row, ...]
    files: dict[str, str] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    given: str = ""
    logs: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def failures_of(scenario: Scenario, kubectl: Kubectl, server: ApiServer, folder: Path) -> list[str]:
    """Run all rows, also those after a failed one; what was wrong, one text for each row that failed."""
    for name, text in scenario.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for pod in yaml.safe_load_all(scenario.given):
        server.create("pods", pod, "default")
    for pod, text in scenario.logs.items():
        server.script_log(pod, text)
    return [told for row in scenario.rows if (told := _failure_of(row, kubectl, folder))]


def _failure_of(row: Row, kubectl: Kubectl, folder: Path) -> str:
    done = kubectl.run(*shlex.split(row.command), stdin=row.stdin, check=False, cwd=folder, env=dict(row.env))
    shown = done.stdout + done.stderr
    wrong = []
    if done.returncode != row.code:
        wrong.append(f"exit {done.returncode}, not {row.code}")
    if not re.search(row.out, shown, re.MULTILINE):
        wrong.append(f"no match for {row.out!r}")
    if row.unlike and re.search(row.unlike, shown, re.MULTILINE):
        wrong.append(f"a match for {row.unlike!r}")
    return f"$ kubectl {row.command}\n{'; '.join(wrong)}\n{shown}" if wrong else ""
