"""What works and still wants a look: an id that is believed, files that run short, unanswered messages, hangs."""

import io

import pytest
from rich.console import Console

from deltawire.cli.supervisor.metrics import exposition
from deltawire.cli.supervisor.readyz import readyz
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot
from deltawire.cli.view import live, status
from tests.support.reports import INFORMER, Watched, fifo, healthy, reflector, worker

WARNING = (
    "the id of cluster dev cannot be read: namespace kube-system: 403 forbidden; its address stands for it"
)


def believed(made: Watched, **cluster: object) -> dict[str, object]:
    said = {"id": "a-1234", "warning": WARNING, "error": "", "reads": 3, **cluster}
    return reflector(made.now_s) | {"clusters": {"dev": said}}


def screen(snapshot: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=300, force_terminal=False)
    with console.capture() as captured:
        console.print(live.render(snapshot, []))
    return captured.get()


def test_an_id_that_is_believed_because_nobody_tells_it_is_a_warning_in_every_face() -> None:
    made = healthy()
    made.say("reflector-0", believed(made))
    found = made.snapshot()
    assert found.as_plain()["clusters"] == {
        "dev": {"id": "a-1234", "warning": WARNING, "error": "", "reads": 3}
    }
    assert f"WARNING dev: {WARNING}" in status.render(found)
    assert f"[!] dev: {WARNING}\n" in readyz(found, "verbose")[1]
    assert f"[!] dev: {WARNING}\n" in readyz(found, "verbose&cluster=dev")[1]
    assert f"warning: dev: {WARNING}" in screen(found)
    assert found.ready, "it works all the same"
    assert readyz(found) == (200, "ready\n")


def test_a_warning_goes_when_the_id_is_read_or_who_said_it_is_not_heard() -> None:
    made = healthy()
    made.say("reflector-0", believed(made))
    made.gone("reflector-0")
    assert made.snapshot().warnings == []
    made.say("reflector-0", believed(made))
    made.say("reflector-0", believed(made, id="uid", warning=""))
    found = made.snapshot()
    assert (found.warnings, found.clusters["dev"].id) == ([], "uid")


def test_a_warning_of_another_cluster_is_not_of_the_one_that_is_asked_for() -> None:
    made = healthy()
    said = {"other": {"id": "a-1", "warning": "its address stands for it"}}
    made.say("reflector-0", reflector(made.now_s) | {"clusters": said})
    assert "[!] other: its address stands for it\n" in readyz(made.snapshot(), "verbose")[1]
    assert "[!]" not in readyz(made.snapshot(), "verbose&cluster=dev")[1]


def test_a_cache_that_is_nearly_full_is_a_warning_in_every_face() -> None:
    made = healthy()
    made.say("worker-1", worker(1, made.now_s, informer={"warning": "90 of 100 bytes are in use"}))
    found = made.snapshot()
    assert f"WARNING {INFORMER}: 90 of 100 bytes are in use" in status.render(found)
    assert f"[!] {INFORMER}: 90 of 100 bytes are in use" in readyz(found, "verbose")[1]


@pytest.mark.parametrize(("limit", "is_short"), [(1024, True), (4096, False)])
def test_need_and_limit_of_open_files_stand_in_the_status_and_a_limit_that_is_too_low_is_a_warning(
    limit: int, is_short: bool
) -> None:
    made = healthy()
    made.say("reflector-0", reflector(made.now_s) | {"descriptors": {"need": 1128, "limit": limit}})
    found = made.snapshot(**{"reflector-0": ProcessStatus(role="reflector", state="ready")})
    process = found.as_plain()["processes"]["reflector-0"]
    assert (process["descriptors_need"], process["descriptors_limit"]) == (1128, limit)
    text = status.render(found)
    assert f"open files: reflector-0 may need 1128 of {limit}" in text
    warning = f"WARNING reflector-0: may need 1128 open files, the limit is {limit}: raise it with ulimit -n"
    assert (warning in text) == is_short


