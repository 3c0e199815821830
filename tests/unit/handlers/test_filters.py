"""Filters as authors write them: which functions are called, and what a mistake is told as."""

import json

import pytest

from deltawire.common.errors import ConfigError, PluginError
from deltawire.common.meta.clauses import Clause, Judge, Subject, writers_of
from deltawire.handlers.api import Handler
from deltawire.handlers.testing import Harness


def pod(name="web", *, color="", version="1", uid="u1", namespace="ns", **more):
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": version}
    if color:
        metadata["labels"] = {"color": color}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **more}


def test_each_function_is_called_for_what_its_own_filter_wants():
    handler, calls = Handler("h"), []

    @handler.on_add("pods", labels="color=red")
    def red_came(obj, event):
        calls.append(("red came", event.kind))

    @handler.on_delete("pods", labels="color=red")
    def red_went(obj, event):
        calls.append(("red went", event.out_of_scope))

    @handler.on_update("pods")
    def changed(old, new):
        calls.append(("changed", new["metadata"]["resourceVersion"]))

    harness = Harness(handler)
    harness.apply(pod(color="blue"))
    assert calls == []
    harness.apply(pod(color="red", version="2"))
    harness.apply(pod(color="red", version="3"))
    harness.apply(pod(color="blue", version="4"))
    harness.apply(pod(color="red", version="5"))
    harness.delete(pod(color="red", version="6"))
    assert sorted(calls) == sorted(
        [
            *(("changed", version) for version in "2345"),
            *(("red came", "added"),) * 2,
            ("red went", True),
            ("red went", False),
        ]
    )


def test_leaving_can_be_an_update():
    handler, calls = Handler("h"), []

    @handler.on_update("pods", labels="color=red", leaving="update")
    def changed(old, new, event):
        calls.append((new["metadata"]["resourceVersion"], event.kind, event.out_of_scope))

    harness = Harness(handler)
    for version, color in enumerate(["red", "red", "blue", "blue"]):
        harness.apply(pod(color=color, version=str(version)))
    assert calls == [("1", "updated", False), ("2", "updated", True)]


def test_when_is_asked_in_the_handler_with_the_object():
    handler, calls = Handler("h"), []

    @handler.on_add("pods", when=lambda obj: obj["spec"]["n"] > 1)
    def added(obj):
        calls.append(obj["spec"]["n"])

    @handler.reconcile("pods", when=lambda obj: obj["spec"]["n"] > 2)
    def reconcile(key, ctx):
        calls.append(key)

    harness = Harness(handler)
    for n in (1, 2, 3):
        assert harness.apply(pod(f"p{n}", uid=f"u{n}", spec={"n": n}))[0].verdict == "done"
    assert calls == [2, 3, "ns/p3"]


def test_a_reconcile_gets_the_keys_of_events_that_its_filter_wants():
    handler, calls = Handler("h"), []

    @handler.reconcile("pods", name="web-*", changed="{.spec}")
    def reconcile(key, ctx):
        calls.append((key, ctx.event.kind))

    harness = Harness(handler)
    harness.apply(pod("db-1", uid="u2"))
    harness.apply(pod("web-1", spec=1, status=1))
    harness.apply(pod("web-1", spec=1, status=2, version="2"))
    harness.apply(pod("web-1", spec=2, status=2, version="3"))
    assert calls == [("ns/web-1", "added"), ("ns/web-1", "updated")]


def test_functions_with_one_filter_make_one_clause_and_no_filter_at_all_none():
    handler = Handler("h")
    handler.on_add("pods", labels="a=b")(print)
    handler.on_delete("pods", labels="a=b")(print)
    handler.on_add("nodes")(print)
    assert handler.clauses("pods") == [Clause(labels="a=b")]
    assert handler.clauses("nodes") == []
    handler.on_update("pods")(lambda old, new: None)
    assert handler.clauses("pods") == [Clause(labels="a=b"), Clause()]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"lables": "a=b"}, "unknown keyword 'lables'"),
        ({"labels": "a=!"}, "label selector term"),
        ({"fields": "spec"}, "field selector term"),
        ({"annotations": "=x"}, "term '=x'"),
        ({"changed": "{.a[?(@.b)]}"}, "filters are not supported"),
        ({"when": 3}, "when=3 is not a function"),
        ({"leaving": "gone"}, "neither 'delete' nor 'update'"),
        ({"namespace": 5}, "on_add('pods')"),
        ({"name": ["x"] * 65}, "length"),
    ],
)
def test_a_mistake_in_a_filter_is_told_when_the_file_is_loaded(options, complaint):
    with pytest.raises(PluginError) as told:
        Handler("h").on_add("pods", **options)
    assert complaint in str(told.value)


@pytest.mark.parametrize(
    ("clause", "wanted"),
    [
        (Clause(namespaces=["n*"]), True),
        (Clause(namespaces=["x", "ns"]), True),
        (Clause(namespaces=["x"]), False),
        (Clause(names=["w?b"]), True),
        (Clause(names=["w"]), False),
        (Clause(labels="color in (red, blue)"), True),
        (Clause(labels="!color"), False),
        (Clause(annotations="note=a b"), True),
        (Clause(annotations="note!=a b"), False),
        (Clause(annotations="note,!other"), True),
        (Clause(annotations="other"), False),
        (Clause(fields="spec.ready=true,spec.n=3"), True),
        (Clause(fields="spec.n!=3"), False),
        (Clause(fields="spec.none="), True),
        (Clause(namespaces=["ns"], labels="color=blue"), False),
    ],
)
def test_all_that_a_clause_names_must_hold(clause, wanted):
    body = b'{"metadata":{"labels":{"color":"red"},"annotations":{"note":"a b"}},"spec":{"ready":true,"n":3}}'
    assert Judge(clause).wants(Subject("ns/web", body)) is wanted


def test_generation_is_a_path_that_has_a_name():
    old, new = (Subject("ns/web", b'{"metadata":{"generation":%d}}' % n) for n in (1, 2))
    judge = Judge(Clause(changed=["generation"]))
    assert judge.wants_change(old, new, is_complete=True)
    assert not judge.wants_change(new, new, is_complete=True)


def test_who_wrote_is_what_has_another_time_in_managed_fields():
    def managed(**times):
        entries = [{"manager": m, "operation": "Update", "time": t} for m, t in times.items()]
        return {"metadata": {"managedFields": entries}}

    assert writers_of(managed(a="1", b="1"), managed(a="1", b="2")) == {"b"}
    assert writers_of(managed(a="1"), managed(a="1", b="1")) == {"b"}
    assert writers_of(managed(a="1"), {}) == set()
    judge = Judge(Clause(not_by=["b"]))
    one, two = (Subject("n/k", json.dumps(managed(a="1", b=t)).encode()) for t in "12")
    assert not judge.wants_change(one, two, is_complete=True)
    assert judge.wants_change(one, two, is_complete=False), "a version in between may be another one's"


def test_a_clause_that_cannot_be_read_is_one_line():
    with pytest.raises(ConfigError, match="label selector"):
        Judge(Clause(labels="((("))
