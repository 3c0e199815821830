"""One status, several renderings."""

import io

import msgspec
import pytest
from rich.console import Console

from deltawire.cli.supervisor.metrics import exposition
from deltawire.cli.supervisor.processes import Line
from deltawire.cli.supervisor.readyz import readyz
from deltawire.cli.supervisor.status_types import (
    GroupStatus,
    InformerStatus,
    KillStatus,
    ProcessStatus,
    Snapshot,
    StreamStatus,
    Totals,
)
from deltawire.cli.supervisor.words import last_words
from deltawire.cli.view import live, status, summary
from deltawire.cli.view.lines import LineView, render
from deltawire.cli.view.text import clock_time, count, milliseconds

AS_OF_US = 1_763_884_931_000_000
AT = clock_time(AS_OF_US)

SNAPSHOT = Snapshot(
    state="running",
    up_s=12.3,
    first_event_s=0.91,
    synced=True,
    ready=True,
    fresh=True,
    as_of=AS_OF_US,
    totals=Totals(
        published=400,
        delivered=400,
        acknowledged=399,
        restarts=1,
        lists=2,
        watches=3,
        objects=1234,
        events_per_s=201.0,
    ),
    lag_p50_ms=2.1,
    lag_p99_ms=8.0,
    processes={
        "reflector-0": ProcessStatus(
            role="reflector", state="ready", pid=7, restarts=1, rss_mb=31.0, cpu_s=0.5
        ),
        "printer-0": ProcessStatus(
            role="handlers", state="gave up", last_end="exit code 1", last_words="no such file"
        ),
    },
    streams={
        "dev/pods@*": StreamStatus(reflector="reflector-0", state="watching", lists=2, watches=3, events=400),
        "dev/nodes@*": StreamStatus(
            reflector="reflector-0", state="backoff", error="wrong CA", retry_in_s=1.6
        ),
    },
    informers={
        "dev/pods": InformerStatus(
            synced=True,
            fresh=True,
            as_of=AS_OF_US,
            objects=1234,
            lag_ms=2.1,
            progress_s_ago=0.4,
            proof_s_ago=0.3,
        )
    },
    groups={
        "printer": GroupStatus(
            ready=True,
            synced=True,
            as_of=AS_OF_US,
            delivered=400,
            acknowledged=399,
            pending=1,
            lag_p99_ms=8.0,
        )
    },
    kills={"reflector-0": KillStatus(restarts=1, took_s=0.4, lost=0)},
    store="/s",
)


def test_a_line_holds_what_matters() -> None:
    assert render(SNAPSHOT).startswith(
        f"12s running · ready as of {AT} · synced 1/1 · 1.2k objects · 201 ev/s · lag 2.1 ms · "
        "printer 399/400 pending 1 dead 0 · restarts 1"
    )


def test_a_line_ends_with_what_is_wrong() -> None:
    assert "error dev/nodes@*: wrong CA" in render(SNAPSHOT)
    assert "error printer-0: gave up (no such file)" in render(SNAPSHOT)


def test_a_line_of_a_pipeline_that_leaves_gives_no_reasons_for_not_being_ready() -> None:
    unready = msgspec.structs.replace(SNAPSHOT, ready=False, unready=["fifo is not heard"])
    assert "not ready fifo is not heard" in render(unready)
    assert "fifo" not in render(msgspec.structs.replace(unready, state="draining"))


def test_the_summary_has_the_promised_keys() -> None:
    found = summary.as_json(SNAPSHOT)
    assert list(found) == [
        "seconds",
        "first_event_s",
        "objects",
        "events",
        "lag_ms",
        "restarts",
        "synced",
        "ready",
        "fresh",
        "as_of",
        "handlers",
        "processes",
        "lists",
        "watches",
    ]
    assert list(found["events"]) == ["published", "delivered", "acknowledged"]
    assert list(found["lag_ms"]) == ["p50", "p99"]
    assert found["handlers"]["printer"] == {
        "delivered": 400,
        "acknowledged": 399,
        "pending": 1,
        "dead": 0,
        "retry": 0,
        "off": False,
        "as_of": AS_OF_US,
    }
    assert found["processes"]["reflector-0"] == {"pid": 7, "restarts": 1, "rss_mb": 31.0, "cpu_s": 0.5}


def test_the_summarys_last_lines_say_what_waits_and_why() -> None:
    def lines(**groups: GroupStatus) -> list[str]:
        snapshot = msgspec.structs.replace(SNAPSHOT, groups=groups)
        return summary.as_lines(snapshot, [], is_checked=True)

    quiet = GroupStatus(pending=0)
    assert lines(a=quiet)[-1].endswith("every handler has acknowledged everything")
    assert lines(a=quiet, b=GroupStatus(off=True, pending=0))[-1].endswith("every handler has acknowledged everything")
    found = lines(a=quiet, b=GroupStatus(off=True, pending=5))
    assert "b: 5 events wait, since it is off: 0 replicas (`deltawire handlers scale b 1`)" in found[-2]
    assert found[-1].endswith("every other handler has acknowledged everything")
    found = lines(b=GroupStatus(off=True, pending=None))
    assert "not known how many events wait, since it is off" in found[-2]
    assert found[-1].endswith("no handler has acknowledged everything")
    assert "a: 1 event will be tried again" in lines(a=GroupStatus(pending=0, retry=1))[-2]


