"""Real programs: small scripts of the interpreter that runs the tests."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deltawire.client.auth import plugin_process
from deltawire.client.auth.plugin_process import PRINTED_BYTES_MAX, run
from deltawire.common.clock import SystemClock
from deltawire.common.errors import CredentialsError
from tests.support.patience import Patience


def script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def finish(argv: list[str], **env: str) -> plugin_process.Finished:
    return run(argv, {"PATH": os.environ["PATH"], **env}, is_interactive=False, clock=SystemClock())


def test_output_and_exit_code_come_back():
    found = finish(script("import os,sys; print(os.environ['X']); sys.exit(3)"), X="1")
    assert (found.exit_code, found.printed) == (3, b"1\n")


def test_arguments_are_no_shell_words(tmp_path: Path):
    found = finish([sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME; touch x", "a b"])
    assert found.printed.decode().strip() == "['$HOME; touch x', 'a b']"


def test_a_plugin_that_asks_nobody_reads_nothing_from_stdin():
    assert finish(script("import sys; print(repr(sys.stdin.read()))")).printed == b"''\n"


@pytest.mark.parametrize("name", ["deltawire-no-such-plugin", "/nowhere/plugin"])
def test_a_program_that_is_not_there_is_named(name: str):
    with pytest.raises(CredentialsError, match="not installed: not found") as found:
        finish([name])
    assert name in str(found.value)


def test_a_file_that_is_no_program_is_named(tmp_path: Path):
    (tmp_path / "plain").write_text("text")
    with pytest.raises(CredentialsError, match="cannot be run: Permission denied"):
        finish([str(tmp_path / "plain")])


@pytest.mark.parametrize(("argument", "value"), [("a\0b", "x"), ("a", "x\0y")])
def test_a_zero_byte_is_refused_in_our_words(argument: str, value: str):
    with pytest.raises(CredentialsError, match="cannot be run: a zero byte"):
        finish([sys.executable, "-c", "pass", argument], A=value)


@pytest.mark.parametrize("last", ["time.sleep(60)", "pass"])
def test_a_slow_plugin_is_stopped_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last: str
):
    monkeypatch.setattr(plugin_process, "PLUGIN_TIMEOUT_S", 0.5)
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess,sys,time;"
        "c=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']);"
        f"open({str(pid_file)!r},'w').write(str(c.pid)); {last}"
    )
    with pytest.raises(CredentialsError, match="was stopped: not done after"):
        finish(script(code))
    child = int(pid_file.read_text()) if pid_file.exists() else None
    patience = Patience(5)
    while child is not None and _runs(child):
        assert not patience.is_over(), "the plug-in's child lives on"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_plugin_that_never_stops_printing_is_stopped():
    with pytest.raises(CredentialsError, match=f"more than {PRINTED_BYTES_MAX} bytes"):
        finish(script("while True: print('x' * 65536)"))


def test_several_may_run_at_once():
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda i=i: found.append(finish(script(f"print({i})")).printed))
        for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(found) == [b"0\n", b"1\n", b"2\n"]


COMPLAINS = "import sys; sys.stderr.write('s3cret\\n'); sys.exit(3)"


def test_what_a_plugin_writes_to_stderr_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    assert finish(script(COMPLAINS)).exit_code == 3
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(plugin_process, "_stderr_is_terminal", lambda: True)
    assert finish(script(COMPLAINS)).exit_code == 3
    assert capfd.readouterr().err == "s3cret\n"


def test_a_plugins_complaint_never_becomes_the_last_words_of_a_role():
    config = (
        "ClientConfig('https://127.0.0.1:1', exec_plugin=ExecPlugin(sys.executable, "
        f"('-c', {COMPLAINS!r}), where='/k/config: users[0].user.exec'))"
    )
    code = (
        "import sys\n"
        "from deltawire.client.config.client_config import ClientConfig\n"
        "from deltawire.client.config.identity import ExecPlugin\n"
        "from deltawire.client.rest.client import RESTClient\n"
        f"RESTClient({config}).get().abs_path('/x').do()\n"
    )
    ended = subprocess.run(script(code), capture_output=True, text=True, timeout=50, check=False)
    assert "failed with exit code 3 (run it by hand" in ended.stderr
    assert "users[0].user.exec" in ended.stderr
    assert "s3cret" not in ended.stdout + ended.stderr
