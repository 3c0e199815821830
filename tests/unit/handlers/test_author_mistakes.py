"""Each mistake of an author is told in words that name the file, the line and what to do."""

import json
import logging
import re
import sys
import threading
import time

import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.errors import PluginError
from deltawire.handlers.async_loop import AsyncLoop
from deltawire.handlers.dispatch import Dispatch
from deltawire.handlers.events import Delivery
from deltawire.handlers.executor import Results
from deltawire.handlers.jsonlines import ChildProcess
from deltawire.handlers.loader import MODULE, load
from deltawire.handlers.pool import Pool
from deltawire.handlers.testing import Harness

HEAD = "from deltawire import Handler\nhandler = Handler('h')\n"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {"nodeName": 7},
}
DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def plugin(tmp_path):
    return tmp_path / "plugin.py"


def until(done, what):
    ends_s = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < ends_s, what
        time.sleep(0.005)


LOADED = {
    "an unknown resource": (
        "@handler.on_add('podz')\ndef f(obj): ...\n",
        [":3:", "there is no resource 'podz'", "did you mean 'pods'?"],
    ),
    "a wrong signature": (
        "@handler.on_update('pods')\ndef f(new): ...\n",
        [":3:", "f(new)", "expected f(old, new)", "old=False"],
    ),
    "an unknown argument": (
        "other = Handler('o', retries=3)\n",
        [":3:", "'retries'", "it is attempts_max"],
    ),
    "an unknown decorator": (
        "@handler.on_create('pods')\ndef f(obj): ...\n",
        [":3:", "a Handler has no 'on_create'", "it is on_add"],
    ),
    "a wrong delivery": ("Handler('o', delivery='all')\n", [":3:", "'all'", "every state is 'every'"]),
    "an import that fails": ("import no_such_module\n", [":3:", "ModuleNotFoundError", "no_such_module"]),
    "a syntax error": ("def f(:\n", [":3:", "syntax error"]),
    "a generator": ("@handler.on_add('pods')\ndef f(obj): yield\n", [":3:", "generator"]),
    "an index that is not declared": (
        "@handler.reconcile('pods', maps={'nodes': 'by-node'})\ndef f(key): ...\n",
        [":3:", "no index 'by-node'", "declare it"],
    ),
}


@pytest.mark.parametrize("mistake", LOADED)
def test_a_mistake_in_the_file_names_line_and_remedy(plugin, mistake):
    source, said = LOADED[mistake]
    plugin.write_text(HEAD + source)
    with pytest.raises(PluginError) as raised:
        load(str(plugin))
    text = str(raised.value)
    assert text.startswith(str(plugin)) and "\n" not in text
    for words in said:
        assert words in text


CALLED = {
    "an object of another shape": (
        "from lightkube.models.core_v1 import Pod\n@handler.on_add(Pod)\ndef f(pod): ...\n",
        ["dead", "$.spec.nodeName", ":4", "let the class allow it"],
    ),
    "a function that returns something": (
        "@handler.on_add('pods')\ndef f(obj):\n    return True\n",
        ["retry", "returned bool", "expected None or Requeue", ":3"],
    ),
    "a function that exits": (
        "import sys\n@handler.on_add('pods')\ndef f(obj):\n    sys.exit(3)\n",
        ["retry", "SystemExit: 3", "raise Retry or Dead", "line 6, in f"],
    ),
    "a function that raises": (
        "@handler.on_add('pods')\ndef f(obj):\n    obj['nothing']\n",
        ["retry", "KeyError: 'nothing'", "line 5, in f"],
    ),
    "a cache that nobody keeps": (
        "@handler.on_add('pods')\ndef f(obj, ctx):\n    ctx.lister().by_index('by-node', 'n')\n",
        ["retry", "there is no index 'by-node'", "Handler(…, indexes={…})", "line 5, in f"],
    ),
}


@pytest.mark.parametrize("mistake", CALLED)
def test_a_mistake_in_a_call_names_line_and_remedy(plugin, mistake):
    source, said = CALLED[mistake]
    plugin.write_text(HEAD + source)
    [handler] = load(str(plugin))
    [handled] = Harness(handler).apply(POD)
    text = f"{handled.verdict} {handled.error}\n{handled.traceback}"
    assert str(plugin) in text
    for words in said:
        assert words in text


def test_a_call_that_never_returns_names_its_line(plugin):
    plugin.write_text(
        HEAD
        + "import threading\nleave = threading.Event()\n@handler.on_add('pods')\ndef f(obj):\n    leave.wait()\n"
    )
    [handler] = load(str(plugin))
    results = Results()
    harness = Harness(handler)
    pool = Pool(harness._program, 1, results, clock=SystemClock())
    dispatch = Dispatch(harness._program.routes, 0)
    dispatch.arrive([_delivery()])
    try:
        pool.submit(dispatch.take(1))
        late_s = time.monotonic() + 1e6
        until(lambda: any(f"{plugin}:7 in f" in one for one in pool.overdue(late_s)), pool.overdue(late_s))
    finally:
        sys.modules[MODULE].leave.set()
        pool.close(5.0)
        results.close()


def test_a_blocking_call_in_async_code_names_its_line(plugin, caplog):
    plugin.write_text(
        HEAD
        + "import threading\nleave = threading.Event()\n@handler.on_add('pods')\nasync def f(obj):\n    leave.wait()\n"
    )
    [handler] = load(str(plugin))
    loop = AsyncLoop(blocked_s=0.02)
    leave = sys.modules[MODULE].leave
    with caplog.at_level(logging.WARNING):
        call = threading.Thread(target=lambda: loop.run(handler.subscriptions[0].function({})))
        call.start()
        try:
            until(lambda: f"{plugin}:7 in f: blocks the event loop" in caplog.text, caplog.text)
        finally:
            leave.set()
            call.join()
            loop.close(5.0)
    assert "asyncio.to_thread" in caplog.text


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("hello", ['answers are like {"id":7,"ok":true}', "stderr", "hello"]),
        (json.dumps({"id": 99, "ok": True}), ["no event with id 99 waits", "answer each id once"]),
    ],
    ids=["garbage", "an unknown id"],
)
def test_a_line_of_a_command_that_is_no_answer_says_what_one_is(caplog, printed, said):
    source = f"import sys; print({printed!r}, flush=True); sys.stdin.read()"
    results = Results()
    with caplog.at_level(logging.ERROR):
        child = ChildProcess("h", [sys.executable, "-c", source], {}, 1, results, clock=SystemClock())
        try:
            until(lambda: child.malformed, "the line")
            until(lambda: caplog.records, "the log")
        finally:
            child.close(5.0)
            results.close()
    assert re.search(r"python\S* -c .*: line 1 of its stdout is not an answer", caplog.text)
    for words in said:
        assert words in caplog.text


def test_a_command_that_ends_says_how_and_what_is_expected():
    results = Results()
    child = ChildProcess(
        "h", [sys.executable, "-c", "raise SystemExit(3)"], {}, 1, results, clock=SystemClock()
    )
    try:
        until(lambda: child.failure, "the end")
    finally:
        child.close(5.0)
        results.close()
    assert f"ended with exit code 3; {sys.executable}" in child.failure
    assert "until its stdin is closed" in child.failure


def _delivery():
    return Delivery(0, "test/pods", 0, 1, "ns/p", "A", "u", "1", 0, 1, 1, 0, json.dumps(POD).encode(), None)
