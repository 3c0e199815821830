"""Filters of executables in the config: the same keys as the decorators'."""

import pytest

from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.meta.clauses import Clause


def plan(*on, **handler):
    entry = {"name": "h", "command": ["true"], "on": list(on), **handler}
    return Plan(parse({"version": 1, "handlers": [entry]})).handlers["h"]


def test_the_clauses_of_an_informer_are_those_of_its_entries():
    found = plan(
        {
            "resource": "pods",
            "namespace": "prod-*",
            "name": ["web", "api"],
            "labels": "a=b",
            "changed": "{.spec}",
        },
        {"resource": "pods", "ignore_own_writes": True},
        {"resource": "nodes"},
    )
    assert found.filters == {
        "default/pods": [
            Clause(namespaces=["prod-*"], names=["web", "api"], labels="a=b", changed=["{.spec}"]),
            Clause(not_by=["h"]),
        ]
    }


def test_an_entry_without_a_filter_beside_one_with_it_wants_all():
    assert plan("pods", {"resource": "pods", "fields": "spec.nodeName=n1"}).filters == {
        "default/pods": [Clause(), Clause(fields="spec.nodeName=n1")]
    }
    assert plan("pods", "nodes").filters == {}


def test_leaving_is_a_deletion_or_an_update():
    assert plan({"resource": "pods", "labels": "a", "leaving": "update"}).leaving_as_update == {
        "default/pods"
    }
    assert not plan({"resource": "pods", "labels": "a"}).leaving_as_update


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"labels": "a=!"}, "handlers[0].on[0]"),
        ({"changed": "{.a"}, "not closed"),
        ({"leaving": "never"}, "leaving"),
        ({"lable": "a"}, "did you mean 'labels'"),
    ],
)
def test_a_mistake_is_told_with_the_fields_path(entry, complaint):
    with pytest.raises(ConfigError) as told:
        plan({"resource": "pods", **entry})
    assert complaint in str(told.value)


def test_a_python_file_says_its_filters_in_its_decorators():
    with pytest.raises(ConfigError, match="decorators"):
        plan({"resource": "pods", "labels": "a=b"}, command=[], run="x.py")
