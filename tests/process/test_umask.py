"""Nothing of the state or of the sockets depends on the umask that a pipeline was started with; handlers keep it."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.support.pipeline import DELTAWIRE

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("umask")]

HANDLER = """
import os, sys
mask = os.umask(0)
open(sys.argv[1], "w").write(oct(mask))
import json
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "ok": True}), flush=True)
"""


@pytest.mark.parametrize("umask", [0, pytest.param(0o077, marks=pytest.mark.long), 0o777], ids=oct)
def test_state_and_sockets_are_ours_alone_whatever_the_umask_is_and_handlers_keep_it(umask: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as made:
        folder = Path(made)
        heard = folder / "umask"
        content = {
            "version": 1,
            "store": {"dir": str(folder / "state")},
            "runtime": {"workers": 1, "dir": str(folder / "run")},
            "handlers": [
                {"name": "h", "command": [sys.executable, "-c", HANDLER, str(heard)], "on": ["pods"]}
            ],
        }
        (folder / "deltawire.yaml").write_text(yaml.safe_dump(content))
        arguments = ["up", "--embedded", "--objects", "pods=5", "--for", "1s", "--json"]
        done = subprocess.run(
            [str(DELTAWIRE), *arguments, "-c", str(folder / "deltawire.yaml")],
            capture_output=True, text=True, timeout=100, check=False, umask=umask,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["synced"]
        found = {
            path: stat.S_IMODE(path.lstat().st_mode)
            for top in (folder / "state", folder / "run")
            for path in (top, *top.rglob("*"))
        }
        assert len(found) > 20
        wrong = {str(p): oct(m) for p, m in found.items() if m & 0o077 or not m & 0o400}
        assert not wrong
        assert heard.read_text() == oct(umask)
        os.chmod(heard, 0o600)
