"""The judge itself is judged: each complaint of its list is made when, and only when, it is due."""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("judge_under_test", Path(__file__).with_name("judge.py"))
assert spec and spec.loader
judge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(judge)

SERVER = {("pods", "a/x"): {"uid": "u1", "version": "12"}}


def call(kind, version, *, uid="u1", key="a/x", began=0.0, ended=None, attempt=1):
    return {
        "type": kind, "version": version, "uid": uid, "key": key, "resource": "pods", "attempt": attempt,
        "began": began, "ended": began + 0.5 if ended is None else ended,
    }  # fmt: skip


def test_a_handler_that_saw_it_all_is_not_complained_about():
    calls = [call("added", "10"), call("updated", "11", began=1), call("updated", "12", began=2)]
    assert judge.judge(calls, SERVER) == []


def test_the_same_version_again_is_no_complaint():
    calls = [call("added", "12"), call("updated", "12", began=1)]
    assert judge.judge(calls, SERVER) == []


@pytest.mark.parametrize(
    ("calls", "complaint"),
    [
        ([call("added", "11")], "the server holds 12"),
        ([call("added", "12"), call("deleted", "13", began=1)], "the server holds 12"),
        ([], "never seen"),
        ([call("added", "12"), call("added", "5", key="a/gone", uid="u2")], "deleted on the server"),
        ([call("added", "11", ended=2), call("updated", "12", began=1)], "overlap"),
        ([call("added", "12"), call("updated", "11", began=1), call("updated", "12", began=2)], "goes back"),
        ([call("added", "9", uid="u0"), call("updated", "12", began=1)], "without a deletion"),
    ],
)
def test_each_fault_is_a_complaint(calls, complaint):
    found = judge.judge(calls, SERVER)
    assert len(found) == 1
    assert complaint in found[0]


def test_calls_that_come_again_in_order_after_a_kill_and_say_so_are_no_complaint():
    calls = [
        call("added", "10"),
        call("updated", "11", began=1),
        call("added", "10", began=2, attempt=2),
        call("updated", "11", began=3, attempt=2),
        call("updated", "12", began=4),
    ]
    assert judge.judge(calls, SERVER) == []


def test_a_version_that_was_left_out_and_comes_late_is_a_complaint_whatever_its_attempt():
    calls = [call("added", "12"), call("updated", "11", began=1, attempt=2), call("updated", "12", began=2, attempt=2)]
    assert len(judge.judge(calls, SERVER)) == 1


def test_a_deletion_between_two_uids_is_no_complaint():
    calls = [
        call("added", "9", uid="u0"),
        call("deleted", "10", uid="u0", began=1),
        call("added", "12", began=2),
    ]
    assert judge.judge(calls, SERVER) == []


def test_an_acknowledged_call_has_a_beginning_and_an_end(tmp_path):
    path = tmp_path / "calls"
    path.write_text(
        '{"what": "begin", "at": 1.0, "pid": 5, "call": 1, "key": "a/x"}\n'
        '{"what": "begin", "at": 2.0, "pid": 5, "call": 2, "key": "a/y"}\n'
        '{"what": "end", "at": 3.0, "pid": 5, "call": 2, "key": "a/y"}\n'
    )
    calls, failed = judge.read_calls(path)
    assert [(c["key"], c["began"], c["ended"]) for c in calls] == [("a/y", 2.0, 3.0)]
    assert failed == 0
