"""Dead letters and failures as people read them."""

import io
import json

import msgspec
import pytest

from deltawire.cli import letters
from deltawire.cli.supervisor.processes import Line
from deltawire.cli.view.lines import LineView
from deltawire.cli.view.logs import readable
from deltawire.common.errors import ConfigError

TRACE = 'Traceback (most recent call last):\n  File "printer.py", line 7, in added'
LETTER = {
    "group": "printer",
    "informer": "dev/pods",
    "shard": 1,
    "seq": 9,
    "key": "shop/web",
    "kind": "U",
    "uid": "u1",
    "version": "812",
    "attempts": 16,
    "error": f"KeyError: 'spec'\n{TRACE}",
    "object": b'{"kind":"Pod"}',
}


def test_the_object_is_named_as_the_commands_take_it() -> None:
    assert letters.rows([LETTER])[1] == ["printer", "pods/shop/web", "update", "16", "KeyError: 'spec'"]
    assert letters.object_of({**LETTER, "informer": "dev/nodes", "key": "n1"}) == "nodes/n1"


def test_a_letter_is_shown_with_its_traceback_and_its_object() -> None:
    text = "\n".join(letters.shown(LETTER))
    assert text.startswith(
        "pods/shop/web of handler printer\n  event     update, version 812, uid u1, cluster dev\n"
    )
    assert "  attempts  16\n  error     KeyError: 'spec'\n    Traceback (most recent call last):" in text
    assert text.endswith('  object\n    {\n      "kind": "Pod"\n    }')
    assert letters.shown({**LETTER, "object": None})[-1] == "  object    not kept"


def test_a_letter_as_json_has_all_of_it() -> None:
    assert json.loads(letters.as_json(LETTER)) == {**LETTER, "object": {"kind": "Pod"}}


def test_a_letter_is_an_event_that_can_be_replayed() -> None:
    event = msgspec.json.decode(letters.as_event(LETTER, 3) or b"")
    assert (event["type"], event["resource"], event["namespace"], event["name"]) == (
        "updated",
        "pods",
        "shop",
        "web",
    )
    assert event["object"] == {"kind": "Pod"}
    assert letters.as_event({**LETTER, "object": None}, 3) is None


def test_a_choice_is_a_field_and_a_text() -> None:
    assert letters.parse_where(["error=a=b", "kind=delete"]) == {"error": "a=b", "kind": "delete"}
    for wrong in ("colour=red", "error", "error="):
        with pytest.raises(ConfigError, match="is not FIELD=TEXT"):
            letters.parse_where([wrong])


def test_a_log_line_with_a_traceback_is_lines_as_python_prints_them() -> None:
    record = {"time": "2026-01-02T03:04:05.678Z", "level": "warning", "message": "ns/a: attempt 1 failed"}
    assert readable("printer-0", json.dumps({**record, "exception": f"{TRACE}\nKeyError: 'spec'"})) == [
        "03:04:05 printer-0 warning: ns/a: attempt 1 failed",
        *TRACE.splitlines(),
        "KeyError: 'spec'",
    ]
    assert readable("printer-0", json.dumps({**record, "level": "info"})) == [
        "03:04:05 printer-0: ns/a: attempt 1 failed"
    ]
    assert readable("printer-0", "plain") == ["plain"]
    assert readable("printer-0", "7") == ["7"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("logged", "is_json"), [(Terminal(), False), (io.StringIO(), True)])
def test_logs_are_for_people_on_a_terminal_and_json_elsewhere(logged: io.StringIO, is_json: bool) -> None:
    text = json.dumps({"time": "2026-01-02T03:04:05Z", "level": "error", "message": "no"})
    LineView(io.StringIO(), logged=logged).process_line(Line("printer-0", text, is_error=True))
    assert logged.getvalue() == (f"{text}\n" if is_json else "03:04:05 printer-0 error: no\n")
