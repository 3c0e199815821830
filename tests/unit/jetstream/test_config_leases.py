"""`engine.leases`: by what it is decided which broker leads."""

import json
from typing import Any

import pytest

from deltawire.common.config.load import dump, parse
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import KubernetesLeases, NatsEngine
from deltawire.common.errors import ConfigError
from deltawire.jetstream.settings import leases_of, settings_of


def plan(**engine: Any) -> Plan:
    return Plan(parse({"version": 1, "engine": {"kind": "nats", **engine}}))


def test_leases_are_on_nats_unless_the_config_names_the_cluster() -> None:
    assert leases_of(plan().nats) is None
    assert leases_of(plan(leases="nats").nats) is None
    assert leases_of(Plan(parse({"version": 1, "engine": "nats"})).nats) is None
    assert leases_of(plan(leases="kubernetes").nats) == KubernetesLeases(namespace="deltawire", duration=15)
    named = plan(leases={"kind": "kubernetes", "namespace": "ops", "duration": "30s"})
    assert leases_of(named.nats) == KubernetesLeases(namespace="ops", duration="30s")
    assert leases_of(Plan(parse(json.loads(dump(named.config)))).nats) == leases_of(named.nats)


@pytest.mark.parametrize("duration", ["4s", "11m", "soon", -1])
def test_a_lease_has_a_duration_that_can_be_kept(duration: object) -> None:
    with pytest.raises(ConfigError, match=r"engine\.leases\.duration"):
        settings_of(plan(leases={"kind": "kubernetes", "duration": duration}).nats or NatsEngine())


@pytest.mark.parametrize("leases", ["etcd", {"kind": "kubernetes", "namespace": "No Name"}, {"kind": "nats"}])
def test_what_is_no_choice_is_refused_with_its_place(leases: object) -> None:
    with pytest.raises(ConfigError, match=r"engine\.leases"):
        plan(leases=leases)


def test_an_archive_has_no_leader() -> None:
    with pytest.raises(ConfigError, match="leases"):
        parse({"version": 1, "archive": {"leases": "kubernetes"}})
