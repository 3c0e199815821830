"""Discovery in two documents, and who gets it."""

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.http.aggregated import discovery_list
from deltawire.apiserver.http.negotiate import aggregated_version

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BETA = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (f"{V2},{BETA},application/json", "v2"),
        (f"{V2};profile=nopeer,application/json", "v2"),
        (f"{BETA},application/json", ""),
        (f"application/json,{V2}", ""),
        (f"{V2.replace('v=v2', 'v=v3')},application/json", ""),
        (f"{V2};q=0,application/json", ""),
        ("*/*", ""),
        ("", ""),
    ],
)
def test_it_goes_to_those_who_prefer_it(accept: str, version: str) -> None:
    assert aggregated_version(accept) == version


def test_every_resource_is_listed_with_its_subresources(core: ApiCore) -> None:
    (group,) = discovery_list(core.catalogue, [""])["items"]
    resources = {r["resource"]: r for r in group["versions"][0]["resources"]}
    pods = resources["pods"]
    assert (pods["scope"], pods["shortNames"]) == ("Namespaced", ["po"])
    eviction = {s["subresource"]: s for s in pods["subresources"]}["eviction"]
    assert eviction["responseKind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert resources["nodes"]["scope"] == "Cluster"


def test_the_best_version_of_a_group_comes_first(core: ApiCore) -> None:
    (group,) = discovery_list(core.catalogue, ["autoscaling"])["items"]
    assert [version["version"] for version in group["versions"]] == ["v2", "v1"]
