"""Services get addresses and node ports of their own."""

from typing import Any

import pytest

from deltawire.apiserver.core.addresses import NODE_PORTS
from deltawire.apiserver.core.api import ApiCore
from deltawire.common.errors import StatusError


def service(core: ApiCore, name: str, **spec: Any) -> dict[str, Any]:
    body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}
    made: dict[str, Any] = core.create("services", body, "default").decode()["spec"]
    return made


def test_each_service_has_an_address_of_its_own(core: ApiCore) -> None:
    addresses = [service(core, f"s{number}")["clusterIP"] for number in range(20)]
    assert len(set(addresses)) == 20
    assert service(core, "headless", clusterIP="None")["clusterIPs"] == ["None"]
    assert "clusterIP" not in service(core, "named", type="ExternalName", externalName="example.net")


def test_an_address_that_is_taken_is_refused(core: ApiCore) -> None:
    taken = service(core, "a")["clusterIP"]
    with pytest.raises(StatusError) as refused:
        service(core, "b", clusterIP=taken)
    assert (refused.value.code, "already allocated" in refused.value.message) == (422, True)


def test_node_ports_are_given_once_and_those_of_removed_services_again(core: ApiCore) -> None:
    many = [{"port": 1000 + number, "name": f"p{number}"} for number in range(len(NODE_PORTS))]
    ports = {port["nodePort"] for port in service(core, "all", type="NodePort", ports=many)["ports"]}
    assert ports == set(NODE_PORTS)
    with pytest.raises(StatusError) as full:
        service(core, "more", type="NodePort")
    assert "range is full" in full.value.message
    core.delete("services", "all", "default")
    assert service(core, "again", type="NodePort")["ports"][0]["nodePort"] in NODE_PORTS


def test_an_update_keeps_what_was_given(core: ApiCore) -> None:
    before = service(core, "a", type="NodePort")
    body = {"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    after = core.update("services", body, "a", "default").decode()["spec"]
    assert (after["clusterIP"], after["ports"]) == (before["clusterIP"], before["ports"])