def test_the_summary_says_what_failed() -> None:
    assert summary.as_lines(SNAPSHOT, ["2 keys differ"], is_checked=True)[-1] == "FAILED: 2 keys differ"
    assert "equals the API server" in summary.as_lines(SNAPSHOT, [], is_checked=True)[-1]
    assert "equals the API server" not in "\n".join(summary.as_lines(SNAPSHOT, [], is_checked=False))


def test_the_status_page_shows_every_stream_and_every_error() -> None:
    text = "\n".join(status.render(SNAPSHOT))
    for expected in ("dev/pods@*", "dev/nodes@*", "backoff 1.6s", "wrong CA", "reflector-0 killed", "lost 0"):
        assert expected in text


def test_the_screen_shows_the_same_and_suggests_a_kill() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    with console.capture() as captured:
        console.print(live.render(SNAPSHOT, ["reflector-0 killed: back after 0.4 s · restarts 1 · lost 0"]))
    text = captured.get()
    for expected in (
        "reflector-0",
        "dev/pods",
        "printer",
        "deltawire kill reflector-0",
        "lost 0",
        "wrong CA",
    ):
        assert expected in text


def test_handlers_output_is_prefixed_and_logs_are_not() -> None:
    out, logged = io.StringIO(), io.StringIO()
    view = LineView(out, logged=logged)
    view.process_line(Line("printer-0", "+ default/web", False))
    view.process_line(Line("printer-0", '{"level":"warning"}', True))
    assert out.getvalue() == "printer-0 | + default/web\n"
    assert logged.getvalue() == '{"level":"warning"}\n'


def test_a_snapshot_survives_the_way_over_the_control_socket() -> None:
    assert (
        msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(SNAPSHOT.as_plain())), Snapshot)
        == SNAPSHOT
    )


def test_metrics_name_cluster_resource_and_handler() -> None:
    text = exposition(SNAPSHOT).decode()
    assert 'deltawire_informer_objects{cluster="dev",resource="pods"} 1234.0' in text
    assert 'deltawire_stream_lists_total{cluster="dev",resource="pods",stream="*"} 2.0' in text
    assert 'deltawire_handler_acknowledged_total{handler="printer"} 399.0' in text
    assert 'deltawire_process_restarts_total{process="reflector-0",role="reflector"} 1.0' in text


def test_ready_says_for_each_informer_why_or_why_not() -> None:
    code, text = readyz(SNAPSHOT, "verbose")
    assert code == 200
    assert (
        "[+] informer dev/pods: synced yes, fresh yes, last proof 0.3 s ago, last progress 0.4 s ago, lag 2.1 ms, "
        "last error none"
    ) in text


def test_what_is_not_known_is_a_question_mark_and_never_zero() -> None:
    unknown = msgspec.structs.replace(
        SNAPSHOT,
        ready=False,
        unready=["dev/pods: worker-0 is not heard"],
        groups={"printer": GroupStatus(pending=None, dead=None, retry=None, in_flight=None)},
        informers={"dev/pods": InformerStatus(depth=None, leased=None)},
    )
    assert "pending ? dead ?" in render(unknown)
    assert "0 of 0 events acknowledged, ? pending, ? dead" in "\n".join(
        summary.as_lines(unknown, [], is_checked=False)
    )
    page = "\n".join(status.render(unknown))
    assert "NOT READY dev/pods: worker-0 is not heard" in page
    assert (
        " 0 "
        not in next(line for line in page.splitlines() if line.startswith("printer  ")).rpartition("0  ")[2]
    )
    with io.StringIO() as screen:
        Console(file=screen, width=120).print(live.render(unknown, []))
        assert "not ready: dev/pods: worker-0 is not heard" in screen.getvalue()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (999, "999"), (1234, "1.2k"), (34000, "34k"), (5.6e6, "5.6M")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (2.14, "2.1 ms"), (350.0, "350 ms"), (1234.0, "1.2 s")]
)
def test_lags_are_short(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


def test_last_words_are_the_message_of_the_last_serious_log_line() -> None:
    assert last_words(['{"level":"error","message":"no"}', '{"level":"info","message":"bye"}', ""]) == "no"
    assert last_words(["Traceback …", "ValueError: x"]) == "ValueError: x"
    assert last_words([]) == ""


def test_last_words_of_a_crash_name_it_and_the_line_it_was_in() -> None:
    said = [
        '{"level":"error","message":"before"}',
        "Fatal Python error: Segmentation fault",
        "",
        "Current thread 0x00007f (most recent call first):",
        '  File "/work/h.py", line 9 in added',
        '  File "/lib/threading.py", line 975 in run',
        "",
        "Extension modules: msgspec._core (total: 1)",
    ]
    assert last_words(said) == 'Fatal Python error: Segmentation fault at File "/work/h.py", line 9 in added'


def test_the_line_of_many_handlers_stays_a_line():
    group = SNAPSHOT.groups["printer"]
    many = msgspec.structs.replace(
        SNAPSHOT,
        groups={f"h{i}": group for i in range(60)},
        unready=[f"h{i}: fifo is not heard" for i in range(60)],
    )
    line = render(many)
    assert len(line) < 600
    assert f"60 handlers {60 * group.acknowledged}/{60 * group.delivered} pending" in line
    assert "not ready h4: fifo is not heard · 55 more of them: deltawire status" in line
    assert "pending ?" in render(
        msgspec.structs.replace(
            many, groups=many.groups | {"h0": msgspec.structs.replace(group, pending=None)}
        )
    )
