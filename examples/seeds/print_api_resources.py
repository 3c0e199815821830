"""Prints every resource that a cluster serves, in each version, with discovery."""

from connection import run

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.discovery.queries import resource_lists
from deltawire.client.rest.client import RESTClient


def print_api_resources(config: ClientConfig) -> None:
    client = RESTClient(config)
    discovered = DiscoveryClient(client).server_groups_and_resources()
    for group_version, resources in (
        (one.group_version, one.resources) for one in resource_lists(discovered)
    ):
        for resource in resources:
            print(f"name: {resource.name}, group: {group_version.group}, version {group_version.version}")
    client.close()


if __name__ == "__main__":
    run(print_api_resources, "Print all resources of a cluster's API.")
