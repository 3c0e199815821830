"""A client that is made of the wrong thing says at once what it takes."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire import (
    ClientConfig,
    Clientset,
    DynamicClient,
    DynamicSharedInformerFactory,
    MetadataClient,
    MetadataSharedInformerFactory,
    SharedInformerFactory,
)
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.rest.client import RESTClient
from deltawire.client.scale import ScaleClient

CONFIG = ClientConfig("https://10.0.0.1:6443")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Clientset, "Clientset takes a RESTClient, not a ClientConfig: give Clientset.from_config(config)"),
        (DynamicClient, "DynamicClient takes a RESTClient, not a ClientConfig: give DynamicClient.from_config(config)"),
        (MetadataClient, "MetadataClient takes a RESTClient, not a ClientConfig: give MetadataClient.from_config"),
        (DiscoveryClient, "DiscoveryClient takes a RESTClient, not a ClientConfig: give RESTClient(config)"),
        (lambda given: ScaleClient(given, None), "ScaleClient takes a RESTClient, not a ClientConfig: give RESTClient"),
        (SharedInformerFactory, "SharedInformerFactory takes a client, not a ClientConfig: give Clientset.from_config"),
        (DynamicSharedInformerFactory, "DynamicSharedInformerFactory takes a client, not a ClientConfig"),
        (MetadataSharedInformerFactory, "MetadataSharedInformerFactory takes a client, not a ClientConfig"),
    ],
)  # fmt: skip
def test_a_config_in_the_place_of_a_client_is_answered_with_what_to_pass(
    make: Callable[[Any], Any], words: str
):
    with pytest.raises(TypeError) as found:
        make(CONFIG)
    assert words in str(found.value)


@pytest.mark.parametrize("given", ["https://10.0.0.1:6443", None, {"host": "https://10.0.0.1"}])
@pytest.mark.parametrize("make", [RESTClient, Clientset, DynamicClient, SharedInformerFactory])
def test_what_is_no_config_at_all_is_named(make: Callable[[Any], Any], given: Any):
    with pytest.raises(TypeError, match=f"takes a .*, not a {type(given).__name__}"):
        make(given)


def test_a_file_in_the_place_of_a_config_is_named():
    wrong: Any = "/home/ada/.kube/config"
    with pytest.raises(TypeError, match="RESTClient takes a ClientConfig, not a str"):
        Clientset.from_config(wrong)


def test_a_clientset_in_the_place_of_its_rest_client_is_told_so():
    wrong: Any = Clientset(RESTClient(CONFIG))
    with wrong, pytest.raises(TypeError, match=r"give the \.rest of the Clientset"):
        DynamicClient(wrong)
