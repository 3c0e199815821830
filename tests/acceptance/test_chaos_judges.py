"""The judges of `deltawire chaos` are judged: each rule's complaint is made when, and only when, it is due."""

import ast
import importlib.util
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import deltawire.cli.chaos
from deltawire.cli.chaos.run import covered_namespaces as covered_by

OUTSIDE = Path(deltawire.cli.chaos.__file__).with_name("outside")
KEY = ("pods", "a/x")


def load(name):
    spec = importlib.util.spec_from_file_location(f"{name}_under_test", OUTSIDE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


keys, requests, claims = load("check_keys"), load("check_requests"), load("check_claims")
gaps, prober = load("check_gaps"), load("prober")


@pytest.mark.parametrize("script", sorted(path.name for path in OUTSIDE.glob("*.py")))
def test_what_judges_from_outside_imports_nothing_of_ours(script):
    for node in ast.walk(ast.parse((OUTSIDE / script).read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.partition(".")[0] in sys.stdlib_module_names, f"{script} imports {name}"


def record(*versions, uid="u1", deleted_at=None):
    made = keys.Record()
    for version in versions:
        made.add({"type": "", "uid": uid, "version": str(version), "tier": "", "at": 0.0})
    if deleted_at is not None:
        made.deleted_at[uid] = deleted_at
    return made


def call(kind, version, *, uid="u1", began=0.0, took=0.5, fence=1, attempt=1, flags=(), done=True):
    entry = {
        "type": kind, "version": str(version), "uid": uid, "resource": "pods", "key": "a/x", "fence": fence,
        "attempt": attempt, "flags": list(flags), "pid": 1,
    }  # fmt: skip
    return keys.Call(entry, began, None if took is None else began + took, done)


def rules(found):
    return [rule for rule, _ in found]


def pairs(*calls, stops=(), deaths=()):
    whole = [death if len(death) == 3 else (death[0], death[1], death[1]) for death in deaths]
    return rules(keys.judge_pairs("g pods a/x", list(calls), list(stops), whole))


def test_calls_in_order_are_not_complained_about():
    assert pairs(call("added", 10), call("updated", 11, began=1), call("updated", 12, began=2)) == []
    deleted = call("deleted", 11, began=1)
    assert pairs(call("added", 10), deleted, call("added", 12, uid="u2", began=2)) == []


@pytest.mark.parametrize(
    ("calls", "rule"),
    [
        ([call("added", 11, took=2), call("updated", 12, began=1)], "overlap"),
        ([call("added", 12), call("updated", 11, began=1)], "order"),
        ([call("added", 9, uid="u0"), call("updated", 12, began=1)], "uid"),
        ([call("added", 9, fence=3), call("updated", 12, began=1, fence=2)], "fence"),
        ([call("added", 9, took=None, done=False), call("added", 9, began=1)], "attempt"),
    ],
)
def test_each_fault_of_a_pair_of_calls_is_a_complaint(calls, rule):
    assert pairs(*calls) == [rule]


def test_a_key_goes_back_only_to_what_was_acknowledged_just_before_its_worker_died():
    told = [call("added", 10, began=1.0), call("updated", 11, began=2.0), call("updated", 12, began=3.0)]
    again = [call("updated", 11, began=6.0, attempt=2), call("updated", 12, began=7.0, attempt=2)]
    assert pairs(*told, *again) == ["order"], "nobody died"
    assert pairs(*told, *again, deaths=[(2.4, 4.0)]) == []
    assert pairs(*told, *again, deaths=[(0.4, 1.9)]) == [], "the look that noticed it began before the death"
    assert pairs(*told, *again, deaths=[(3.0, 4.0)]) == ["order"], "it was acknowledged long before"
    assert pairs(*told, *again, deaths=[(8.0, 9.0)]) == ["order"], "the death came later"
    skipped = call("updated", 9, began=6.0, attempt=2)
    assert pairs(*told, skipped, deaths=[(2.4, 4.0)]) == ["order"], "it was never told"


def test_a_life_that_had_ended_comes_again_only_where_its_end_was_acknowledged_just_before_its_worker_died():
    told = [call("added", 10), call("deleted", 11, began=1.0), call("added", 12, uid="u2", began=2.0)]
    again = [call("deleted", 11, began=6.0, attempt=2), call("added", 12, uid="u2", began=7.0, attempt=2)]
    assert pairs(*told, *again) == ["uid"]
    assert pairs(*told, *again, deaths=[(1.4, 3.0)]) == []
    assert pairs(*told, *again, deaths=[(2.0, 3.0)]) == ["uid"]


def test_the_deaths_of_workers_are_read_with_the_time_that_they_lay_still_before(tmp_path):
    entries = [
        {"at": 5.0, "name": "worker-0", "up": True},
        {"at": 20.0, "name": "worker-0", "up": False},
        {"at": 30.0, "name": "fifo", "up": False},
    ]
    (tmp_path / "processes.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    late = keys.NOTICED_S + keys.COMMIT_S
    assert keys.read_deaths(tmp_path, [], None) == [(20.0 - late, 20.0, 20.0)]
    assert keys.read_deaths(tmp_path, [("worker-0", 12.0, 20.2)], None) == [(12.0 - late, 20.0, 20.0)]
    assert keys.read_deaths(tmp_path, [("worker-0", 12.0, 13.0), ("worker-1", 12.0, 21.0)], None) == [
        (20.0 - late, 20.0, 20.0)
    ]


def test_a_worker_died_between_the_last_look_that_saw_it_and_the_end_of_the_one_that_missed_it(tmp_path):
    look = {"at": 20.0, "since": 17.0, "until": 22.5}
    (tmp_path / "processes.jsonl").write_text(json.dumps({**look, "name": "worker-0", "up": False}) + "\n")
    late = keys.NOTICED_S + keys.COMMIT_S
    assert keys.read_deaths(tmp_path, [], None) == [(17.0 - late, 17.0, 22.5)]
    assert keys.read_deaths(tmp_path, [("worker-0", 15.0, 17.2)], None) == [(15.0 - late, 17.0, 22.5)]


def test_a_look_that_takes_long_names_the_times_between_which_a_process_ended(monkeypatch):
    clock = iter([1.0, 2.0, 3.0, 4.0, 6.0])
    looks = iter([{7: (1, "worker-0")}, {}])
    monkeypatch.setattr(prober, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    monkeypatch.setattr(prober, "processes", lambda config: next(looks))
    out = io.StringIO()
    with pytest.raises(StopIteration):
        prober.watch_processes("config", out)
    came, went = (json.loads(line) for line in out.getvalue().splitlines())
    assert came == {"at": 2.0, "since": 1.0, "until": 3.0, "name": "worker-0", "pid": 7, "up": True}
    assert went == {"at": 4.0, "since": 2.0, "until": 6.0, "name": "worker-0", "pid": 7, "up": False}


def test_a_worker_that_was_cut_off_may_have_been_replaced_from_then_until_it_ended(tmp_path):
    entries = [{"at": 5.0, "name": "worker-0@1", "up": True}, {"at": 20.0, "name": "worker-0@1", "up": False}]
    (tmp_path / "processes.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    late = keys.NOTICED_S + keys.COMMIT_S

    def deaths(*cut_off, stops=()):
        return keys.read_deaths(tmp_path, list(stops), list(cut_off))

    assert deaths() == [(20.0 - late, 20.0, 20.0)]
    assert deaths((11.0, 13.0)) == [(11.0 - late, 11.0, 20.0)], "its lease ran out"
    assert deaths((7.0, 8.0)) == [(20.0 - late, 20.0, 20.0)], "it had got over that"
    assert deaths((7.0, 10.0), (11.0, 13.0)) == [(7.0 - late, 7.0, 20.0)], "one led to the other"
    assert deaths((6.0, 7.0), (11.0, 13.0)) == [(11.0 - late, 11.0, 20.0)], "there was time between"
    assert deaths((25.0, 26.0)) == [(20.0 - late, 20.0, 20.0)]
    assert deaths((15.0, 16.0), stops=[("worker-0@1", 12.0, 14.0), ("worker-1@1", 1.0, 15.0)]) == [
        (12.0 - late, 12.0, 20.0)
    ]


def test_what_a_worker_was_told_while_it_was_cut_off_comes_again_from_another_host_before_it_ends():
    told = [call("added", 10, began=1.0), call("updated", 11, began=2.0), call("updated", 12, began=3.0)]
    again = [call("updated", 11, began=6.0, attempt=2), call("updated", 12, began=7.0, attempt=2)]
    assert pairs(*told, *again, deaths=[(1.8, 2.5, 30.0)]) == []
    assert pairs(*told, *again, deaths=[(3.1, 4.0, 30.0)]) == ["order"], "it was not cut off yet"
    assert pairs(*told, *again, deaths=[(1.8, 9.0, 30.0)]) == ["order"], "nobody else could have it yet"


def test_a_second_attempt_that_says_so_is_no_complaint():
    assert pairs(call("added", 9, took=None, done=False), call("added", 9, began=1, attempt=2)) == []


def test_calls_may_overlap_only_where_the_older_replica_lay_still_and_has_the_lower_fence():
    older, newer = call("added", 11, took=9), call("updated", 12, began=5, fence=2)
    assert pairs(older, newer, stops=[(1, 8)]) == []
    assert pairs(older, newer, stops=[(20, 30)]) == ["overlap"]
    assert pairs(older, call("updated", 12, began=5, fence=1), stops=[(1, 8)]) == ["overlap"]


@pytest.mark.parametrize(
    ("flags", "versions", "expected"),
    [
        ((), (10, 11, 12), ["flag"]),
        (("gap",), (10, 11, 12), []),
        (("coalesced",), (10, 11, 12), []),
        ((), (10, 12), []),
    ],
)
def test_a_version_that_was_missed_needs_a_flag(flags, versions, expected):
    calls = [call("added", 10), call("updated", 12, began=1, flags=flags)]
    assert rules(keys.judge_flags("g", calls, record(*versions))) == expected


def births(*calls):
    groups = {"old": {"born": 0.0}, "new": {"born": 10.0}}
    deleted = {KEY: [call("added", 1), call("deleted", 2, began=1)]}
    return rules(keys.judge_births(groups, {"old": deleted, "new": {KEY: list(calls)}}, []))


def test_a_group_gets_nothing_that_ended_before_it_existed():
    assert births(call("added", 1, began=11)) == ["unborn"]
    assert births(call("added", 3, uid="u2", began=11)) == []


@pytest.mark.parametrize(
    ("calls", "server", "expected"),
    [
        ([call("added", 12)], ("u1", "12"), []),
        ([call("added", 11)], ("u1", "12"), ["converge"]),
        ([call("added", 12, done=False)], ("u1", "12"), ["converge"]),
        ([call("added", 12), call("deleted", 13, began=1)], ("u1", "12"), ["converge"]),
        ([call("added", 12), call("deleted", 13, began=1)], None, []),
        ([call("added", 12)], None, ["converge"]),
        ([], ("u1", "12"), ["converge"]),
    ],
)
def test_in_the_end_each_group_has_come_to_the_servers_state(calls, server, expected):
    of = {KEY: calls} if calls else {}
    assert rules(keys.judge_final("g", of, {KEY: server} if server else {})) == expected


@pytest.mark.parametrize(
    ("kind", "version", "found", "deleted", "expected"),
    [
        ("updated", 11, ("u1", "11"), False, []),
        ("updated", 11, ("u1", "12"), False, []),
        ("updated", 11, ("u1", "10"), False, ["cache"]),
        ("updated", 11, ("", ""), True, []),
        ("updated", 11, ("", ""), False, ["cache"]),
        ("deleted", 12, ("", ""), True, []),
        ("deleted", 12, ("u2", "13"), True, []),
        ("deleted", 12, ("u1", "12"), True, ["cache"]),
    ],
)
def test_after_an_event_the_cache_holds_that_state_or_a_newer_one(
    tmp_path, kind, version, found, deleted, expected
):
    line = {
        "at": 1.0, "type": kind, "resource": "pods", "key": "a/x", "uid": "u1", "version": str(version),
        "found_uid": found[0], "found_version": found[1],
    }  # fmt: skip
    (tmp_path / "lister.found").write_text(json.dumps(line) + "\n")
    run = {"narrowed": False, "filtered": []}
    assert rules(keys.judge_cache(tmp_path, record(11, deleted_at=2.0 if deleted else None), run)) == expected


def listed(asked, *actions):
    done = [{"kind": kind, "at": at, "until": at} for kind, at in actions]
    return list(requests.unexplained(list(asked), done, [0.0]))


def test_a_list_needs_an_explanation():
    assert listed([1.0]) == []
    assert listed([1.0, 50.0]) == [50.0]
    assert listed([1.0, 50.0], ("kill", 49.0)) == [50.0]
    assert listed([1.0, 50.0], ("compact", 45.0)) == []
    assert listed([1.0, 2.5], ("kill", 2.0)) == []
    assert listed([1.0, 46.0, 47.0], ("compact", 45.0)) == [47.0]
    assert listed([1.0, 46.0, 47.0], ("compact", 45.0), ("kill", 46.5)) == []


def claim_folder(tmp_path, *, code, at, gone=None, stopped=None):
    def write(name, entries):
        (tmp_path / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    asked = [{"at": at + i / 10, "took_s": 0.01, "wall": 0, "what": "readyz", "code": code} for i in range(2)]
    write("claims.jsonl", asked)
    changes = [{"at": 0.0, "name": "worker-0", "pid": 1, "up": True}]
    if gone:
        changes.append({"at": gone[0], "name": "worker-0", "pid": 1, "up": False})
        changes.append({"at": gone[1], "name": "worker-0", "pid": 2, "up": True})
    write("processes.jsonl", changes)
    stops = [] if stopped is None else [
        {"kind": "stop", "name": "worker-0", "victim": "worker-0", "pid": 1, "at": stopped[0], "until": stopped[1]}
    ]  # fmt: skip
    write("actions.jsonl", stops)
    write("run.json", [{"heartbeat_s": 0.5, "groups": {}, "covered": None, "filtered": []}])
    return tmp_path


@pytest.mark.parametrize(
    ("code", "at", "gone", "stopped", "expected"),
    [
        (200, 5.0, (2.0, 9.0), None, {"ready-dead"}),
        (503, 5.0, (2.0, 9.0), None, set()),
        (200, 2.3, (2.0, 9.0), None, set()),
        (200, 9.5, (2.0, 9.0), None, set()),
        (200, 6.0, None, (2.0, 9.0), {"ready-stopped"}),
        (200, 3.0, None, (2.0, 9.0), set()),
        (200, 9.5, None, (2.0, 9.0), set()),
    ],
)
def test_whoever_says_ready_while_a_part_is_away_is_found_out(tmp_path, code, at, gone, stopped, expected):
    verdict = claims.judge(claim_folder(tmp_path, code=code, at=at, gone=gone, stopped=stopped))
    assert set(verdict["counts"]) == expected


def test_a_group_is_ready_while_another_replica_of_it_is_there(tmp_path):
    folder = claim_folder(tmp_path, code=200, at=5.0)
    changes = [("g-0", 1, 0.0, True), ("g-1", 2, 0.0, True), ("g-1", 2, 2.0, False), ("g-1", 3, 9.0, True)]
    entries = [{"at": at, "name": name, "pid": pid, "up": up} for name, pid, at, up in changes]
    (folder / "processes.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert claims.judge(folder)["counts"] == {}
    alone = [{**entry, "name": entry["name"].replace("g-0", "h-0")} for entry in entries]
    (folder / "processes.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in alone))
    assert set(claims.judge(folder)["counts"]) == {"ready-dead"}


def judged_claim(folder, seen, calls, as_of, claimed, covered=None):
    """The rules that a claim of `synced` breaks. ``seen`` at the server, ``calls`` of the group: at, type, version."""
    pod = {"resource": "pods", "key": "a/x"}
    record = [pod | {"at": at, "type": kind, "uid": "u", "version": version} for at, kind, version in seen]
    (folder / "seen.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in record))
    ends = [pod | {"what": "end", "at": at, "type": kind, "version": version} for at, kind, version in calls]
    (folder / "g.calls").write_text("".join(json.dumps(end) + "\n" for end in ends))
    group = {"synced": True, "as_of": as_of and int(as_of * 1e6)}
    status = {"running": True, "groups": {"g": group}}
    line = {"at": claimed, "took_s": 0.0, "wall": claimed, "what": "status", "status": status}
    with (folder / "claims.jsonl").open("a") as claims_file:
        claims_file.write(json.dumps(line) + "\n")
    run = {"heartbeat_s": 0.5, "groups": {"g": {"born": 0.0}}, "covered": covered, "filtered": []}
    (folder / "run.json").write_text(json.dumps(run))
    return set(claims.judge(folder)["counts"])


@pytest.mark.parametrize(
    ("as_of", "claimed", "expected"),
    [(20.0, 20.5, {"synced"}), (20.0, 31.0, set()), (10.5, 20.5, set()), (None, 20.5, set())],
)
def test_whoever_says_synced_as_of_a_moment_has_done_what_the_server_had_before_it(
    tmp_path, as_of, claimed, expected
):
    """The server had version 12 at 10 s, and the group had done it at 30 s."""
    folder = claim_folder(tmp_path, code=503, at=5.0)
    seen, calls = [(10.0, "MODIFIED", "12")], [(30.0, "updated", "12")]
    assert judged_claim(folder, seen, calls, as_of, claimed) == expected


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([], set()),  # it came and went before anything was listed
        ([(9.0, "added", "8")], {"synced"}),  # the end of what the group holds is owed to it
        (
            [(9.0, "added", "8"), (14.0, "deleted", "8")],
            set(),
        ),  # a list found that end, at the version known last
    ],
)
@pytest.mark.parametrize("ended_at", [12.0, 19.5])
def test_of_what_ended_a_group_that_holds_nothing_of_it_has_nothing_to_do(
    tmp_path, calls, expected, ended_at
):
    folder = claim_folder(tmp_path, code=503, at=5.0)
    seen = [(10.0, "ADDED", "11"), (ended_at, "DELETED", "12")]
    later = [(30.0, "added", "15")]
    assert judged_claim(folder, seen, [*calls, *later], 20.0, 20.5) == expected


@pytest.mark.parametrize(("as_of", "expected"), [(20.4, set()), (20.55, set()), (21.0, {"future"})])
def test_nothing_is_claimed_as_of_a_moment_that_is_still_to_come(tmp_path, as_of, expected):
    folder = claim_folder(tmp_path, code=503, at=5.0)
    assert judged_claim(folder, [], [], as_of, 20.5) == expected


def test_what_ended_only_after_the_claim_was_to_be_done(tmp_path):
    folder = claim_folder(tmp_path, code=503, at=5.0)
    seen = [(10.0, "ADDED", "11"), (25.0, "DELETED", "12")]
    assert judged_claim(folder, seen, [(30.0, "added", "15")], 20.0, 20.5) == {"synced"}


@pytest.mark.parametrize(("covered", "expected"), [(["a"], {"synced"}), (["b"], set()), ([], set())])
def test_of_narrowed_scopes_a_claim_is_judged_by_what_all_of_them_cover(tmp_path, covered, expected):
    folder = claim_folder(tmp_path, code=503, at=5.0)
    seen, calls = [(10.0, "MODIFIED", "12")], [(30.0, "updated", "12")]
    assert judged_claim(folder, seen, calls, 20.0, 20.5, covered) == expected


def test_what_all_narrowed_scopes_cover_is_their_intersection():
    assert covered_by([]) is None
    assert covered_by([("b", "a"), ("c", "b")]) == ["b"]


def notice(at, lost_from, version, attempt, reason="relist"):
    return {
        "type": "gap", "at": at, "resource": "pods", "key": "", "namespace": "", "flags": ["gap"], "reason": reason,
        "lost_from": lost_from, "version": version, "attempt": attempt,
    }  # fmt: skip


def told(at, *flags):
    return {"type": "updated", "at": at, "resource": "pods", "key": "a/x", "flags": list(flags), "attempt": 1}


@pytest.mark.parametrize(
    ("delivery", "calls", "expected"),
    [
        ("every", [told(50, "gap"), notice(51, "10", "20", 1)], []),
        ("every", [told(9), told(9, "coalesced")], []),
        ("every", [told(9, "gap")], ["gap"]),
        ("every", [notice(9, "10", "20", 1)], ["gap"]),
        ("every", [notice(9, "", "", 1, reason="forgotten")], []),
        ("latest", [told(50)], []),
        ("latest", [told(50, "gap")], ["gap"]),
        ("latest", [notice(50, "10", "20", 1)], ["gap"]),
        ("every", [notice(50, "10", "20", 1), notice(60, "10", "20", 2)], []),
        ("every", [notice(50, "10", "20", 2), notice(60, "10", "20", 1)], []),
        ("every", [notice(50, "10", "20", 1), notice(60, "10", "20", 1)], ["notice"]),
        ("every", [notice(50, "10", "20", 1), notice(60, "20", "30", 1)], []),
        ("every", [notice(50, "?", "20", 1)], []),
        ("every", [notice(50, "20", "20", 1)], ["notice"]),
    ],
)
def test_what_is_told_of_a_gap_needs_a_loss_and_only_one_telling_is_the_first(delivery, calls, expected):
    """History was lost from 40 s on."""
    assert rules(gaps.judge_gaps("g", delivery, calls, 40.0)) == expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([("scope", 1), ("kill", 50)], float("inf")),
        ([("scope", 1), ("kill", 5), ("compact", 60)], 5),
        ([("scope", 1), ("kill", 50), ("compact-behind", 60)], 60),
        ([("scope", 1), ("scope", 70)], 70),
        ([("scope", 1), ("server-kill", 40)], 40),
    ],
)
def test_history_is_lost_from_when_something_was_done_that_can_lose_it(actions, expected):
    assert gaps.first_loss([{"kind": kind, "at": at} for kind, at in actions]) == expected


def test_a_run_is_judged_by_what_its_recorders_wrote(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"groups": {"g": {"delivery": "latest"}}}))
    begun = [{"what": "begin", **told(5, "gap")}, {"what": "end", **told(5, "gap")}]
    (tmp_path / "g.calls").write_text("".join(json.dumps(line) + "\n" for line in begun))
    assert gaps.judge(tmp_path)["counts"] == {"gap": 1}