def test_messages_without_an_answer_are_counted_over_all_lives_in_status_and_metrics() -> None:
    made = healthy()
    made.say("fifo", fifo(made.now_s, 1) | {"unanswered": 40})
    made.say("fifo", fifo(made.now_s, 2) | {"unanswered": 2})
    made.model.tick(made.now_s, 0)
    found = made.model.snapshot(
        up_s=1.0,
        wall_us=0,
        processes={"fifo": ProcessStatus(role="fifo", state="ready")},
        kills={},
        unanswered=7,
    )
    assert (found.processes["fifo"].unanswered, found.unanswered) == (42, 7)
    metrics = exposition(found).decode()
    assert 'deltawire_process_unanswered_total{process="fifo",role="fifo"} 42.0' in metrics
    assert 'deltawire_process_unanswered_total{process="control",role="control"} 7.0' in metrics


def test_connections_that_were_refused_for_their_key_are_counted_over_all_lives_in_status_and_metrics() -> None:
    made = healthy()
    made.say("fifo", fifo(made.now_s, 1) | {"connections_refused": 40})
    made.say("fifo", fifo(made.now_s, 2) | {"connections_refused": 2})
    made.model.tick(made.now_s, 0)
    processes = {"fifo": ProcessStatus(role="fifo", state="ready")}
    found = made.model.snapshot(up_s=1.0, wall_us=0, processes=processes, kills={}, connections_refused=7)
    assert (found.processes["fifo"].connections_refused, found.connections_refused) == (42, 7)
    metrics = exposition(found).decode()
    assert 'deltawire_process_connections_refused_total{process="fifo",role="fifo"} 42.0' in metrics
    assert 'deltawire_process_connections_refused_total{process="control",role="control"} 7.0' in metrics


def test_kills_of_roles_that_hung_are_in_the_metrics_of_each_role() -> None:
    made = healthy()
    found = made.snapshot(
        fifo=ProcessStatus(role="fifo", state="ready", hung=2),
        **{"worker-0": ProcessStatus(role="informer", state="ready")},
    )
    metrics = exposition(found).decode()
    assert 'deltawire_process_hung_total{process="fifo",role="fifo"} 2.0' in metrics
    assert 'deltawire_process_hung_total{process="worker-0",role="informer"} 0.0' in metrics


def test_on_a_terminal_of_80_columns_each_part_has_one_line_and_a_long_error_is_said_once() -> None:
    made = healthy()
    error = "GET https://10.0.0.1:6443/api/v1/pods: " + "pods is forbidden: User cannot list resource " * 5
    made.say(
        "reflector-0", reflector(made.now_s, state="backoff", watching=False, error=error, retry_in_s=12.5)
    )
    names = {"fifo": "fifo", "worker-0": "informer", "reflector-0": "reflector", "printer-0": "handlers"}
    found = made.snapshot(
        **{
            name: ProcessStatus(
                role=role, state="ready", pid=4_194_304, last_end="hung: its loop has not turned"
            )
            for name, role in names.items()
        }
    )
    lines = status.render(found, columns=80)
    assert max(map(len, lines)) <= 80
    starts = [line for line in lines if line.startswith(f"{INFORMER} ")]
    assert len(starts) == 1
    assert starts[0].split()[:3] == [INFORMER, "no", "no"]
    assert f"NOT READY {INFORMER}: stream * is not watched (backoff)" in lines
    assert f"NOT READY printer: {INFORMER} is not synced" in lines
    text = " ".join(" ".join(lines).split())
    assert text.count("pods is forbidden") == 5
    assert f"ERROR {INFORMER}@*: {error.strip()}" in text
    uncut = status.render(found)
    assert f"ERROR {INFORMER}@*: {error}" in uncut
    assert any("PUBLISHED   APPLIED" in line for line in uncut)


def test_why_a_queue_on_nats_stands_still_is_an_error_until_it_goes_on_or_the_broker_is_not_heard() -> None:
    made = healthy()
    problem = "nats://n1:4222: Connect call failed"
    ready = {"fifo": ProcessStatus(role="fifo", state="ready")}
    made.say("fifo", fifo(made.now_s) | {"nats": {"problem": problem}})
    found = made.snapshot(**ready)
    assert found.as_plain()["processes"]["fifo"]["error"] == problem
    assert f"ERROR fifo: {problem}" in status.render(found)
    made.say("fifo", fifo(made.now_s) | {"nats": {"problem": ""}})
    assert made.snapshot(**ready).errors == []
    made.say("fifo", fifo(made.now_s) | {"nats": {"problem": problem}})
    made.gone("fifo")
    assert not [line for line in made.snapshot(**ready).errors if problem in line]
